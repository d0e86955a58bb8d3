"""A map computed once for several layers, and how alike two maps are."""

import torch

from tests.stdlib.cases import Case, Tensors, normals

Tensor = torch.Tensor
SHARED = {"b": 2, "h": 6, "g": 2, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SHARED | {"m": 19, "n": 37}


def causal_scores(Q: Tensor, K: Tensor) -> Tensor:
    scores: Tensor = torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5
    ahead = torch.ones(scores.shape[-2:]).triu(scores.shape[-1] - scores.shape[-2] + 1) > 0
    return scores.masked_fill(ahead, -torch.inf)


def wide(Q: Tensor, X: Tensor) -> Tensor:
    found: Tensor = torch.repeat_interleave(X, Q.shape[1] // X.shape[1], 1)
    return found


def echo_leader(Q: Tensor, K: Tensor, V: Tensor) -> Tensors:
    scores = causal_scores(Q, wide(Q, K))
    return {"O": torch.softmax(scores, -1) @ wide(Q, V), "L": torch.logsumexp(scores, -1)}


def echo_follower(Q: Tensor, K: Tensor, L: Tensor, V: Tensor) -> Tensor:
    return torch.exp(causal_scores(Q, wide(Q, K)) - L[..., None]) @ wide(Q, V)


def echo_similarity(Q1: Tensor, K1: Tensor, Q2: Tensor, K2: Tensor) -> Tensor:
    one, two = (torch.softmax(causal_scores(q, k), -1).flatten(2) for q, k in ((Q1, K1), (Q2, K2)))
    return torch.nn.functional.cosine_similarity(one, two, dim=2).mean()


CASES = (
    Case("echo_leader", SHARED, causal=True),
    Case("echo_leader", CROSS, causal=True),
    Case("echo_follower", SHARED, draw={"L": normals("b", "h", "m")}, causal=True),
    Case("echo_follower", CROSS, draw={"L": normals("b", "h", "m")}, causal=True),
    Case("echo_similarity", {index: SHARED[index] for index in "bhmne"}, rows=False),
)
