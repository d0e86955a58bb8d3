"""Sums over the points where a score is its own maximum are kept in the pass that finds the maximum."""

from __future__ import annotations

import pytest
import torch

import attnc
from attnc.ir.stage import Stream
from attnc.ir.target import Target
from attnc.passes.plan import plan
from tests.passes.lowered import SHAPES, SMALL_CPU, SMALL_GPU, largest_error, only_stream, sizes_of
from tests.passes.test_monoid_laws import laws, monoids
from tests.passes.written import explicit

HARD = """attention hard(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]) -> O, L:
    index N - M <= m < N
    S[b,h,m,n] = {score} where n <= m
    L[b,h,m] = max[n](S)
    count[b,h,m] = sum[n](1.0 where {test})
    O[b,h,m,f] = sum[n](V[b,h,n,f] where {test}) / count
"""
DOT = "sum[e](Q * K) / sqrt(E)"
SCORES = {"dot": DOT, "logarithm": f"log(1.0 + ({DOT}) * ({DOT}))", "rounded": f"0.5 * floor({DOT})"}


def hard(score: str = DOT, test: str = "S == L") -> str:
    return HARD.format(score=score, test=test)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("test", ["S == L", "L == S"])
def test_hard_attention_is_one_pass(score: str, test: str) -> None:
    stream, _ = only_stream(hard(SCORES[score], test))
    assert [gauge.name for gauge in stream.monoid.gauges] == ["L"]
    assert all(item.gauge == "L" and item.keep for item in stream.monoid.accumulators)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("target", [SMALL_CPU, SMALL_GPU], ids=["cpu", "gpu"])
@pytest.mark.parametrize("score", ["dot", "rounded"])
def test_kernels_share_among_ties(score: str, target: Target, shape: tuple[int, int, int, int]) -> None:
    assert largest_error(hard(SCORES[score]), target, sizes_of(*shape)) < 1e-12


def test_its_state_is_a_monoid() -> None:
    for text in (hard(), hard(SCORES["rounded"])):
        (monoid,) = monoids(attnc.compile(text), {"b": 1, "h": 2, "m": 6, "n": 9, "e": 3, "f": 2}, 5)
        laws(monoid, 7)


def test_only_its_own_maximum_is_found_in_the_same_pass() -> None:
    other = hard(test="0.5 * S == L")
    assert sum(isinstance(stage, Stream) for stage in plan(explicit(other)).stages) == 2


def test_points_that_the_maximum_does_not_see_wait_for_it() -> None:
    fewer = hard(test="S == L and n != 0")
    assert sum(isinstance(stage, Stream) for stage in plan(explicit(fewer)).stages) == 2


def test_maxima_that_tie_share_their_gradient() -> None:
    attention = attnc.compile("attention a(Q[m,e], K[n,e]) -> T:\n    T[m] = max[n](sum[e](Q[m,e] * K[n,e]))\n")
    q, k = torch.randn(5, 8, requires_grad=True), torch.randn(6, 8)
    k = torch.cat((k, k[::2])).requires_grad_()
    (found,) = torch.autograd.grad(attention(q, k).sum(), k)
    (wanted,) = torch.autograd.grad((q @ k.T).amax(-1).sum(), k)
    torch.testing.assert_close(found, wanted)
    assert int((found.abs().sum(-1) > 0).sum()) > 0
