"""Bounds of expressions by intervals, as far as the operators' ranges tell."""

from __future__ import annotations

import math

from attnc.ir.cascade import Choose, Const, Expr, Map
from attnc.ir.operators import OPERATORS

Interval = tuple[float, float]
ANY: Interval = (-math.inf, math.inf)


def upper_bound(expr: Expr) -> float:
    """A number that the expression never exceeds; inf where nothing is known."""
    return interval(expr)[1]


def interval(expr: Expr) -> Interval:
    """An interval that holds every value of the expression."""
    match expr:
        case Const(value):
            return (float(value), float(value))
        case Choose(_, then, other):
            return _hull(interval(then), interval(other))
        case Map("neg", (x,)):
            low, high = interval(x)
            return (-high, -low)
        case Map("add", (a, b)):
            return _plus(interval(a), interval(b))
        case Map("sub", (a, b)):
            low, high = interval(b)
            return _plus(interval(a), (-high, -low))
        case Map("mul", (a, b)):
            return _times(interval(a), interval(b), same=a == b)
        case Map("div", (a, Const(value))) if value:
            return _times(interval(a), (1 / value, 1 / value), same=False)
        case Map("min", args):
            return (min(interval(a)[0] for a in args), min(interval(a)[1] for a in args))
        case Map("max", args):
            return (max(interval(a)[0] for a in args), max(interval(a)[1] for a in args))
        case Map("clamp", (_, low_end, high_end)):
            return (interval(low_end)[0], interval(high_end)[1])
        case Map(op) if OPERATORS[op].bounds is not None:
            return OPERATORS[op].bounds or ANY
        case _:
            return ANY


def _hull(a: Interval, b: Interval) -> Interval:
    return (min(a[0], b[0]), max(a[1], b[1]))


def _plus(a: Interval, b: Interval) -> Interval:
    return (a[0] + b[0], a[1] + b[1])


def _times(a: Interval, b: Interval, *, same: bool) -> Interval:
    ends = [0.0 if 0 in (x, y) else x * y for x in a for y in b]
    return (max(0.0, min(ends)) if same else min(ends), max(ends))
