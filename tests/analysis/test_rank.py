"""The measured rank of a stream's state: it stays where one pass is enough, and is the size of the derived state."""

from __future__ import annotations

import pytest

import attnc
from attnc.analysis.rank import ranks

HEAD = "attention p(Q[m,e], K[n,e], V[n,f]) -> O:\n    S[m,n] = Q * K\n"
SHAPE = {"m": 1, "e": 2, "f": 2}
BOUNDED = {
    "softmax": ("O[m,f] = softmax[n](S) * V", 3),  # the sum and two accumulators: F + 1
    "sigmoid": ("O[m,f] = sum[n](sigmoid(S) * V)", 2),
    "variance": ("O[m] = var[n](S)", 2),  # two sums; the count is no derivative
    "entropy": ("O[m] = -sum[n](xlogx(softmax[n](S)))", 2),
    "l2": ("W[m,n] = exp(S)\n    O[m,f] = sum[n](W * V) / sqrt(sum[n](W * W))", 3),
    "differential": ("O[m,f] = sum[n]((softmax[n](S) - 0.3 * softmax[n](0.5 * S)) * V)", 6),  # 2 * (F + 1)
}
GROWING = {
    "sigmoid about the mean": "U[m] = mean[n](S)\n    O[m,f] = sum[n](sigmoid(4 * (S - U)) * V)",
    "standard scores": "U[m] = mean[n](S)\n    D[m] = sqrt(var[n](S))\n    O[m,f] = softmax[n]((S - U) / D) * V",
}


def measured(body: str, prefixes: tuple[int, ...]) -> tuple[int, ...]:
    return ranks(attnc.compile(f"{HEAD}    {body}\n").program().stated, "n", SHAPE, prefixes)


@pytest.mark.parametrize("name", BOUNDED)
def test_the_rank_of_a_bounded_state_stays(name: str) -> None:
    body, size = BOUNDED[name]
    assert measured(body, (4, 8, 16)) == (size, size, size)


@pytest.mark.parametrize("name", GROWING)
def test_the_rank_grows_where_the_derivation_refuses(name: str) -> None:
    short, long = measured(GROWING[name], (4, 8))
    assert short > 2 * 3  # more than any state above, from four keys
    assert long > short
    refusals = attnc.compile(f"{HEAD}    {GROWING[name]}\n").program().plan.refusals
    assert [item.code for item in refusals] == ["NSEP"]


@pytest.mark.parametrize("name", BOUNDED)
def test_a_bounded_state_is_derived_to_one_pass(name: str) -> None:
    program = attnc.compile(f"{HEAD}    {BOUNDED[name][0]}\n").program()
    assert len(program.streams) == 1
    assert program.plan.refusals == ()
