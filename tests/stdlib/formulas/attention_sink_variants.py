"""Causal weights by other functions than a softmax, softmaxes with a bias, and the measure of a sink."""

import math

import torch
from torch.nn import functional

from tests.stdlib.cases import Case, Tensors, normals

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}
RAW = {"normalise": False}
PLAIN = {"normalise": True}
WIDE = SELF | {"c": 8, "d": 8}


def seen(Q: Tensor, K: Tensor) -> Tensor:
    rows, keys = Q.shape[2], K.shape[2]
    return torch.tril(torch.ones(rows, keys, dtype=Q.dtype), keys - rows)


def scores(Q: Tensor, K: Tensor) -> Tensor:
    return torch.einsum("zhqd,zhkd->zhqk", Q, K) / math.sqrt(Q.shape[-1])


def over_sum(weights: Tensor, V: Tensor, normalise: bool, eps: float) -> Tensor:
    return (weights / (weights.sum(-1, keepdim=True) + eps) if normalise else weights) @ V


def over_magnitude(weights: Tensor, V: Tensor, normalise: bool) -> Tensor:
    return (weights / weights.sum(-1, keepdim=True).abs().clamp(min=1) if normalise else weights) @ V


def sink_sigmoid(Q: Tensor, K: Tensor, V: Tensor, normalise: bool = False, eps: float = 1e-8) -> Tensor:
    return over_sum(torch.sigmoid(scores(Q, K)) * seen(Q, K), V, normalise, eps)


def sink_elu(Q: Tensor, K: Tensor, V: Tensor, normalise: bool = True, eps: float = 1e-8) -> Tensor:
    return over_sum((functional.elu(scores(Q, K)) + 1) * seen(Q, K), V, normalise, eps)


def sink_elu_kernel(Q: Tensor, K: Tensor, V: Tensor, normalise: bool = True, eps: float = 1e-8) -> Tensor:
    return over_sum(scores(functional.elu(Q) + 1, functional.elu(K) + 1) * seen(Q, K), V, normalise, eps)


def sink_linear(Q: Tensor, K: Tensor, V: Tensor, normalise: bool = True) -> Tensor:
    return over_magnitude(scores(Q, K) * seen(Q, K), V, normalise)


def sink_mlp(Q: Tensor, K: Tensor, V: Tensor, W1: Tensor, W2: Tensor, normalise: bool = True) -> Tensor:
    q, k = (torch.relu(x @ W1.mT) @ W2.mT for x in (Q, K))
    weights = torch.einsum("zhqd,zhkd->zhqk", q, k) / Q.shape[-1] ** 0.5
    return over_magnitude(weights * seen(Q, K), V, normalise)


def kv_bias(Q: Tensor, K: Tensor, V: Tensor, kb: Tensor, vb: Tensor | None = None) -> Tensor:
    own = torch.where(seen(Q, K) > 0, scores(Q, K), -torch.inf)
    more = (Q * kb[:, None]).sum(-1, keepdim=True) / Q.shape[-1] ** 0.5
    weights = torch.softmax(torch.cat([more, own], -1), -1)
    learned = torch.zeros_like(V[0, :, 0]) if vb is None else vb
    return weights[..., 1:] @ V + weights[..., :1] * learned[:, None]


def v_bias(Q: Tensor, K: Tensor, V: Tensor, vb: Tensor) -> Tensor:
    return torch.softmax(torch.where(seen(Q, K) > 0, scores(Q, K), -torch.inf), -1) @ V + vb[:, None]


def sink_probe(Q: Tensor, K: Tensor, threshold: float = 0.3) -> Tensors:
    weights = torch.softmax(torch.where(seen(Q, K) > 0, scores(Q, K), -torch.inf), -1)
    alpha = weights.sum(2) / torch.arange(K.shape[2], 0, -1)
    return {"alpha": alpha, "Sink": (alpha > threshold).double().mean((0, 1))}


CASES = (
    Case("sink_sigmoid", CROSS, causal=True),
    Case("sink_sigmoid", SELF, PLAIN, causal=True),
    Case("sink_elu", CROSS, causal=True),
    Case("sink_elu", SELF, RAW, causal=True),
    Case("sink_elu_kernel", SELF, causal=True),
    Case("sink_elu_kernel", CROSS, RAW, causal=True),
    Case("sink_linear", SELF, causal=True),
    Case("sink_linear", CROSS, RAW, causal=True),
    Case("sink_mlp", WIDE, causal=True),
    Case("kv_bias", SELF, causal=True),
    Case("kv_bias", CROSS, draw={"vb": normals("h", "f")}, causal=True),
    Case("v_bias", CROSS, causal=True),
    Case("sink_probe", SELF, {"threshold": 0.05}, rows=False),
)
