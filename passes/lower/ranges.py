"""What a tile may see, told by the ranges of what is compared in it: far less to do than to ask each pair."""

from __future__ import annotations

from collections.abc import Iterator

from attnc.ir import kernel as k
from attnc.ir.cascade import Expr, Map
from attnc.ir.operators import COMPARISONS
from attnc.passes.lower.values import Values

WHOLE = ("int32", "int64")


def may_see(values: Values, tests: tuple[Expr, ...]) -> tuple[k.Value | None, tuple[Expr, ...]]:
    """Whether comparisons of integers from memory can hold for a pair of a tile, None where no range tells; the rest.

    Before   doc_q[m] == doc_k[n], for any m and n of a tile
    After    min[m](doc_q) <= max[n](doc_k) and min[n](doc_k) <= max[m](doc_q)
    Holds    because what is compared lies between its ends; lanes beyond an axis can only move these apart.
    """
    found: list[k.Value] = []
    rest: list[Expr] = []
    for test in dict.fromkeys(part for whole in tests for part in _parts(whole)):
        told = tuple(_of(values, test))
        found += told
        rest += () if told else (test,)
    joint = None if not found else found[0] if len(found) == 1 else k.Map("and", tuple(found))
    return joint, tuple(rest)


def _parts(test: Expr) -> tuple[Expr, ...]:
    match test:
        case Map("and", args):
            return tuple(part for arg in args for part in _parts(arg))
        case _:
            return (test,)


def _of(values: Values, expr: Expr) -> Iterator[k.Value]:
    match expr:
        case Map(op, _) if op in COMPARISONS and op != "ne":
            test = values.of(expr)
            if isinstance(test, k.Map) and test.op == op and _apart(values, *test.args):
                yield from _ordered(values, op, *test.args)


def _apart(values: Values, a: k.Value, b: k.Value) -> bool:
    """Whether each side is a whole number from memory along an axis of its own; what positions tell bounds loops."""
    axes = [values.scope.axes(side) for side in (a, b)]
    whole = all(values.dtype(side) in WHOLE and isinstance(side, k.Use) for side in (a, b))
    return whole and all(len(own) == 1 for own in axes) and axes[0] != axes[1]


def _ordered(values: Values, op: str, a: k.Value, b: k.Value) -> Iterator[k.Value]:
    if op in ("eq", "le", "lt"):
        yield k.Map("lt" if op == "lt" else "le", (_end(values, "min", a), _end(values, "max", b)))
    if op in ("eq", "ge", "gt"):
        yield k.Map("lt" if op == "gt" else "le", (_end(values, "min", b), _end(values, "max", a)))


def _end(values: Values, op: str, side: k.Value) -> k.Value:
    (axis,) = values.scope.axes(side)
    return values.scope.let("least" if op == "min" else "most", k.Reduce(op, side, axis))
