"""Reads: subscripts are positions; outside its axis a compound subscript is absent; gathers; scatters."""

from __future__ import annotations

import pytest
import torch

from tests.ir.oracle import normal, one, oracle, same

F = torch.float64


@pytest.mark.parametrize(("M", "N"), [(3, 5), (5, 5), (1, 4), (0, 3), (0, 0)])
def test_the_queries_are_the_last_positions(M: int, N: int) -> None:
    text = """
    attention tail(Q[b,m,e], K[b,n,e]) -> where_it_is, S, own, first:
        require M <= N
        index N - M <= m < N
        where_it_is[b,m] = m
        S[b,m,n] = Q * K where n <= m
        own[b,m] = sum[e](Q[b,m,e] * K[b,m,e])
        first[b,e] = Q[b,0,e]
    """
    Q, K = normal(2, M, 4), normal(2, N, 4, seed=1)
    found = oracle(text, Q=Q, K=K)
    at = torch.arange(N - M, N)
    same(found["where_it_is"], at.expand(2, M))
    same(found["S"], (Q @ K.mT).masked_fill(torch.arange(N) > at[:, None], 0.0))
    same(found["own"], (Q * K[:, N - M :]).sum(-1))
    first = Q[:, 0] if M == N and M else torch.zeros(2, 4, dtype=F)
    same(found["first"], first)  # position 0, not the first row that is given


def test_more_queries_than_keys_stand_before_the_first() -> None:
    text = """
    attention tail(Q[m], K[n]) -> O, own:
        index N - M <= m < N
        O[m] = m
        own[m] = default(K[m + 0 * m], 9)
    """
    found = oracle(text, Q=normal(4), K=torch.tensor([1.0, 2.0], dtype=F))
    same(found["O"], [-2, -1, 0, 1])
    same(found["own"], [9.0, 9.0, 1.0, 2.0])


