"""Aggregation as graph networks do it."""

import torch
from torch.nn import functional

from tests.stdlib.cases import Case, normals, reals

Tensor = torch.Tensor
HEADS = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12, "g": 6, "a": 4}
INPUT = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "d": 15, "c": 5, "g": 6}
TOKENS = {"b": 2, "h": 5, "n": 33, "m": 33, "e": 8, "d": 12}
LEARNED = {"sharp": reals(low=0.5, high=2.0), "ep": normals("h")}


def hidden(scores: Tensor) -> Tensor:
    return torch.ones(scores.shape[-2:]).triu(scores.shape[-1] - scores.shape[-2] + 1) > 0


def gin(
    Q: Tensor,
    K: Tensor,
    x: Tensor,
    W1: Tensor,
    W2: Tensor,
    sharp: Tensor | float = 1.0,
    ep: Tensor | float = 0.0,
    one: float = 0.0,
) -> Tensor:
    scores = sharp * torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5
    weights = torch.softmax(scores.masked_fill(hidden(scores), -torch.inf), -1)
    heads = x.reshape(*x.shape[:2], Q.shape[1], -1).transpose(1, 2)
    own = heads[:, :, heads.shape[2] - Q.shape[2] :]
    mixed = (one + torch.as_tensor(ep, dtype=x.dtype).reshape(-1, 1, 1)) * own + weights @ heads
    y = mixed @ W1.mT
    y = y / torch.sqrt((y**2).mean(-1, keepdim=True) + 1e-6)
    return functional.silu(y) @ W2


def pna(Q: Tensor, K: Tensor, V: Tensor, W1: Tensor, W2: Tensor) -> Tensor:
    scores = torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5
    weights = torch.relu(scores).masked_fill(hidden(scores), 0.0)
    degree = weights.sum(-1, keepdim=True)
    degree = torch.where(degree == 0, 1.0, degree)
    total = weights @ V
    mean = total / degree
    spread = (weights @ V**2 / degree - mean**2).clamp(min=0)
    near = torch.where(weights[..., None] > 0, V[:, :, None], -torch.inf).amax(3)
    near = torch.where(near.isinf(), 0.0, near)
    parts = torch.stack([total, mean, near, spread], 2)
    inner = torch.einsum("zhaqf,hagf->zhqg", parts, W1)
    return functional.silu(inner) @ W2


def sparse_gin(Q: Tensor, K: Tensor, x: Tensor, ep: Tensor | float = 0.0) -> Tensor:
    scores = torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5
    weights = torch.softmax(scores.masked_fill(hidden(scores), -torch.inf), -1)
    edges = torch.sigmoid(10 * (weights.sum(1).clamp(max=1) - 0.1))
    edges = (edges * (edges > 0.6)).masked_fill(hidden(scores), 0.0)
    return ep * x + edges @ x


CASES = (
    Case("gin", INPUT, causal=True),
    Case("gin", INPUT | {"m": 19}, {"one": 1.0}, LEARNED, causal=True),
    Case("pna", HEADS, causal=True),
    Case("pna", HEADS | {"m": 19, "n": 37}, causal=True),
    Case("sparse_gin", TOKENS, draw={"ep": normals()}, causal=True),
)
