"""The mean of log(1 + A^2)."""

import torch

from tests.stdlib.cases import Case, Tensors

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}


def sparse_then_prune(Q: Tensor, K: Tensor, V: Tensor) -> Tensors:
    maps = torch.softmax(torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5, -1)
    raised = (1 + maps**2).log()
    return {"O": maps @ V, "SP": raised.mean(), "row": raised.sum(-1)}


CASES = (
    Case("sparse_then_prune", SELF),
    Case("sparse_then_prune", SELF | {"m": 19, "n": 37}),
)
