"""Booleans are total: where an operand is absent a comparison is false; in arithmetic they are 0 and 1."""

from __future__ import annotations

import math

import torch

from tests.ir.oracle import one, oracle, same

F = torch.float64


def test_a_comparison_with_an_absent_operand_is_false() -> None:
    text = """
    attention compare(X[n]) -> lt, ge, eq, ne, not_lt, at:
        index m < 3
        lt[m] = X[m - 1] < 10
        ge[m] = X[m - 1] >= -10
        eq[m] = X[m - 1] == X[m - 1]
        ne[m] = X[m - 1] != 100
        not_lt[m] = not X[m - 1] < 10
        at[m] = exists(X[m - 1] < 10)
    """
    found = oracle(text, X=torch.tensor([1.0, 2.0, 3.0], dtype=F))
    for name in ("lt", "ge", "eq", "ne"):
        assert found[name].tolist() == [False, True, True], name
    assert found["not_lt"].tolist() == [True, False, False]
    assert found["at"].tolist() == [True, True, True]


def test_comparisons_with_nan_are_ieee() -> None:
    text = "attention nan(X[n]) -> lt, ge, eq, ne:\n" + "".join(
        f"    {name}[n] = X {sign} 1\n" for name, sign in (("lt", "<"), ("ge", ">="), ("eq", "=="), ("ne", "!="))
    )
    found = oracle(text, X=torch.tensor([math.nan, math.inf, 1.0], dtype=F))
    assert [found[name].tolist() for name in ("lt", "ge", "eq", "ne")] == [
        [False, False, False],
        [False, True, True],
        [False, False, True],
        [True, True, False],
    ]


def test_an_absent_boolean_is_false_in_logic_and_zero_in_arithmetic() -> None:
    text = """
    attention absent(p[n]: bool, x[n]) -> both, either, no, number, scaled, there:
        both[n] = p[n - 1] and true
        either[n] = p[n - 1] or n == 0
        no[n] = not p[n - 1]
        number[n] = 2 + p[n - 1]
        scaled[n] = x * p[n - 1]
        there[n] = exists(2 + p[n - 1])
    """
    found = oracle(text, p=torch.tensor([True, False, True]), x=torch.tensor([5.0, 6.0, 7.0], dtype=F))
    assert found["both"].tolist() == [False, True, False]
    assert found["either"].tolist() == [True, True, False]
    assert found["no"].tolist() == [True, False, True]
    same(found["number"], [2, 3, 2])
    same(found["scaled"], [0.0, 6.0, 0.0])
    assert found["there"].all()


def test_folds_of_booleans() -> None:
    text = """
    attention fold(p[m,n]: bool, len[m]: int) -> count, some, every, most:
        count[m] = sum[n](p where n < len[m])
        some[m] = any[n](p where n < len[m])
        every[m] = all[n](p where n < len[m])
        most[m] = max[n](p where n < len[m])
    """
    p = torch.tensor([[True, True, False], [False, True, True], [True, True, True]])
    found = oracle(text, p=p, len=torch.tensor([2, 1, 0]))
    same(found["count"], [2, 0, 0])
    assert found["some"].tolist() == [True, False, False]
    assert found["every"].tolist() == [True, False, True]
    assert found["most"].tolist() == [True, False, False]


def test_chained_comparisons_and_short_forms() -> None:
    text = "attention chain(i[n]: int) -> O:\n    O[n] = 0 <= i < 3 and not i == 1"
    assert one(text, i=torch.tensor([-1, 0, 1, 2, 3])).tolist() == [False, True, False, True, False]


def test_equality_of_booleans() -> None:
    text = "attention equal(p[n]: bool, q[n]: bool) -> O:\n    O[n] = p == q"
    p, q = torch.tensor([True, True, False, False]), torch.tensor([True, False, True, False])
    assert one(text, p=p, q=q).tolist() == [True, False, False, True]


def test_a_condition_on_an_absent_value_removes_the_point() -> None:
    text = """
    attention guard(X[n], page[m]: int) -> O, at:
        O[m] = m where X[page[m]] > 0
        at[m] = exists(m where X[page[m]] > 0)
    """
    found = oracle(text, X=torch.tensor([1.0, -1.0], dtype=F), page=torch.tensor([0, 1, -1, 2]))
    same(found["O"], [0, -1, -1, -1])
    assert found["at"].tolist() == [True, False, False, False]
