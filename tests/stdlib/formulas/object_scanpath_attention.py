"""The pointer of OAT: logits of every head, then their mixture, with a zero for the end."""

import torch

from tests.stdlib.cases import Case, integers

Tensor = torch.Tensor
SHAPE = {"b": 2, "m": 7, "n": 23, "d": 8, "r": 2, "a": 12}


def oat_pointer(
    Dec: Tensor,
    Enc: Tensor,
    W1: Tensor,
    W2: Tensor,
    ro: Tensor | None = None,
    bias: Tensor | float = 0.0,
) -> Tensor:
    logits = torch.zeros(*Dec.shape[:2], Enc.shape[1] + 1, dtype=Dec.dtype)
    for head in range(W1.shape[0]):
        scores = (Dec @ W1[head]) @ (Enc @ W2[head]).mT / W1.shape[2] ** 0.5
        logits = logits + (1 if ro is None else ro[head]) * torch.nn.functional.pad(scores, (0, 1))
    return torch.softmax(logits + bias, -1)


def oat_positions(PE: Tensor, at: Tensor, WIDTH: int = 256) -> Tensor:
    found = PE[at].flatten(1)[:, :WIDTH]
    return torch.nn.functional.pad(found, (0, WIDTH - found.shape[1]))


CASES = (
    Case("oat_pointer", SHAPE, draw={"ro": lambda dice, at: torch.randn(at["r"], generator=dice).double()}),
    Case("oat_pointer", SHAPE | {"r": 1, "m": 23}),
    Case(
        "oat_positions",
        {"q": 11, "w": 10, "n": 13, "i": 3},
        {"WIDTH": 25},
        {"at": integers("n", "i", high="q")},
        lengths=("n",),
    ),
)
