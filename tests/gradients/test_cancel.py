"""What comes in at a maximum that values are only taken relative to cancels, by the algebra and not by arithmetic."""

import math
import re

import pytest

import attnc
from attnc.ir.cascade import Choose, Const, Coord, Expr, Map, Read, Reduce
from attnc.passes.differentiate.cancel import cancels

U, V = Coord("u"), Coord("v")
S, TOP, D, P = Read("S", (U,)), Read("L", ()), Read("D", (U,)), Read("P", ())
POWER = Map("exp", (Map("shift", (S, TOP)),))
LOW, ZERO, ONE = Const(-math.inf), Const(0.0), Const(1.0)


def mul(*factors: Expr) -> Expr:
    first, *others = factors
    for factor in others:
        first = Map("mul", (first, factor))
    return first


def less(a: Expr, b: Expr) -> Expr:
    return Map("sub", (a, b))


def summed(body: Expr, *tests: Expr, over: str = "u") -> Expr:
    return Reduce("sum", (over,), body, tests)


SEEN = Map("lt", (U, Const(3)))
SAME = {
    "a factor goes into a sum": less(mul(summed(mul(POWER, D)), P), summed(mul(P, D, POWER))),
    "negatives": Map("add", (Map("neg", (mul(P, POWER),)), mul(POWER, P))),
    "quotients": less(Map("div", (mul(P, D), TOP)), mul(D, Map("div", (P, TOP)))),
    "under one condition": less(mul(P, summed(D, SEEN)), summed(Choose(SEEN, mul(D, P), ZERO))),
    "where a score is -inf its power is 0": less(
        summed(Choose(Map("eq", (S, LOW)), ZERO, mul(D, POWER))), summed(mul(D, POWER))
    ),
    "a choice of two": less(Choose(SEEN, P, ZERO), mul(P, Choose(SEEN, ONE, ZERO))),
}
OTHER = {
    "another factor": less(mul(summed(mul(POWER, D)), P), summed(mul(P, POWER))),
    "another number": less(mul(Const(2.0), P), P),
    "under another condition": less(mul(P, summed(D, SEEN)), summed(mul(D, P))),
    "a 0 where the factor is not": less(summed(Choose(Map("eq", (S, LOW)), ZERO, D)), summed(D)),
    "an index of its own": less(mul(D, summed(D)), summed(mul(D, D))),
    "another index": less(summed(Read("D", (V,)), over="v"), summed(mul(D, D))),
}


@pytest.mark.parametrize("expr", SAME.values(), ids=list(SAME))
def test_what_is_equal_cancels(expr: Expr) -> None:
    assert cancels(expr)


@pytest.mark.parametrize("expr", OTHER.values(), ids=list(OTHER))
def test_what_differs_does_not(expr: Expr) -> None:
    assert not cancels(expr)


@pytest.mark.parametrize("target", ["cpu", "sm_90"])
def test_the_maximum_of_a_block_gets_nothing(target: str) -> None:
    """In two passes as in one: no kernel looks for the key that has it."""
    kernels = attnc.load("std:fusemax_two_pass").kernels(target, "fp32", {"e": 16, "f": 16})
    sources = {role: kernel.source for role, kernel in kernels.items() if role.startswith("backward")}
    assert sources
    assert [role for role, text in sources.items() if re.search(r"== [bx]_max", text)] == []
