"""Heads ranked by what the image changes, and scaled."""

import torch

from tests.stdlib.cases import Case, Tensors

Tensor = torch.Tensor
SELF = {"b": 2, "h": 6, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}


def head_divergence(O: Tensor, O0: Tensor, k: int = 4) -> Tensors:
    vhd = torch.linalg.vector_norm(O - O0, dim=-1)
    bound = vhd.mean(1, keepdim=True) + vhd.std(1, correction=0, keepdim=True)
    surge = (vhd > bound) & (O0.norm(dim=-1) > O.norm(dim=-1))
    kept = vhd.masked_fill(surge, 0.0)
    ranked = kept.sort(1).values
    middle = (ranked[:, (vhd.shape[1] - 1) // 2] + ranked[:, vhd.shape[1] // 2]) / 2
    return {"chosen": kept >= middle[:, None], "vhd": vhd, "score": vhd.topk(k, 1).values.sum(1)}


def head_reinforcement(Q: Tensor, K: Tensor, V: Tensor, chosen: Tensor, a: float = 2.0) -> Tensor:
    scores = torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5
    ahead = torch.ones(scores.shape[-2:]).triu(scores.shape[-1] - scores.shape[-2] + 1) > 0
    outputs = torch.softmax(scores.masked_fill(ahead, -torch.inf), -1) @ V
    return outputs * (1 + (a - 1) * chosen[:, :, None, None])


CASES = (
    Case("head_divergence", {"b": 5, "h": 7, "f": 6}, {"k": 3}, lengths=("b",), time=()),
    Case("head_divergence", {"b": 5, "h": 6, "f": 2}, lengths=("b",), time=(), name="even"),
    Case("head_reinforcement", SELF, causal=True),
    Case("head_reinforcement", CROSS, {"a": 1.5}, causal=True),
)
