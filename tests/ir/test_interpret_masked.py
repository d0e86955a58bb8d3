"""What is absent is never read: NaN and infinities there do not leak; outputs hold 0, false and -1 there."""

from __future__ import annotations

import math

import pytest
import torch

from tests.ir.oracle import normal, one, oracle, same

F = torch.float64
INF, NAN = math.inf, math.nan
HIDDEN = pytest.mark.parametrize("hidden", [NAN, INF, -INF])


@HIDDEN
def test_padding_of_keys_and_values(hidden: float) -> None:
    text = """
    attention padded(Q[b,m,e], K[b,n,e], V[b,n,f], len[b]: int) -> O, top, mean, L:
        S[b,m,n] = Q * K where n < len[b]
        O[b,m,f] = softmax[n](S) * V
        top[b,m] = max[n](S)
        mean[b,m] = mean[n](S)
        L[b] = sum[n,f](V where n < len[b])
    """
    Q, K, V = normal(2, 3, 4), normal(2, 5, 4), normal(2, 5, 2)
    K[0, 2:], V[0, 2:] = hidden, hidden
    found = oracle(text, Q=Q, K=K, V=V, len=torch.tensor([2, 5]))
    for b, n in enumerate((2, 5)):
        S = Q[b] @ K[b, :n].T
        same(found["O"][b], torch.softmax(S, 1) @ V[b, :n])
        same(found["top"][b], S.amax(1))
        same(found["mean"][b], S.mean(1))
        same(found["L"][b], V[b, :n].sum())


@HIDDEN
def test_a_product_with_an_absent_factor(hidden: float) -> None:
    text = """
    attention product(A[m,n], V[n,f], W[n,f], see[m,n]: bool) -> O, P:
        O[m,f] = sum[n]((A where see) * V)
        P[m,f] = prod[n]((A where see) * V * W)
    """
    A, V, W = normal(3, 4), normal(4, 2), normal(4, 2, seed=1)
    see = torch.tensor([[True, True, True, False], [False, True, True, False], [False, False, False, False]])
    V[3], W[3] = hidden, hidden
    found = oracle(text, A=A, V=V, W=W, see=see)
    kept = torch.where(see[:, :3], A[:, :3], 0.0)
    same(found["O"], kept @ V[:3])
    factors = (A[:, :3, None] * V[:3] * W[:3]).masked_fill(~see[:, :3, None], 1.0)
    same(found["P"], factors.prod(1))


@HIDDEN
def test_the_branch_that_is_not_taken(hidden: float) -> None:
    text = "attention branch(X[n], Y[n], p[n]: bool) -> O:\n    O[] = sum[n](X * 2 if p else Y / 2)"
    X, Y = torch.tensor([1.0, hidden], dtype=F), torch.tensor([hidden, 3.0], dtype=F)
    same(one(text, X=X, Y=Y, p=torch.tensor([True, False])), 3.5)


@HIDDEN
def test_a_gather_with_free_slots(hidden: float) -> None:
    text = """
    attention paged(K[p,e], page[n]: int, q[e]) -> O, T:
        S[n] = sum[e](K[page[n],e] * q[e])
        O[] = sum[n](S)
        T[n] = default(S, 7)
    """
    K = torch.tensor([[hidden, hidden], [1.0, 2.0], [3.0, 4.0]], dtype=F)
    found = oracle(text, K=K, page=torch.tensor([1, -1, 2, 3]), q=torch.tensor([1.0, 10.0], dtype=F))
    same(found["O"], 21.0 + 43.0)
    same(found["T"], [21.0, 7.0, 43.0, 7.0])


def test_outputs_at_absent_points() -> None:
    text = """
    attention shown(X[n], i[n]: int, p[n]: bool) -> real, whole, truth, below:
        real[n] = X where n < 2
        whole[n] = i where n < 2
        truth[n] = p where n < 2
        below[n] = X - 5 where X > 100
    """
    found = oracle(text, X=normal(3) + 2, i=torch.tensor([5, 0, 6]), p=torch.tensor([True, False, True]))
    same(found["real"][2:], [0.0])
    same(found["whole"], [5, 0, -1])
    assert found["truth"].tolist() == [True, False, False]
    same(found["below"], [0.0, 0.0, 0.0])


def test_what_is_kept_of_a_recurrence_is_shown_alike() -> None:
    text = """
    attention state(g[i], x[i]) -> T:
        T[0] = 1
        T[i+1] = T[i] + x where g > 0
    """
    found = one(text, g=torch.tensor([1.0, -1.0, 1.0], dtype=F), x=torch.tensor([1.0, NAN, 5.0], dtype=F))
    same(found, [1.0, 2.0, 0.0, 0.0])  # an absent step makes later states absent
