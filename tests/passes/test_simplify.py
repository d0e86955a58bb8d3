"""Every law keeps the value, infinities and NaN included; constants fold as the language computes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnc.ir.cascade import Choose, Const, Coord, Expr, Map, Read, Size, Type
from attnc.passes.simplify import (
    FALSE,
    TRUE,
    conjunction,
    disjunction,
    negation,
    simplify,
    simplify_condition,
)
from attnc.passes.sums import from_terms, linear_terms

TYPES: dict[str, Type] = {"x": "real", "n": "int", "p": "bool"}
X, N, P = Read("x", ()), Read("n", ()), Read("p", ())
ROW, COLUMN, M = Coord("i"), Coord("j"), Size("m")
Number = bool | int | float


def kinds(name: str) -> Type:
    return TYPES[name]


def value(expr: Expr, env: dict[Expr, Number]) -> Number:
    """The meaning of the operators that the tests use, written out once more."""
    match expr:
        case Const(number):
            return number
        case Read() | Coord() | Size():
            return env[expr]
        case Choose(test, then, other):
            return value(then if value(test, env) else other, env)
        case Map(op, args):
            return operate(op, [value(arg, env) for arg in args])
        case _:
            raise AssertionError(expr)


def operate(op: str, args: list[Number]) -> Number:
    a, b = args[0], args[-1]
    match op:
        case "add":
            return a + b
        case "sub":
            return a - b
        case "mul":
            return a * b
        case "div":
            return divided(a, b)
        case "neg":
            return -a
        case "and":
            return all(args)
        case "or":
            return any(args)
        case "not":
            return not a
        case "real":
            return float(a)
        case "min" | "max":
            return min(args) if op == "min" else max(args)
    return {"lt": a < b, "le": a <= b, "gt": a > b, "ge": a >= b, "eq": a == b, "ne": a != b}[op]


def divided(a: Number, b: Number) -> float:
    if b == 0:
        return 0.0 if a == 0 else math.copysign(math.inf, a) if a == a else math.nan
    return a / b


def same(a: Number, b: Number) -> bool:
    return a == b or (a != a and b != b)


def operations(below: st.SearchStrategy[Expr], names: list[str]) -> st.SearchStrategy[Expr]:
    return st.builds(lambda op, a, b: Map(op, (a, b)), st.sampled_from(names), below, below)


def junction(op: str, args: list[Expr]) -> Expr:
    return Map(op, tuple(args))


names: list[Expr] = [N, ROW, COLUMN, M]
integers: st.SearchStrategy[Expr] = st.recursive(
    st.sampled_from(names) | st.builds(Const, st.integers(-3, 3)),
    lambda below: operations(below, ["add", "sub", "mul"]) | st.builds(lambda a: Map("neg", (a,)), below),
    max_leaves=12,
)
constants: list[Expr] = [X, Const(1.0), Const(0.0), Const(2.5), Const(math.inf)]
reals: st.SearchStrategy[Expr] = st.recursive(
    st.sampled_from(constants) | integers,
    lambda below: operations(below, ["add", "sub", "mul"]) | st.builds(lambda a: Map("neg", (a,)), below),
    max_leaves=8,
)
propositions: list[Expr] = [P, TRUE, FALSE]
booleans: st.SearchStrategy[Expr] = st.recursive(
    st.sampled_from(propositions) | operations(integers, ["lt", "le", "gt", "ge", "eq", "ne"]),
    lambda below: (
        st.builds(
            lambda op, args: Map(op, tuple(args)),
            st.sampled_from(["and", "or"]),
            st.lists(below, min_size=2, max_size=3),
        )
        | st.builds(lambda a: Map("not", (a,)), below)
        | st.builds(Choose, below, below, below)
    ),
    max_leaves=10,
)
numbers = st.integers(-5, 5)
environments = st.fixed_dictionaries(
    {
        X: st.sampled_from([0.0, -1.5, 2.0, math.inf, -math.inf, math.nan]),
        N: numbers,
        P: st.booleans(),
        ROW: numbers,
        COLUMN: numbers,
        M: st.integers(0, 5),
    }
)


@settings(max_examples=300, deadline=None)
@given(integers | booleans, environments)
def test_simplified_integers_and_booleans_keep_their_value(expr: Expr, env: dict[Expr, Number]) -> None:
    after = value(simplify(expr, kinds), env)
    assert after == value(expr, env)
    assert isinstance(after, bool) == isinstance(value(expr, env), bool)


@settings(max_examples=300, deadline=None)
@given(reals, environments)
def test_simplified_reals_keep_their_value_at_infinities_and_nan(expr: Expr, env: dict[Expr, Number]) -> None:
    assert same(value(simplify(expr, kinds), env), value(expr, env))


@settings(max_examples=200, deadline=None)
@given(integers, environments)
def test_linear_terms_add_up_to_the_expression(expr: Expr, env: dict[Expr, Number]) -> None:
    assert value(from_terms(linear_terms(expr)), env) == value(expr, env)


@settings(max_examples=200, deadline=None)
@given(integers, integers)
def test_equal_sums_have_one_form(a: Expr, b: Expr) -> None:
    assert from_terms(linear_terms(Map("add", (a, b)))) == from_terms(linear_terms(Map("add", (b, a))))
    assert from_terms(linear_terms(Map("sub", (a, a)))) == Const(0)


@settings(max_examples=200, deadline=None)
@given(booleans, environments)
def test_a_simplified_condition_keeps_its_value(test: Expr, env: dict[Expr, Number]) -> None:
    assert value(simplify_condition(test, kinds), env) == value(test, env)
    assert value(negation(test), env) != value(test, env)


def test_a_false_condition_still_mentions_its_index() -> None:
    test = Map("and", (Map("le", (ROW, COLUMN)), FALSE))
    assert simplify(test, kinds) == FALSE
    assert simplify_condition(test, kinds) == test


def test_a_true_condition_is_no_condition() -> None:
    assert simplify_condition(Map("or", (Map("le", (ROW, COLUMN)), TRUE)), kinds) == TRUE


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Map("mul", (X, Const(1))), X),
        (Map("sub", (X, Const(0))), X),
        (Map("div", (X, Const(1))), X),
        (Map("real", (X,)), X),
        (Map("sub", (Map("add", (M, Const(1))), Const(1))), M),
        (Map("floordiv", (Const(-7), Const(2))), Const(-4)),
        (Map("mod", (Const(-7), Const(2))), Const(1)),
        (Map("le", (Const(0), M)), TRUE),
        (Choose(TRUE, X, N), X),
        (Map("stop", (Map("stop", (X,)),)), Map("stop", (X,))),
    ],
)
def test_law(before: Expr, after: Expr) -> None:
    assert simplify(before, kinds) == after


@pytest.mark.parametrize(
    "expr",
    [
        Map("mul", (X, Const(0))),  # infinity * 0 is not 0
        Map("sub", (X, X)),  # infinity - infinity is not 0
        Map("eq", (X, X)),  # NaN == NaN is false
        Map("mul", (N, Const(1.0))),  # an integer would lose its type
        Map("div", (N, Const(1))),
        Map("div", (Const(1), Const(0))),
        Map("floordiv", (Const(1), Const(0))),
    ],
)
def test_not_a_law(expr: Expr) -> None:
    assert simplify(expr, kinds) == expr


def test_no_conditions_hold_and_no_alternatives_do_not() -> None:
    assert conjunction(()) == TRUE
    assert disjunction(()) == FALSE
    assert conjunction((P,)) == P
    assert conjunction((P, Map("and", (P, TRUE)))) == Map("and", (P, P, TRUE))
