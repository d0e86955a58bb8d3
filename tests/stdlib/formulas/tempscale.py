"""A softmax at temperature tau."""

import torch

from tests.stdlib.cases import Case, reals

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}
HOT = {"tau": reals(low=0.8, high=0.95)}


def tempscale(Q: Tensor, K: Tensor, V: Tensor, tau: Tensor | float = 0.9, causal: bool = False) -> Tensor:
    scores = torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5 / tau
    if causal:
        ahead = torch.ones(scores.shape[-2:]).triu(scores.shape[-1] - scores.shape[-2] + 1) > 0
        scores = scores.masked_fill(ahead, -torch.inf)
    return torch.softmax(scores, -1) @ V


def tempscale_t5(Q: Tensor, K: Tensor, V: Tensor, bias: Tensor, tau: Tensor | float = 0.9) -> Tensor:
    return torch.softmax((Q @ K.mT + bias) / tau, -1) @ V


def tempscale_rate(S: Tensor, x0: Tensor, tau: float = 1.0, STEPS: int = 100) -> Tensor:
    A = torch.softmax(S / tau, -1)
    return torch.linalg.matrix_norm(A - A.mean(0), 2)


CASES = (
    Case("tempscale_rate", {"m": 7, "n": 7}, {"STEPS": 300}, lengths=()),
    Case("tempscale", SELF),
    Case("tempscale", CROSS, draw=HOT),
    Case("tempscale", SELF, {"causal": True}, HOT, causal=True),
    Case("tempscale", CROSS, {"causal": True}, HOT, causal=True),
    Case("tempscale_t5", SELF),
    Case("tempscale_t5", CROSS, draw=HOT),
)
