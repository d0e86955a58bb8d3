"""Landmarks: for every query the weights by groups of keys, one after another."""

import torch

from tests.stdlib.cases import Case

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}


def one_row(scores: Tensor, at: int, L: int, k: int | None) -> Tensor:
    """The weights of one query over the keys up to its own."""
    marks = [n for n in range(at + 1) if n % (L + 1) == L]
    block = sum(mark < at for mark in marks)
    own = [n for n in range(block * (L + 1), at + 1) if n not in marks]
    marks = marks[:block]
    if k is not None:
        best = sorted(range(len(marks)), key=lambda j: (-float(scores[marks[j]]), j))[:k]
        marks = [marks[j] for j in sorted(best)]
    group = torch.softmax(scores[own + marks], 0)
    weights = torch.zeros_like(scores)
    weights = weights.index_put((torch.tensor(own),), group[: len(own)])
    for place, mark in enumerate(marks):
        inside = torch.softmax(scores[mark - L : mark], 0) * group[len(own) + place]
        weights = weights.index_put((torch.arange(mark - L, mark),), inside)
    return weights


def landmark_retrieval(Q: Tensor, K: Tensor, V: Tensor, L: int = 63, k: int | None = 4) -> Tensor:
    scores = torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5
    first = K.shape[2] - Q.shape[2]
    weights = [[[one_row(s, first + m, L, k) for m, s in enumerate(head)] for head in batch] for batch in scores]
    return torch.stack([torch.stack([torch.stack(rows) for rows in heads]) for heads in weights]) @ V


def landmark(Q: Tensor, K: Tensor, V: Tensor, L: int = 63) -> Tensor:
    return landmark_retrieval(Q, K, V, L, None)


CASES = (
    Case("landmark", SELF, {"L": 7}, causal=True),
    Case("landmark", CROSS, {"L": 4}, causal=True),
    Case("landmark_retrieval", CROSS, {"L": 4, "k": 2}, causal=True),
)
