"""Weights of equal tokens added up."""

import torch

from tests.stdlib.cases import Case, Tensors, integers

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}
TOKENS = {"x": integers("b", "n", high=7)}
TABLES = {"b": 3, "n": 21, "v": 6, "w": 6, "l": 6}
LAST = {"x": integers("b", "n", high=6), "q": integers("b", high=6)}


def composed(weights: Tensor, tokens: Tensor, count: int) -> Tensor:
    """The weights of each token of the vocabulary, along the last axis."""
    return weights @ torch.nn.functional.one_hot(tokens, count).to(weights.dtype)


def entropy_of(shares: Tensor) -> Tensor:
    some = torch.where(shares > 0, shares, 1.0)
    return -(some * some.log()).sum(-1)


def scan_and_snap(x: Tensor, q: Tensor, Z: Tensor, Y: Tensor) -> Tensors:
    scores = torch.stack([Z[last, tokens] for last, tokens in zip(q, x, strict=True)])
    c = composed(torch.softmax(scores, -1)[:, None], x, Z.shape[1])[:, 0]
    f = c / c.norm(dim=-1, keepdim=True)
    return {"logits": f @ Y, "c": c, "f": f, "entropy": entropy_of(c)}


def token_composition(Q: Tensor, K: Tensor, V: Tensor, x: Tensor, TOKENS: int = 64) -> Tensors:
    scores = torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5
    ahead = torch.ones(scores.shape[-2:]).triu(scores.shape[-1] - scores.shape[-2] + 1) > 0
    maps = torch.softmax(scores.masked_fill(ahead, -torch.inf), -1)
    c = composed(maps, x[:, None], TOKENS)
    return {"O": maps @ V, "c": c, "entropy": entropy_of(c)}


CASES = (
    Case("scan_and_snap", TABLES, draw=LAST, time=()),
    Case("token_composition", SELF, {"TOKENS": 7}, TOKENS, causal=True),
    Case("token_composition", CROSS, {"TOKENS": 10}, TOKENS, causal=True),
)
