"""Bounds of expressions by intervals, as far as the operators' ranges tell."""

from __future__ import annotations

import math

from attnc.ir.cascade import Choose, Const, Coord, Expr, Map, Reduce, Size
from attnc.ir.operators import COMPARISONS, OPERATORS
from attnc.ir.sizes import SCALAR
from attnc.passes.sums import linear_terms

Interval = tuple[float, float]
ANY: Interval = (-math.inf, math.inf)
TRUTH: Interval = (0.0, 1.0)
WHOLE = ("add", "sub", "mul", "neg", "floordiv", "mod")

Fact = dict[Expr, int]  # a sum of whole terms that is at least 0


def facts(tests: tuple[Expr, ...]) -> tuple[Fact, ...]:
    """What comparisons of positions and sizes say, as sums that are at least 0."""
    found = []
    for test in tests:
        match test:
            case Map("le", (a, b)) | Map("ge", (b, a)) if _is_whole(a) and _is_whole(b):
                found.append(linear_terms(Map("sub", (b, a))))
            case Map("lt", (a, b)) | Map("gt", (b, a)) if _is_whole(a) and _is_whole(b):
                found.append(linear_terms(Map("sub", (Map("sub", (b, a)), Const(1)))))
    return tuple(found)


def _is_whole(expr: Expr) -> bool:
    match expr:
        case Const(value):
            return isinstance(value, int) and not isinstance(value, bool)
        case Map(op, args):
            return op in WHOLE and all(map(_is_whole, args))
        case _:
            return isinstance(expr, Coord | Size)


def interval(expr: Expr, known: tuple[Fact, ...] = ()) -> Interval:
    """An interval that holds every value of the expression that is a number, where these facts hold."""
    match expr:
        case Const(value):
            return (float(value), float(value))
        case Size():
            return (0.0, math.inf)
        case Choose(_, then, other):
            return _hull(interval(then, known), interval(other, known))
        case Reduce(op, _, body):
            return _folded(op, interval(body))
        case Map(op, args):
            found = _mapped(op, args, [interval(arg, known) for arg in args])
            return _within(found, _given(expr, known)) if known and op in ("add", "sub") else found
        case _:
            return ANY


def _given(expr: Expr, known: tuple[Fact, ...]) -> Interval:
    """What the facts say of a sum: it is one of them, or the negative of one, but for a constant."""
    terms, low, high = linear_terms(expr), -math.inf, math.inf
    for fact in known:
        for sign in (1, -1):
            rest = {term: terms.get(term, 0) - sign * fact.get(term, 0) for term in (*terms, *fact)}
            constant = float(rest.pop(Const(1), 0))
            if not any(rest.values()):
                low, high = (max(low, constant), high) if sign > 0 else (low, min(high, constant))
    return (low, high)


def _mapped(op: str, args: tuple[Expr, ...], ends: list[Interval]) -> Interval:
    match op, ends:
        case "neg", [(low, high)]:
            return (-high, -low)
        case "add", [a, b]:
            return _plus(a, b)
        case "sub", [a, (low, high)]:
            return _plus(a, (-high, -low))
        case "shift", _:  # to a maximum, or to more
            return (-math.inf, 0.0)
        case "mul", [a, b]:
            return _times(a, b, same=args[0] == args[1])
        case "div", [a, (low, high)] if low == high != 0:
            return _times(a, (1 / low, 1 / high), same=False)
        case "div", [(low, high), (bottom, _)] if bottom >= 0:
            return (0.0 if low >= 0 else -math.inf, 0.0 if high <= 0 else math.inf)
        case "pow", [a, (power, same)] if power == same and power % 2 == 0:
            return _times(a, a, same=True) if power == 2 else (0.0, math.inf)
        case "min", _:
            return (min(low for low, _ in ends), min(high for _, high in ends))
        case "max", _:
            return (max(low for low, _ in ends), max(high for _, high in ends))
        case "clamp", [_, (low, _), (_, high)]:
            return (low, high)
        case "real" | "int" | "stop", [a]:
            return a
        case "relu", [(low, high)]:
            return (max(low, 0.0), max(high, 0.0))
        case "abs", [(low, high)]:
            return (max(low, -high, 0.0), max(-low, high))
    if op in COMPARISONS or op in ("and", "or", "not"):
        return TRUTH
    return _function(op, ends[0])


def _function(op: str, inside: Interval) -> Interval:
    """The range of a function: of its values at the ends, where it is monotone; else of all its values."""
    operator = OPERATORS[op]
    low, high = operator.bounds or ANY
    if operator.increasing:
        low, high = max(low, _at(op, inside[0], low)), min(high, _at(op, inside[1], high))
    return (low, high)


def _at(op: str, x: float, otherwise: float) -> float:
    if not math.isfinite(x):
        return otherwise
    try:
        value = float(SCALAR[op](x))
    except (OverflowError, ValueError):
        return otherwise
    return value if math.isfinite(value) else otherwise


def _folded(op: str, inside: Interval) -> Interval:
    """The range of a reduction over any number of points, none included."""
    low, high = inside
    match op:
        case "sum":
            return (0.0 if low >= 0 else -math.inf, 0.0 if high <= 0 else math.inf)
        case "max":
            return (-math.inf, high)
        case "min":
            return (low, math.inf)
        case _:
            return ANY


def _within(a: Interval, b: Interval) -> Interval:
    return (max(a[0], b[0]), min(a[1], b[1]))


def _hull(a: Interval, b: Interval) -> Interval:
    return (min(a[0], b[0]), max(a[1], b[1]))


def _plus(a: Interval, b: Interval) -> Interval:
    return (a[0] + b[0], a[1] + b[1])


def _times(a: Interval, b: Interval, *, same: bool) -> Interval:
    ends = [0.0 if 0 in (x, y) else x * y for x in a for y in b]
    return (max(0.0, min(ends)) if same else min(ends), max(ends))
