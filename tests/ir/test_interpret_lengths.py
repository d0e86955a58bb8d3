"""Every length 0 and 1 with every other: values against formulas, and derivatives that are finite."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import pytest
import torch

from attnc.ir.interpret import run
from tests.ir.oracle import gradients, normal, oracle, same, spec

F = torch.float64
Inputs = dict[str, torch.Tensor]
SHAPES = [shape for shape in product((0, 1, 3), repeat=4) if shape.count(3) != 4]


def weights(scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Softmax over the last axis, 0 in rows without anything."""
    return torch.softmax(scores.masked_fill(~mask, -math.inf), -1).nan_to_num(0.0)


def attention(Q: torch.Tensor, K: torch.Tensor, V: torch.Tensor) -> Inputs:
    m = torch.arange(K.shape[1] - Q.shape[1], K.shape[1])[:, None]
    mask = torch.arange(K.shape[1]) <= m
    scores = (Q @ K.mT) / math.sqrt(Q.shape[2]) if Q.shape[2] else Q @ K.mT
    return {"O": weights(scores, mask) @ V, "count": mask.sum(1).expand(len(Q), -1)}


def linear(Q: torch.Tensor, K: torch.Tensor, V: torch.Tensor) -> Inputs:
    state, rows = K.new_zeros(len(K), K.shape[2], V.shape[2]), []
    for i in range(K.shape[1]):
        state = 0.5 * state + K[:, i, :, None] * V[:, i, None, :]
        rows.append(torch.einsum("be,bef->bf", Q[:, i], state))
    return {"O": torch.stack(rows, 1) if rows else V.clone(), "last": state}


def blocks(X: torch.Tensor) -> Inputs:
    B, N, E = X.shape
    groups = [X[:, first : first + 2].mean(1) for first in range(0, N, 2)]
    pooled = torch.stack(groups, 1) if groups else X.new_zeros(B, 0, E)
    return {"P": pooled, "top": pooled.amax(1) if groups else X.new_full((B, E), -math.inf)}


def sink(S0: torch.Tensor, V: torch.Tensor, sink: torch.Tensor) -> Inputs:
    S = torch.cat([S0, sink[:, :, None]], 2)
    return {"O": torch.softmax(S, 2)[:, :, :-1] @ V, "L": torch.logsumexp(S, 2)}


CASES: dict[str, tuple[str, Callable[..., Inputs], Callable[[int, int, int, int], Inputs]]] = {
    "attention": (
        """
        attention attend(Q[b,m,e], K[b,n,e], V[b,n,f]) -> O, count:
            index N - M <= m < N
            O[b,m,f] = softmax[n](sum[e](Q * K) / sqrt(E) where n <= m) * V
            count[b,m] = sum[j](1 where j <= m)
            index j < N
        """,
        attention,
        lambda b, m, n, e: {"Q": normal(b, m, e), "K": normal(b, n, e, seed=1), "V": normal(b, n, 2)},
    ),
    "linear": (
        """
        attention linear(Q[b,i,e], K[b,i,e], V[b,i,f]) -> O, last:
            State[b,0,e,f] = 0
            State[b,i+1,e,f] = 0.5 * State[b,i,e,f] + K * V
            O[b,i,f] = Q * State[b,i+1,e,f]
            last[b,e,f] = State[b,I,e,f]
        """,
        linear,
        lambda b, i, e, f: {"Q": normal(b, i, e), "K": normal(b, i, e, seed=1), "V": normal(b, i, f)},
    ),
    "blocks": (
        """
        attention blocks(X[b,n,e]; BLK: int = 2) -> P, top:
            index c < ceil(N / BLK), j < BLK
            P[b,c,e] = mean[j](X[b, c * BLK + j, e])
            top[b,e] = max[c](P[b,c,e])
        """,
        blocks,
        lambda b, n, e, _: {"X": normal(b, n, e)},
    ),
    "sink": (
        """
        attention sink(S0[b,m,n], V[b,n,f], sink[b,m]) -> O, L:
            index t <= N
            S[b,m,n] = S0
            S[b,m,N] = sink
            O[b,m,f] = sum[n](A[b,m,n] * V[b,n,f])
            A[b,m,t] = softmax[t](S[b,m,t])
            L[b,m] = logsumexp[t](S[b,m,t])
        """,
        sink,
        lambda b, m, n, f: {"S0": normal(b, m, n), "V": normal(b, n, f), "sink": normal(b, m)},
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def test_values(name: str, shape: tuple[int, int, int, int]) -> None:
    text, formula, draw = CASES[name]
    inputs = draw(*shape)
    found = oracle(text, **inputs)
    for output, wanted in formula(**inputs).items():
        same(found[output], wanted)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("shape", [(1, 0, 1, 1), (1, 1, 0, 1), (0, 1, 1, 1), (1, 1, 1, 0), (1, 3, 1, 1)], ids=str)
def test_derivatives_are_finite(name: str, shape: tuple[int, int, int, int]) -> None:
    text, _, draw = CASES[name]
    inputs = draw(*shape)
    for value, given in zip(gradients(text, **inputs).values(), inputs.values(), strict=True):
        assert value.shape == given.shape
        assert bool(torch.isfinite(value).all())
    asked = {key: value.requires_grad_() for key, value in inputs.items()}
    assert any(value.requires_grad for value in run(spec(text), asked).outputs.values())
