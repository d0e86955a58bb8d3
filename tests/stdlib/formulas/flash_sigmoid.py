"""Sigmoids of scores in place of a softmax."""

import math

import torch

from tests.stdlib.cases import Case, normals, reals

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}
GIVEN = {"slope": reals("h"), "beta": normals(), "t": normals(scale=0.3)}


def flash_sigmoid(
    Q: Tensor,
    K: Tensor,
    V: Tensor,
    slope: Tensor | float = 0.0,
    beta: Tensor | float | None = None,
    t: Tensor | float = 0.0,
    causal: bool = False,
) -> Tensor:
    rows, keys = torch.arange(K.shape[2] - Q.shape[2], K.shape[2]), torch.arange(K.shape[2])
    far = (rows[:, None] - keys).abs()
    steep = torch.as_tensor(slope, dtype=Q.dtype).reshape(-1, 1, 1)
    beta = -math.log(K.shape[2]) if beta is None else beta
    scores = torch.einsum("zhqd,zhkd->zhqk", Q, K) * Q.shape[-1] ** -0.5 - steep * far
    logits = scores * torch.exp(torch.as_tensor(t, dtype=Q.dtype)) + beta
    weights = 1 / (1 + torch.exp(-logits))
    return (weights * (keys <= rows[:, None]) if causal else weights) @ V


def row_scaled_sigmoid(Q: Tensor, K: Tensor, V: Tensor, power: float = 0.5) -> Tensor:
    first, outputs = K.shape[2] - Q.shape[2], []
    for row in range(Q.shape[2]):
        seen = slice(0, first + row + 1)
        weights = torch.sigmoid((K[:, :, seen] @ Q[:, :, row, :, None])[..., 0] / math.sqrt(Q.shape[-1]))
        outputs.append((weights[..., None] * V[:, :, seen]).sum(2) / (first + row + 1) ** power)
    return torch.stack(outputs, 2)


CASES = (
    Case("flash_sigmoid", SELF),
    Case("flash_sigmoid", CROSS, draw=GIVEN),
    Case("flash_sigmoid", SELF, {"causal": True}, GIVEN, causal=True),
    Case("flash_sigmoid", CROSS, {"causal": True}, causal=True),
    Case("row_scaled_sigmoid", SELF, causal=True),
    Case("row_scaled_sigmoid", CROSS, {"power": 1.0}, causal=True),
)
