"""What a fold over nothing is: a value for some, absence for others; rows with something beside them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from tests.ir.oracle import one, oracle, same

F = torch.float64
X = torch.tensor([[3.0, -1.0, 2.0], [5.0, 4.0, 7.0]], dtype=F)
LEN = torch.tensor([0, 2])  # the first row has nothing to fold

VALUES = {  # the fold of nothing, the fold of 5 and 4
    "sum[n](X where n < len[m])": (0.0, 9.0),
    "prod[n](X where n < len[m])": (1.0, 20.0),
    "max[n](X where n < len[m])": (-math.inf, 5.0),
    "min[n](X where n < len[m])": (math.inf, 4.0),
    "logsumexp[n](X where n < len[m])": (-math.inf, math.log(math.exp(5) + math.exp(4))),
    "sum[n](softmax[n](X where n < len[m]))": (0.0, 1.0),
    "sum[n](n + 3 where n < len[m])": (0, 7),
    "prod[n](n + 3 where n < len[m])": (1, 12),
    "any[n](X > 4.5 where n < len[m])": (False, True),
    "all[n](X > 4.5 where n < len[m])": (True, False),
    "all[n](X > 3.5 where n < len[m])": (True, True),
}
ABSENT = {  # the fold of 5 and 4; what an output shows where it is absent
    "mean[n](X where n < len[m])": (4.5, 0.0),
    "var[n](X where n < len[m])": (0.25, 0.0),
    "argmax[n](X where n < len[m])": (0, -1),
    "argmin[n](X where n < len[m])": (1, -1),
    "kth[n; 1](X where n < len[m])": (5.0, 0.0),
    "max[n](n + 3 where n < len[m])": (4, -1),
    "min[n](n + 3 where n < len[m])": (3, -1),
}


def folded(fold: str) -> dict[str, torch.Tensor]:
    text = f"""
    attention rows(X[m,n], len[m]: int) -> O, at, next:
        Y[m] = {fold}
        O[m] = Y
        at[m] = exists(Y)
        next[m] = 1 if exists(Y + 0) else 0
    """
    return oracle(text, X=X, len=LEN)


@pytest.mark.parametrize("fold", VALUES)
def test_folds_of_nothing_that_have_a_value(fold: str) -> None:
    found = folded(fold)
    same(found["O"], list(VALUES[fold]))
    assert found["at"].tolist() == [True, True]


@pytest.mark.parametrize("fold", ABSENT)
def test_folds_of_nothing_that_are_absent(fold: str) -> None:
    found = folded(fold)
    value, shown = ABSENT[fold]
    same(found["O"], [shown, value])
    assert found["at"].tolist() == [False, True]
    assert found["next"].tolist() == [0, 1]


@pytest.mark.parametrize(("fold", "length"), [(fold, k) for k in (0, 1) for fold in (*VALUES, *ABSENT)])
def test_axes_of_length_zero_and_one(fold: str, length: int) -> None:
    """An empty axis is nothing to fold, with or without a condition; a single point is itself."""
    plain = fold.replace(" where n < len[m]", "")
    text = f"""
    attention rows(X[m,n]) -> O, at:
        Y[m] = {plain}
        O[m] = Y
        at[m] = exists(Y)
    """
    found = oracle(text, X=X[:, :length])
    if length == 0:
        value = VALUES[fold][0] if fold in VALUES else ABSENT[fold][1]
        same(found["O"], [value, value])
        assert found["at"].tolist() == [fold in VALUES] * 2
        return
    single: dict[str, list[Any]] = {
        "sum[n](softmax[n](X))": [1.0, 1.0],
        "sum[n](n + 3)": [3, 3],
        "prod[n](n + 3)": [3, 3],
        "max[n](n + 3)": [3, 3],
        "min[n](n + 3)": [3, 3],
        "any[n](X > 4.5)": [False, True],
        "all[n](X > 4.5)": [False, True],
        "all[n](X > 3.5)": [False, True],
        "var[n](X)": [0.0, 0.0],
        "argmax[n](X)": [0, 0],
        "argmin[n](X)": [0, 0],
        "kth[n; 1](X)": [0.0, 0.0],
    }
    same(found["O"], single.get(plain, [3.0, 5.0]))
    assert found["at"].tolist() == [not plain.startswith("kth")] * 2


def test_mean_divides_by_the_number_of_existing_terms() -> None:
    text = """
    attention rows(X[m,n], K[p], pick[m,n]: int) -> O, V:
        O[m] = mean[n](X * K[pick[m,n]])
        V[m] = var[n](X where K[pick[m,n]] > 0)
    """
    K, pick = torch.tensor([2.0, 10.0], dtype=F), torch.tensor([[0, -1, 1], [-1, -1, 0]])
    found = oracle(text, X=X, K=K, pick=pick)
    same(found["O"], [(3 * 2 + 2 * 10) / 2, 7.0 * 2])
    same(found["V"], [0.25, 0.0])


def test_unfilled_slots_are_absent() -> None:
    text = """
    attention slots(X[m,n], len[m]: int) -> at, best, there:
        index t < 3
        i[m,t] = argtopk[n -> t](X where n < len[m])
        at[m,t] = i
        best[m,t] = X[m,i[m,t]]
        there[m,t] = exists(i)
    """
    found = oracle(text, X=X, len=LEN)
    same(found["at"], [[-1, -1, -1], [0, 1, -1]])
    same(found["best"], [[0.0, 0.0, 0.0], [5.0, 4.0, 0.0]])
    same(found["there"], [[False] * 3, [True, True, False]])


def test_the_sum_of_an_empty_product_of_axes() -> None:
    text = "attention empty(X[m,n,e]) -> O:\n    O[m] = 2 + sum[n,e](X)"
    same(one(text, X=torch.zeros(3, 4, 0, dtype=F)), [2.0, 2.0, 2.0])
    same(one(text, X=torch.zeros(0, 4, 2, dtype=F)), torch.zeros(0, dtype=F))
