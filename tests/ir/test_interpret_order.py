"""Order operations: ties to the smaller index, NaN and absent points last, slots that no point fills, lengths as k."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from tests.ir.oracle import normal, one, oracle, same

F = torch.float64
INF, NAN = math.inf, math.nan
ROWS = torch.tensor([[2.0, 7.0, 2.0, 7.0, NAN], [INF, -INF, 0.0, -INF, INF], [5.0, 4.0, 3.0, 2.0, 1.0]], dtype=F)
LEN = torch.tensor([5, 4, 0])


def ranked(row: list[float], length: int, *, descending: bool) -> list[int]:
    """The places of the values that count, in order: by hand, with Python's stable sort."""
    places = [n for n in range(length) if not math.isnan(row[n])]
    return sorted(places, key=lambda n: (-row[n] if descending else row[n], n))


def padded(found: list[Any], length: int, fill: Any) -> list[Any]:
    return (found + [fill] * length)[:length]


@pytest.mark.parametrize("slots", [0, 1, 3, 7])
def test_orders_and_their_places(slots: int) -> None:
    text = f"""
    attention orders(X[m,n], len[m]: int) -> best, up, sorted, there:
        index t < {slots}
        best[m,t] = argtopk[n -> t](X where n < len[m])
        up[m,t] = argsort[n -> t](X where n < len[m])
        sorted[m,t] = sort[n -> t](X where n < len[m])
        there[m,t] = exists(sort[n -> t](X where n < len[m]))
    """
    found = oracle(text, X=ROWS, len=LEN)
    for m, (row, length) in enumerate(zip(ROWS.tolist(), LEN.tolist(), strict=True)):
        down, up = ranked(row, length, descending=True), ranked(row, length, descending=False)
        assert found["best"][m].tolist() == padded(down, slots, -1)
        assert found["up"][m].tolist() == padded(up, slots, -1)
        assert found["sorted"][m].tolist() == padded([row[n] for n in up], slots, 0.0)
        assert found["there"][m].tolist() == padded([True] * len(up), slots, False)


@pytest.mark.parametrize("k", [-1, 0, 1, 2, 4, 9])
def test_topk_marks_the_largest(k: int) -> None:
    text = "attention top(X[m,n], len[m]: int, k[]: int) -> keep:\n    keep[m,n] = topk[n; k](X where n < len[m])"
    found = one(text, X=ROWS, len=LEN, k=k)
    for m, (row, length) in enumerate(zip(ROWS.tolist(), LEN.tolist(), strict=True)):
        kept = ranked(row, length, descending=True)[: max(k, 0)]
        assert found[m].tolist() == [n in kept for n in range(5)]


@pytest.mark.parametrize("k", [-1, 0, 2, 4, 5])
def test_kth_counts_from_the_smallest(k: int) -> None:
    text = """
    attention rank(X[m,n], len[m]: int, k[]: int) -> O, at:
        O[m] = kth[n; k](X where n < len[m])
        at[m] = exists(kth[n; k](X where n < len[m]))
    """
    found = oracle(text, X=ROWS, len=LEN, k=k)
    for m, (row, length) in enumerate(zip(ROWS.tolist(), LEN.tolist(), strict=True)):
        up = ranked(row, length, descending=False)
        there = 0 <= k < len(up)
        same(found["O"][m], row[up[k]] if there else 0.0)
        assert bool(found["at"][m]) == there


def test_k_may_depend_on_a_length_and_on_the_row() -> None:
    text = """
    attention lengths(X[m,n], len[m]: int) -> half, own, slots:
        index t < ceil(N / 2)
        half[m,n] = topk[n; N // 2](X)
        own[m,n] = topk[n; len[m]](X)
        slots[m,t] = argtopk[n -> t](X)
    """
    X, lens = normal(3, 5), torch.tensor([0, 2, 5])
    found = oracle(text, X=X, len=lens)
    rank = X.argsort(1, descending=True).argsort(1)
    assert torch.equal(found["half"], rank < 2)
    assert torch.equal(found["own"], rank < lens[:, None])
    same(found["slots"], X.argsort(1, descending=True)[:, :3])


def test_several_axes_are_row_major() -> None:
    text = """
    attention plane(S[m,x,y]) -> at, keep, best, second:
        require Y >= 1
        index t < 3
        at[m,t] = argtopk[x,y -> t](S)
        keep[m,x,y] = topk[x,y; 2](S)
        best[m] = argmax[x,y](S)
        second[m] = S[m, at[m,1] // Y, at[m,1] % Y]
    """
    S = torch.tensor([[[1.0, 5.0, 5.0], [5.0, 0.0, 9.0]], [[4.0, 3.0, 2.0], [1.0, 0.0, -1.0]]], dtype=F)
    found = oracle(text, S=S)
    same(found["at"], [[5, 1, 2], [0, 1, 2]])
    assert found["keep"].tolist() == [
        [[False, True, False], [False, False, True]],
        [[True, True, False], [False, False, False]],
    ]
    same(found["best"], [5, 0])
    same(found["second"], [5.0, 3.0])


def test_the_first_of_equals_is_the_argmax() -> None:
    text = "attention arg(X[m,n]) -> hi, lo:\n    hi[m] = argmax[n](X)\n    lo[m] = argmin[n](X)"
    found = oracle(
        text, X=torch.tensor([[1.0, 3.0, 3.0, 1.0], [-INF, -INF, -INF, -INF], [NAN, 2.0, 2.0, 5.0]], dtype=F)
    )
    same(found["hi"], [1, 0, 3])
    same(found["lo"], [0, 0, 1])


def test_places_are_positions() -> None:
    text = """
    attention tail(Q[m], K[n]) -> best, order, value:
        index N - M <= m < N, t < 2
        best[] = argmax[m](Q)
        order[t] = argtopk[m -> t](Q)
        value[] = Q[best[] + 0]
    """
    found = oracle(text, Q=torch.tensor([1.0, 5.0, 2.0], dtype=F), K=normal(7))
    same(found["best"], 5)
    same(found["order"], [5, 6])
    same(found["value"], 5.0)


def test_slots_may_start_anywhere() -> None:
    text = """
    attention slots(X[n]) -> best, value, there:
        index 1 <= t <= 3
        best[t] = argtopk[n -> t](X)
        value[t] = X[best[t]]
        there[t] = exists(best)
    """
    found = oracle(text, X=torch.tensor([4.0, 6.0], dtype=F))
    same(found["best"], [1, 0, -1])
    same(found["value"], [6.0, 4.0, 0.0])
    same(found["there"], [True, True, False])


def test_large_integers_are_ordered_exactly() -> None:
    text = "attention big(i[n]: int) -> hi, best:\n    hi[] = argmax[n](i)\n    best[] = max[n](i)"
    i = torch.tensor([2**62, 2**62 + 1, 2**62 - 1])
    found = oracle(text, i=i)
    same(found["hi"], 1)
    same(found["best"], 2**62 + 1)


@pytest.mark.parametrize("length", [0, 1])
def test_short_axes(length: int) -> None:
    text = """
    attention short(X[n]) -> best, up, value, keep:
        index t < 2
        best[t] = argtopk[n -> t](X)
        up[t] = sort[n -> t](X)
        value[] = kth[n; 0](X)
        keep[n] = topk[n; 1](X)
    """
    found = oracle(text, X=torch.full((length,), 4.0, dtype=F))
    same(found["best"], [0, -1] if length else [-1, -1])
    same(found["up"], [4.0, 0.0] if length else [0.0, 0.0])
    same(found["value"], 4.0 if length else 0.0)
    assert found["keep"].tolist() == [True] * length
