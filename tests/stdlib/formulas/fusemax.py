"""The cascades are one function: a softmax of plain products."""

import torch

from tests.stdlib.cases import Case

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}


def fusemax(Q: Tensor, K: Tensor, V: Tensor, N0: int = 64, causal: bool = False) -> Tensor:
    scores = torch.einsum("zhqd,zhkd->zhqk", Q, K)
    if causal:
        ahead = torch.ones(scores.shape[-2:]).triu(scores.shape[-1] - scores.shape[-2] + 1) > 0
        scores = scores.masked_fill(ahead, -torch.inf)
    return torch.softmax(scores, -1) @ V


fusemax_three_pass = fusemax_deferred = fusemax_two_pass = fusemax

CASES = (
    Case("fusemax_three_pass", SELF),
    Case("fusemax_three_pass", CROSS, {"causal": True}, causal=True),
    Case("fusemax_deferred", CROSS),
    Case("fusemax_deferred", SELF, {"causal": True}, causal=True),
    Case("fusemax_two_pass", SELF, {"N0": 8}),
    Case("fusemax_two_pass", CROSS, {"N0": 16, "causal": True}, causal=True),
    Case("fusemax", CROSS, {"N0": 8}),
    Case("fusemax", SELF, {"N0": 5, "causal": True}, causal=True),
)
