"""Attention calibration in the seven steps of the paper, head by head."""

import torch

from tests.stdlib.cases import Case

Tensor = torch.Tensor
SELF = {"b": 2, "h": 5, "m": 33, "n": 33, "e": 8, "f": 12}


def calibrated_map(A: Tensor, beta: float, threshold: float) -> Tensor:
    length = A.shape[0]
    mean = A.sum(0) / torch.arange(length, 0, -1)
    sinks = mean > threshold
    sinks = sinks & (sinks.cumsum(0) > 1)
    freed = (1 - beta) * (A * sinks).sum(1)
    less = torch.where(sinks, beta * A, A)
    rest = A * ~sinks
    return less + freed[:, None] * rest / rest.sum(1, keepdim=True)


def act(Q: Tensor, K: Tensor, V: Tensor, calibrated: Tensor, beta: float = 0.4, threshold: float = 0.1) -> Tensor:
    scores = torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5
    ahead = torch.ones(scores.shape[-2:]).triu(1) > 0
    maps = torch.softmax(scores.masked_fill(ahead, -torch.inf), -1)
    rows = [
        torch.stack([calibrated_map(A, beta, threshold) if on else A for A, on in zip(heads, calibrated, strict=True)])
        for heads in maps
    ]
    return torch.stack(rows) @ V


CASES = (
    Case("act", SELF),
    Case("act", SELF, {"beta": 0.2, "threshold": 0.05}),
)
