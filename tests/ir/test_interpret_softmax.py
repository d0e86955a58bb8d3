"""softmax and logsumexp: rows of -inf, NaN, large numbers, several indices, where something is masked."""

from __future__ import annotations

import math

import pytest
import torch

from tests.ir.oracle import normal, oracle, same

F = torch.float64
INF, NAN = math.inf, math.nan
TEXT = """
attention rows(S[m,n], see[m,n]: bool) -> A, rows, L:
    A[m,n] = softmax[n](S where see)
    rows[m] = sum[n](A)
    L[m] = logsumexp[n](S where see)
"""


def rows(S: torch.Tensor, see: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
    return oracle(TEXT, S=S, see=torch.ones_like(S, dtype=torch.bool) if see is None else see)


def test_it_is_the_softmax() -> None:
    S = 3 * normal(4, 7)
    found = rows(S)
    same(found["A"], torch.softmax(S, 1))
    same(found["L"], torch.logsumexp(S, 1))


def test_large_numbers_do_not_overflow() -> None:
    S = torch.tensor([[1e4, 1e4 - 1, -1e4], [-1e4, -1e4, -1e4 - 2]], dtype=F)
    found = rows(S)
    same(found["A"], torch.softmax(S, 1))
    same(found["L"], torch.logsumexp(S, 1))


def test_a_point_of_minus_infinity_has_no_weight() -> None:
    found = rows(torch.tensor([[-INF, 1.0, 1.0]], dtype=F))
    same(found["A"], [[0.0, 0.5, 0.5]])
    same(found["L"], [1 + math.log(2)])


def test_a_row_of_minus_infinity_has_no_weight_at_all() -> None:
    found = rows(torch.full((1, 3), -INF, dtype=F))
    same(found["A"], [[0.0, 0.0, 0.0]])
    same(found["rows"], [0.0])
    same(found["L"], [-INF])


def test_a_row_whose_existing_values_are_minus_infinity() -> None:
    see = torch.tensor([[True, True, False]])
    found = rows(torch.tensor([[-INF, -INF, 5.0]], dtype=F), see)
    same(found["A"], [[0.0, 0.0, 0.0]])
    same(found["L"], [-INF])


def test_nan_stays_in_its_own_row() -> None:
    found = rows(torch.tensor([[NAN, 1.0, 2.0], [0.0, 0.0, -INF]], dtype=F))
    same(found["A"], [[NAN, NAN, NAN], [0.5, 0.5, 0.0]])
    same(found["L"], [NAN, math.log(2)])


@pytest.mark.parametrize("hidden", [INF, -INF, NAN, 1e300])
def test_masked_points_are_never_read(hidden: float) -> None:
    see = torch.tensor([[True, False, True], [False, False, False]])
    S = torch.tensor([[1.0, hidden, 2.0], [hidden, hidden, hidden]], dtype=F)
    found = rows(S, see)
    weights = torch.softmax(torch.tensor([1.0, 2.0], dtype=F), 0)
    same(found["A"], [[float(weights[0]), 0.0, float(weights[1])], [0.0, 0.0, 0.0]])
    same(found["rows"], [1.0, 0.0])
    same(found["L"], [math.log(math.e + math.e**2), -INF])


def test_over_several_indices() -> None:
    text = """
    attention plane(S[m,x,y], V[x,y,f]) -> O, L:
        A[m,x,y] = softmax[x,y](S where x != y)
        O[m,f] = A * V
        L[m] = logsumexp[x,y](S where x != y)
    """
    S, V = normal(2, 3, 4), normal(3, 4, 5)
    flat = S.masked_fill(torch.eye(3, 4).bool(), -INF).reshape(2, 12)
    found = oracle(text, S=S, V=V)
    same(found["O"], torch.softmax(flat, 1) @ V.reshape(12, 5))
    same(found["L"], torch.logsumexp(flat, 1))


def test_over_an_index_that_its_body_lacks() -> None:
    text = "attention flat(S[m], V[n]) -> O, L:\n    O[m] = softmax[n](S[m]) * V[n]\n    L[m] = logsumexp[n](S[m])"
    S, V = normal(3), normal(4)
    found = oracle(text, S=S, V=V)
    same(found["O"], V.mean().expand(3))
    same(found["L"], S + math.log(4))


def test_of_integers_and_booleans() -> None:
    text = "attention whole(i[m,n]: int) -> A, B:\n    A[m,n] = softmax[n](i)\n    B[m,n] = softmax[n](i > 0)"
    i = torch.tensor([[0, 1, 2], [-1, 0, 3]])
    found = oracle(text, i=i)
    same(found["A"], torch.softmax(i.double(), 1))
    same(found["B"], torch.softmax((i > 0).double(), 1))


def test_lengths_zero_and_one() -> None:
    found = rows(torch.zeros(2, 0, dtype=F))
    same(found["rows"], [0.0, 0.0])
    same(found["L"], [-INF, -INF])
    found = rows(torch.tensor([[5.0], [-INF]], dtype=F))
    same(found["A"], [[1.0], [0.0]])
    same(found["L"], [5.0, -INF])
    nowhere = rows(torch.zeros(0, 3, dtype=F))
    assert nowhere["A"].shape == (0, 3)
    assert nowhere["L"].shape == (0,)
