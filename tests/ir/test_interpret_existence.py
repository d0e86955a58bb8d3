"""Existence: a set of conditions, each on certain indices; what a fold takes and what stays absent."""

from __future__ import annotations

import torch

from tests.ir.oracle import normal, one, oracle, same

F = torch.float64


def test_the_sum_over_e_of_a_key_that_does_not_exist_does_not_exist() -> None:
    text = """
    attention window(Q[m,e], K[n,e], V[n,f]) -> O, S, seen:
        index d < 3
        S[m,d] = sum[e](Q[m,e] * K[m - d,e])
        seen[m,d] = exists(S[m,d])
        O[m,f] = sum[d](softmax[d](S[m,d]) * V[m - d,f])
    """
    Q, K, V = normal(5, 4), normal(5, 4, seed=1), normal(5, 2, seed=2)
    found = oracle(text, Q=Q, K=K, V=V)
    for m in range(5):
        keys = [m - d for d in range(3) if m - d >= 0]
        scores = torch.stack([Q[m] @ K[n] for n in keys])
        same(found["O"][m], torch.softmax(scores, 0) @ V[keys])
        same(found["S"][m, : len(keys)], scores)
        same(found["S"][m, len(keys) :], torch.zeros(3 - len(keys), dtype=F))
        assert found["seen"][m].tolist() == [d < len(keys) for d in range(3)]


def test_a_clause_is_a_unit() -> None:
    text = """
    attention padded(X[b,n], len[b]: int, R[b,m]) -> O, P:
        O[b,m] = R + sum[n](X where n < len[b] and m < len[b])
        P[b,m] = R + sum[n](X[b,n] where n < len[b]) where m < len[b]
    """
    X, R, lens = normal(2, 4), normal(2, 3), torch.tensor([2, 4])
    found = oracle(text, X=X, R=R, len=lens)
    for b in range(2):
        for m in range(3):
            kept = float(X[b, : lens[b]].sum()) if m < lens[b] else 0.0
            same(found["O"][b, m], R[b, m] + kept)  # nothing to fold: the residual survives
            same(found["P"][b, m], R[b, m] + kept if m < lens[b] else torch.zeros((), dtype=F))


def test_a_second_clause_removes_the_row_before_a_fold_sees_it() -> None:
    text = """
    attention two(X[m,n]) -> together, apart, rows:
        A[m,n] = X where n < 2 and m < 2
        B[m,n] = (X where n < 2) where m < 2
        together[m] = 1 + sum[n](A)
        apart[m] = 1 + sum[n](B)
        rows[] = sum[m](1 + sum[n](B))
    """
    X = normal(3, 4)
    found = oracle(text, X=X)
    kept = X[:, :2].sum(1)
    same(found["together"], torch.stack([1 + kept[0], 1 + kept[1], torch.ones((), dtype=F)]))
    same(found["apart"], torch.stack([1 + kept[0], 1 + kept[1], torch.zeros((), dtype=F)]))
    same(found["rows"], (1 + kept[:2]).sum())


def test_naming_an_intermediate_changes_nothing() -> None:
    named = """
    attention named(X[b,n,e], w[b,n,e]) -> O:
        Y[b,n,e] = X where n < 3
        Z[b,n] = sum[e](Y * w)
        O[b] = 1 + sum[n](Z)
    """
    inline = """
    attention inline(X[b,n,e], w[b,n,e]) -> O:
        O[b] = 1 + sum[n](sum[e]((X where n < 3) * w))
    """
    X, w = normal(2, 5, 3), normal(2, 5, 3, seed=1)
    wanted = 1 + torch.einsum("bne,bne->b", X[:, :3], w[:, :3])
    same(one(named, X=X, w=w), wanted)
    same(one(inline, X=X, w=w), wanted)


def test_a_choice_has_one_condition_and_is_lazy() -> None:
    text = """
    attention choose(X[n]) -> O, at:
        index m < 4
        Y[m] = X[m - 1] if m > 1 else X[m + 5]
        O[m] = Y
        at[m] = exists(Y)
    """
    X = normal(6)
    found = oracle(text, X=X)
    same(found["O"], torch.stack([X[5], torch.zeros((), dtype=F), X[1], X[2]]))
    assert found["at"].tolist() == [True, False, True, True]


def test_default_has_the_conditions_of_its_second_operand() -> None:
    text = """
    attention fall(X[n], Y[n]) -> A, B, C, atC:
        A[n] = default(X[n - 1], -1)
        B[n] = default(X[n - 1], Y[n])
        C[n] = default(X[n - 1], Y[n + 1])
        atC[n] = exists(C)
    """
    X, Y = normal(4), normal(4, seed=1)
    found = oracle(text, X=X, Y=Y)
    same(found["A"], torch.cat([torch.tensor([-1.0], dtype=F), X[:3]]))
    same(found["B"], torch.cat([Y[:1], X[:3]]))
    same(found["C"], torch.cat([Y[1:2], X[:2], torch.zeros(1, dtype=F)]))
    assert found["atC"].tolist() == [True, True, True, False]


def test_a_masked_softmax_keeps_its_conditions() -> None:
    text = """
    attention causal(S[m,n]) -> A, at, rows:
        A[m,n] = softmax[n](S where n <= m)
        at[m,n] = exists(A)
        rows[m] = sum[n](A)
    """
    S = normal(3, 4)
    found = oracle(text, S=S)
    mask = torch.ones(3, 4).tril().bool()
    same(found["A"], torch.softmax(S.masked_fill(~mask, -torch.inf), 1))
    assert torch.equal(found["at"], mask)
    same(found["rows"], torch.ones(3, dtype=F))


def test_an_empty_row_of_softmax_sums_to_nothing() -> None:
    text = """
    attention rows(S[m,n], V[n,f], len[m]: int) -> O:
        O[m,f] = softmax[n](S where n < len[m]) * V
    """
    S, V = normal(3, 4), normal(4, 2)
    found = one(text, S=S, V=V, len=torch.tensor([0, 1, 4]))
    same(found, torch.stack([torch.zeros(2, dtype=F), V[0], torch.softmax(S[2], 0) @ V]))