def test_affine_subscripts_and_their_quotients() -> None:
    text = """
    attention blocks(X[n]) -> half, twice, rest, back, near:
        half[n] = X[n // 2]
        twice[n] = X[2 * n]
        rest[n] = X[n % 3]
        back[n] = X[N - 1 - n]
        near[n] = X[n - 2]
    """
    X = normal(7)
    found, n = oracle(text, X=X), torch.arange(7)
    same(found["half"], X[n // 2])
    same(found["twice"], torch.where(2 * n < 7, X[(2 * n).clamp(max=6)], 0.0))
    same(found["rest"], X[n % 3])
    same(found["back"], X.flip(0))
    same(found["near"], torch.where(n >= 2, X[(n - 2).clamp(min=0)], 0.0))  # a negative one is absent, not the last


def test_heads_in_groups_are_read_where_they_lie() -> None:
    """Along h = R g + r the axis is cut in two, in whichever order the statement names g and r."""
    text = """
    attention groups(X[h,d]; R: int = 3) -> total, turned, every:
        index g < H // R
        index r < R
        total[g,d] = sum[r](X[R * g + r, d])
        turned[r,d,g] = X[r + R * g, d] + 0 * g
        every[r,g,d] = X[r * (H // R) + H // R - 1 - g, d]
    """
    X = normal(12, 5)
    found, groups = oracle(text, X=X), X.reshape(4, 3, 5)
    same(found["total"], groups.sum(1))
    same(found["turned"], groups.permute(1, 2, 0))
    same(found["every"], X.reshape(3, 4, 5).flip(1))


def test_a_paged_cache() -> None:
    text = """
    attention paged(Q[b,h,e], K[p,j,h,e], V[p,j,h,e], page[b,c]: int, len[b]: int) -> O:
        index n < C * J
        require J >= 1
        S[b,h,n] = sum[e](Q[b,h,e] * K[page[b, n // J], n % J, h, e]) where n < len[b]
        O[b,h,e] = sum[n](softmax[n](S) * V[page[b, n // J], n % J, h, e])
    """
    Q, K, V = normal(2, 3, 4), normal(5, 2, 3, 4), normal(5, 2, 3, 4, seed=1)
    page, lens = torch.tensor([[4, 0, -1], [1, 3, 2]]), [3, 6]
    found = one(text, Q=Q, K=K, V=V, page=page, len=torch.tensor(lens))
    for b, n in enumerate(lens):
        pages = page[b, : (n + 1) // 2]
        keys, values = K[pages].flatten(0, 1)[:n], V[pages].flatten(0, 1)[:n]
        weights = torch.softmax(torch.einsum("he,nhe->hn", Q[b], keys), 1)
        same(found[b], torch.einsum("hn,nhe->he", weights, values))


def test_a_diagonal_and_a_transpose() -> None:
    text = """
    attention square(X[m,n]) -> D, T, R:
        require M == N
        D[m] = X[m,m]
        T[n,m] = X[m,n]
        R[m,n] = X[n,m]
    """
    X = normal(4, 4)
    found = oracle(text, X=X)
    same(found["D"], X.diagonal())
    same(found["T"], X.T)
    same(found["R"], X.T)


def test_an_expression_is_read_again_at_another_point() -> None:
    text = """
    attention again(X[n,e]) -> O:
        O[n,e] = (X * n)[n = N - 1 - n] + (X[n,e] * e)[e = (e + 1) % E]
    """
    X, n, e = normal(3, 4), torch.arange(3)[:, None], torch.arange(4)
    same(one(text, X=X), (X * n).flip(0) + (X * e).roll(-1, 1))


def test_a_scatter_is_a_sum_with_an_equality() -> None:
    text = """
    attention scatter(Y[b,c,f], idx[b,c]: int, K[b,n]) -> O, count:
        O[b,n,f] = sum[c](Y where idx[b,c] == n)
        count[b,n] = sum[c](1 where idx[b,c] == n)
    """
    Y, idx = normal(2, 6, 3), torch.tensor([[0, 2, 2, -1, 9, 0], [3, 3, 3, 3, -1, 1]])
    found = oracle(text, Y=Y, idx=idx, K=normal(2, 4))
    wanted, count = torch.zeros(2, 4, 3, dtype=F), torch.zeros(2, 4, dtype=torch.int64)
    for b in range(2):
        for c in range(6):
            if 0 <= idx[b, c] < 4:
                wanted[b, idx[b, c]] += Y[b, c]
                count[b, idx[b, c]] += 1
    same(found["O"], wanted)
    same(found["count"], count)


def test_a_gather_through_two_tables() -> None:
    text = """
    attention hop(X[n,e], first[m]: int, second[n]: int) -> O, at:
        O[m,e] = X[second[first[m]],e]
        at[m] = exists(second[first[m]])
    """
    X, first, second = normal(4, 2), torch.tensor([1, 3, -1, 0]), torch.tensor([2, 9, 0, 3])
    found = oracle(text, X=X, first=first, second=second)
    zero = torch.zeros(2, dtype=F)
    same(found["O"], torch.stack([zero, X[3], zero, X[2]]))  # second[1] is there, but no row 9 of X
    assert found["at"].tolist() == [True, True, False, True]


@pytest.mark.parametrize("length", [0, 1])
def test_short_axes(length: int) -> None:
    text = "attention short(X[n], i[m]: int) -> O, P:\n    O[m] = default(X[i[m]], 5)\n    P[n] = default(X[n - 1], 5)"
    X = torch.full((length,), 3.0, dtype=F)
    found = oracle(text, X=X, i=torch.tensor([-1, 0, 1]))
    same(found["O"], [5.0, 3.0 if length else 5.0, 5.0])
    same(found["P"], [5.0] * length)
    same(oracle(text, X=X, i=torch.zeros(0, dtype=torch.int64))["O"], torch.zeros(0, dtype=F))
