"""Tensors defined by parts: one more place, a stretch behind, every other point, segments, holes."""

from __future__ import annotations

import pytest
import torch

from tests.ir.oracle import normal, one, oracle, same

F = torch.float64


@pytest.mark.parametrize("N", [0, 1, 5])
def test_one_more_key(N: int) -> None:
    text = """
    attention sink(S0[m,n], V[n,f], sink[]) -> O, L, whole, part:
        index t <= N
        S[m,n] = S0
        S[m,N] = sink
        A[m,t] = softmax[t](S[m,t])
        O[m,f] = A[m,n] * V[n,f]
        L[m] = logsumexp[t](S[m,t])
        whole[m] = sum[t](S[m,t])
        part[m] = sum[n](S[m,n])
    """
    S0, V, sink = normal(3, N), normal(N, 2), torch.tensor(0.5, dtype=F)
    found = oracle(text, S0=S0, V=V, sink=sink)
    S = torch.cat([S0, sink.expand(3, 1)], 1)
    same(found["O"], torch.softmax(S, 1)[:, :N] @ V)
    same(found["L"], torch.logsumexp(S, 1))
    same(found["whole"], S.sum(1))
    same(found["part"], S0.sum(1))


@pytest.mark.parametrize(("N", "J"), [(3, 2), (0, 2), (3, 0), (1, 1)])
def test_a_stretch_behind(N: int, J: int) -> None:
    text = """
    attention prefix(X[n,e], Y[j,e]) -> Z, O, behind:
        index t < N + J
        Z[n,e] = X
        Z[N + j,e] = 2 * Y
        O[e] = max[t](Z[t,e])
        behind[j,e] = Z[N + j,e]
    """
    X, Y = normal(N, 2), normal(J, 2, seed=1)
    found = oracle(text, X=X, Y=Y)
    both = torch.cat([X, 2 * Y])
    same(found["Z"], both)
    same(found["O"], both.amax(0))
    same(found["behind"], 2 * Y)


def test_every_other_point() -> None:
    text = """
    attention woven(A[p,e], B[p,e]) -> T, odd:
        index t < 2 * P
        T[2 * p,e] = A
        T[2 * p + 1,e] = B
        odd[p,e] = T[2 * p + 1,e] - T[2 * p,e]
    """
    A, B = normal(3, 2), normal(3, 2, seed=1)
    found = oracle(text, A=A, B=B)
    same(found["T"], torch.stack([A, B], 1).reshape(6, 2))
    same(found["odd"], B - A)


def test_points_that_no_part_defines_are_absent() -> None:
    text = """
    attention holes(B[p]) -> T, at, n, mean:
        index 1 <= t < 2 * P
        T[2 * p + 1] = B
        at[t] = exists(T[t])
        n[] = sum[t](1 where exists(T[t]))
        mean[] = mean[t](T[t])
    """
    found = oracle(text, B=torch.tensor([1.0, 2.0, 6.0], dtype=F))
    assert found["at"].tolist() == [True, False, True, False, True]
    same(found["n"], 3)
    same(found["mean"], 3.0)


@pytest.mark.parametrize(("S", "R"), [(3, 4), (2, 1), (1, 4), (0, 2)])
def test_segments_side_by_side(S: int, R: int) -> None:
    text = """
    attention segments(X[s,r,e]) -> T, O, one:
        require R >= 1
        index t < S * R
        T[s * R + r,e] = X
        O[e] = logsumexp[t](T[t,e])
        one[s,r] = sum[e](T[s * R + r,e])
    """
    X = normal(S, R, 2)
    found = oracle(text, X=X)
    same(found["T"], X.reshape(S * R, 2))
    same(found["O"], torch.logsumexp(X.reshape(S * R, 2), 0) if S else torch.full((2,), -torch.inf, dtype=F))
    same(found["one"], X.sum(2))


def test_segments_with_a_landmark_each() -> None:
    text = """
    attention landmarks(X[s,r], g[s]) -> T, n:
        SEG = R + 1
        index t < S * SEG
        T[s * SEG + r] = X
        T[s * SEG + SEG - 1] = g
        n[] = sum[t](1 where exists(T[t]))
    """
    X, g = normal(2, 2), normal(2, seed=1)
    found = oracle(text, X=X, g=g)
    same(found["T"], torch.cat([X, g[:, None]], 1).reshape(6))
    same(found["n"], 6)


def test_a_part_in_two_axes() -> None:
    text = """
    attention corner(X[m,n], u[m], v[n]) -> T:
        T[m,n] = X
        T[m,N] = u
        T[M,n] = v
        T[M,N] = 9
    """
    X, u, v = normal(2, 3), normal(2), normal(3)
    wanted = torch.cat([torch.cat([X, u[:, None]], 1), torch.cat([v, torch.tensor([9.0], dtype=F)])[None]])
    same(one(text, X=X, u=u, v=v), wanted)


def test_which_part_and_its_conditions_are_one_condition() -> None:
    text = """
    attention mixed(X[m,n], sink[m], len[m]: int) -> row, top, own, at:
        index t <= N
        S[m,n] = X where n < len[m]
        S[m,N] = sink where len[m] > 0
        row[m] = 1 + sum[t](S[m,t])
        top[m] = max[t](S[m,t])
        own[m] = 1 + sum[n](S[m,n])
        at[m,t] = exists(S[m,t])
    """
    X, sink, lens = normal(3, 2), normal(3), [0, 1, 2]
    found = oracle(text, X=X, sink=sink, len=torch.tensor(lens))
    for m, n in enumerate(lens):
        there = torch.cat([X[m, :n], sink[m : m + 1]]) if n else torch.zeros(0, dtype=F)
        same(found["row"][m], 1 + there.sum())  # the condition mentions t: a row with nothing is not removed
        same(found["top"][m], there.amax() if n else -torch.inf)
        same(found["own"][m], 1 + X[m, :n].sum())
        assert found["at"][m].tolist() == [k < n for k in range(2)] + [n > 0]


def test_a_mask_that_is_the_same_along_an_axis_still_mentions_it() -> None:
    text = """
    attention rows(X[m,n], sink[m], r[m]: int) -> row:
        index t <= N
        S[m,n] = X where n >= 0 * r[m] and r[m] > 0
        S[m,N] = sink where r[m] > 0
        row[m] = 1 + sum[t](S[m,t])
    """
    X, sink = normal(2, 3), normal(2)
    found = one(text, X=X, sink=sink, r=torch.tensor([0, 1]))
    same(found, torch.stack([torch.ones((), dtype=F), 1 + X[1].sum() + sink[1]]))


def test_types_join() -> None:
    text = "attention join(i[n]: int, x[]) -> T:\n    T[n] = i\n    T[N] = x"
    same(one(text, i=torch.tensor([1, 2]), x=torch.tensor(0.5, dtype=F)), [1.0, 2.0, 0.5])
