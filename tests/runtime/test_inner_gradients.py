"""grad(y, x) in compiled programs: what lies between is evaluated with it, wherever else it is computed."""

from __future__ import annotations

import warnings

import pytest
import torch

import attnc
from attnc.ir.dependence import piece
from attnc.runtime.attention import Attention

ADAPT = """
attention adapt(Q[b,m,e], K[b,n,e], V[b,n,f], W[e,f]) -> O, G, Q1:
    S[b,m,n] = Q * K / sqrt(E)
    O[b,m,f] = softmax[n](S where n <= m) * V
    R[b,m,f] = O[b,m,f] - sum[e](Q * W)
    loss[b,m] = sum[f](R * R)
    G[b,m,e] = grad(loss[b,m], Q[b,m,e])
    Q1[b,m,e] = Q - 0.1 * G
"""
MEMORY = """
attention memory(Q[b,i,d], K[b,i,d], V[b,i,e], W0[d,e]) -> O, last:
    W[b,0,d,e] = W0
    hid[b,i,e] = tanh(sum[d](K * W[b,i,d,e]))
    loss[b,i] = sum[e]((hid - V) ** 2)
    W[b,i+1,d,e] = W[b,i,d,e] - 0.1 * grad(loss[b,i], W[b,i,d,e])
    O[b,i,e] = sum[d](Q * W[b,i+1,d,e])
    L[b] = sum[i](loss)
    last[b,d,e] = grad(L[b], W[b,0,d,e])
"""
SHARED = """
attention shared(X[b,n,e], w[e]) -> G, D, top:
    Y[b,n] = sum[e](X * w[e])
    Z[b,n] = exp(Y) * Y
    top[b] = logsumexp[n](Z)
    G[b,e] = grad(top[b], w[e])
    D[b,n,e] = grad(Z[b,n] * top[b], w[e])
"""
SHAPES = {
    ADAPT: {"Q": (2, 5, 4), "K": (2, 5, 4), "V": (2, 5, 3), "W": (4, 3)},
    MEMORY: {"Q": (2, 4, 3), "K": (2, 4, 3), "V": (2, 4, 2), "W0": (3, 2)},
    SHARED: {"X": (2, 6, 3), "w": (3,)},
}


def inputs(text: str) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(3)
    return {name: torch.randn(shape, generator=draw, dtype=torch.float64) for name, shape in SHAPES[text].items()}


@pytest.mark.parametrize("text", SHAPES, ids=["adapt", "memory", "shared"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_call_is_its_reference(text: str, dtype: torch.dtype) -> None:
    attention = attnc.compile(text)
    assert isinstance(attention, Attention)
    given = {name: value.to(dtype) for name, value in inputs(text).items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = attention(**given)
    wanted = attention.reference(**given)
    within = 1e-11 if dtype == torch.float64 else 2e-4
    for name in wanted._fields:
        torch.testing.assert_close(
            getattr(found, name).double(), getattr(wanted, name), rtol=within, atol=within, msg=name
        )


def test_the_softmax_is_streamed_all_the_same() -> None:
    attention = attnc.compile(ADAPT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        attention(**inputs(ADAPT))
    assert attention.last_run is not None
    plans = {run.name: run.plan for run in attention.last_run.stages}
    assert plans["O"] == "stream"
    assert plans["G"] == "host"


def test_a_derivative_of_a_softmax_is_heavy_and_one_of_a_projection_is_not() -> None:
    light = "attention light(X[n,e], w[e]) -> G:\n    y[n] = sum[e](X * w[e])\n    G[e] = grad(exp(y[n]), w[e])"
    assert [stage.name for stage in attnc.compile(ADAPT).program().heavy] == ["G"]
    assert not attnc.compile(light).program().heavy


def test_what_is_evaluated_together() -> None:
    stated = attnc.compile(MEMORY).program().stated
    assert piece(stated, ["O"]) == {"O"}
    assert piece(stated, ["W"]) == {"W", "hid", "loss"}
    assert piece(stated, ["last"]) == {"last", "L", "W", "hid", "loss"}
    assert piece(attnc.compile(SHARED).program().stated, ["G"]) == {"G", "top", "Y", "Z"}
