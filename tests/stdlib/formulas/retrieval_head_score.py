"""Heads that copy, step by step, and heads that are made to look everywhere alike."""

import torch

from tests.stdlib.cases import Case, Tensors, booleans, integers, reals

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}
NEEDLE = {"first": integers("b", low=1, high=8), "past": integers("b", low=20, high=30)}
NEEDLE |= {"x": integers("b", "n", high=3), "y": integers("b", "m", high=3)}


def causal_scores(Q: Tensor, K: Tensor) -> Tensor:
    scores: Tensor = torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5
    ahead = torch.ones(scores.shape[-2:]).triu(scores.shape[-1] - scores.shape[-2] + 1) > 0
    return scores.masked_fill(ahead, -torch.inf)


def retrieval_heads(R: Tensor, success: Tensor, threshold: float = 0.1) -> Tensors:
    score = R[success].mean(0)
    return {"score": score, "chosen": score > threshold}


def retrieval_masked(Q: Tensor, K: Tensor, V: Tensor, masked: Tensor) -> Tensor:
    plain = torch.softmax(causal_scores(Q, K), -1) @ V
    even = torch.softmax(causal_scores(torch.zeros_like(Q), K), -1) @ V
    return torch.where(masked[:, None, None], even, plain)


def retrieval_head_score(Q: Tensor, K: Tensor, V: Tensor, x: Tensor, y: Tensor, first: Tensor, past: Tensor) -> Tensors:
    weights = torch.softmax(causal_scores(Q, K), -1)
    place = weights.argmax(-1)
    copied = torch.stack([tokens[places] for tokens, places in zip(x, place, strict=True)])
    begin, end = first[:, None, None], past[:, None, None]
    hit = (begin <= place) & (place < end) & (copied == y[:, None])
    rate = hit.sum(-1) / (past - first)[:, None].double()
    return {"O": weights @ V, "R": rate, "hit": hit, "at": place.double()}


CASES = (
    Case(
        "retrieval_heads", {"i": 9, "h": 5}, draw={"R": reals("i", "h"), "success": booleans("i")}, lengths=(), time=()
    ),
    Case("retrieval_masked", SELF, causal=True),
    Case("retrieval_masked", CROSS, causal=True),
    Case("retrieval_head_score", SELF, draw=NEEDLE, causal=True, lengths=()),
    Case("retrieval_head_score", CROSS, draw=NEEDLE, causal=True, lengths=()),
)
