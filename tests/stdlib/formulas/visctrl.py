"""Self attention in which one role of the batch has another's keys and values."""

import torch

from tests.stdlib.cases import Case, integers

Tensor = torch.Tensor
ROLES = {"u": 2, "r": 4, "h": 2, "m": 19, "n": 37, "e": 8, "f": 12}
ON = {"layer": integers(low=3, high=16), "step": integers(low=2, high=10)}
OFF = {"layer": integers(low=3, high=16), "step": integers(low=0, high=2)}


def visctrl(
    Q: Tensor, K: Tensor, V: Tensor, layer: Tensor, step: Tensor, START_LAYER: int = 1, START_STEP: int = 2
) -> Tensor:
    roles = [0, 1, 2, 0 if int(layer) >= START_LAYER and int(step) >= START_STEP else 3]
    k, v = K[:, roles], V[:, roles]
    return torch.softmax(Q @ k.mT / Q.shape[-1] ** 0.5, -1) @ v


CASES = (
    Case("visctrl", ROLES, draw=ON, name="on"),
    Case("visctrl", ROLES, draw=OFF, name="off"),
)
