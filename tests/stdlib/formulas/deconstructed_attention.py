"""The variants, row by row, and the indicators of a map."""

import torch

from tests.stdlib.cases import Case, Tensors

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}
TOKENS = {"b": 2, "h": 3, "n": 33, "d": 10, "c": 6, "e": 8, "f": 12}


def causal_map(Q: Tensor, K: Tensor) -> Tensor:
    scores = Q @ K.mT / Q.shape[-1] ** 0.5
    ahead = torch.ones(scores.shape[-2:]).triu(scores.shape[-1] - scores.shape[-2] + 1) > 0
    return torch.softmax(scores.masked_fill(ahead, -torch.inf), -1)


def taylor_attention(Q: Tensor, K: Tensor, V: Tensor) -> Tensor:
    first, outputs = K.shape[2] - Q.shape[2], []
    for row in range(Q.shape[2]):
        s = (K[:, :, : first + row + 1] * Q[:, :, row : row + 1]).sum(-1) * Q.shape[-1] ** -0.5
        weights = 1 + s + s**2 / 2
        outputs.append((weights[..., None] * V[:, :, : first + row + 1]).sum(2) / weights.sum(2, keepdim=True))
    return torch.stack(outputs, 2)


def key_only(Q: Tensor, K: Tensor, V: Tensor) -> Tensors:
    z = (Q * torch.sigmoid(Q) * K).sum(-1) / Q.shape[-1] ** 0.5
    weights = torch.exp(z - z.amax(-1, keepdim=True))
    return {"O": (weights[..., None] * V).cumsum(2) / weights.cumsum(2)[..., None], "z": z}


def fixed_map(Q: Tensor, K: Tensor, V: Tensor) -> Tensor:
    return torch.einsum("hqk,zhkd->zhqd", causal_map(Q, K), V)


def static_map(Emb: Tensor, X: Tensor, WQ: Tensor, WK: Tensor, WV: Tensor) -> Tensor:
    q, k, v = Emb[:, None] @ WQ, Emb[:, None] @ WK, X[:, None] @ WV
    return causal_map(q, k) @ v


def head_diversity(Q: Tensor, K: Tensor) -> Tensor:
    length = K.shape[2]
    return causal_map(Q, K).std(1, correction=0).sum((-2, -1)) / (length * (length + 1) / 2)


def map_indicators(Q: Tensor, K: Tensor, LAG: int = 1) -> Tensors:
    weights = causal_map(Q, K)
    some = torch.where(weights > 0, weights, 1.0)
    return {
        "ent": -(some * some.log()).sum((-2, -1)),
        "conc": torch.linalg.matrix_norm(weights),
        "sink": weights[..., 0].mean(-1),
        "loc": weights.diagonal(-LAG, -2, -1).mean(-1),
    }


CASES = (
    Case("taylor_attention", SELF, causal=True),
    Case("taylor_attention", CROSS, causal=True),
    Case("key_only", {index: SELF[index] for index in "bhnef"}, causal=True),
    Case("fixed_map", SELF, causal=True),
    Case("fixed_map", CROSS, causal=True),
    Case("static_map", TOKENS, causal=True),
    Case("head_diversity", SELF, rows=False),
    Case("map_indicators", SELF, {"LAG": 2}, rows=False),
)
