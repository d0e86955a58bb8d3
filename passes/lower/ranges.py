"""What a tile may see, told by the ranges of what is compared in it: far less to do than to ask each pair."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from attnc.ir import kernel as k
from attnc.ir.cascade import Expr, Map
from attnc.ir.operators import COMPARISONS
from attnc.passes.lower.values import Values

WHOLE = ("int32", "int64")


@dataclass(frozen=True)
class Told:
    """What ranges tell of a tile: comparisons of one side with the other, and the conditions they say nothing of."""

    orders: tuple[tuple[str, k.Value, k.Value], ...]
    rest: tuple[Expr, ...]

    def some(self, values: Values) -> k.Value:
        """Whether the comparisons can hold for a pair of the tile."""
        return _joint([k.Map(op, (_end(values, "min", a), _end(values, "max", b))) for op, a, b in self.orders])

    def every(self, values: Values) -> k.Value:
        """Whether they hold for every pair."""
        return _joint([k.Map(op, (_end(values, "max", a), _end(values, "min", b))) for op, a, b in self.orders])


def told(values: Values, tests: tuple[Expr, ...]) -> Told | None:
    """What ranges tell of comparisons of integers from memory; None where they tell nothing.

    Before   doc_q[m] == doc_k[n], for any m and n of a tile
    After    some: min[m](doc_q) <= max[n](doc_k) and min[n](doc_k) <= max[m](doc_q)
             every: max[m](doc_q) <= min[n](doc_k) and max[n](doc_k) <= min[m](doc_q)
    Holds    because what is compared lies between its ends; lanes beyond an axis can only move these apart.
    """
    orders: list[tuple[str, k.Value, k.Value]] = []
    rest: list[Expr] = []
    for test in dict.fromkeys(part for whole in tests for part in _parts(whole)):
        found = tuple(_of(values, test))
        orders += found
        rest += () if found else (test,)
    return Told(tuple(orders), tuple(rest)) if orders else None


def _joint(found: list[k.Value]) -> k.Value:
    return found[0] if len(found) == 1 else k.Map("and", tuple(found))


def _parts(test: Expr) -> tuple[Expr, ...]:
    match test:
        case Map("and", args):
            return tuple(part for arg in args for part in _parts(arg))
        case _:
            return (test,)


def _of(values: Values, expr: Expr) -> Iterator[tuple[str, k.Value, k.Value]]:
    match expr:
        case Map(op, _) if op in COMPARISONS and op != "ne":
            test = values.of(expr)
            if isinstance(test, k.Map) and test.op == op and _apart(values, *test.args):
                yield from _ordered(op, *test.args)


def _apart(values: Values, a: k.Value, b: k.Value) -> bool:
    """Whether each side is a whole number from memory along an axis of its own; what positions tell bounds loops."""
    axes = [values.scope.axes(side) for side in (a, b)]
    whole = all(values.dtype(side) in WHOLE and isinstance(side, k.Use) for side in (a, b))
    return whole and all(len(own) == 1 for own in axes) and axes[0] != axes[1]


def _ordered(op: str, a: k.Value, b: k.Value) -> Iterator[tuple[str, k.Value, k.Value]]:
    if op in ("eq", "le", "lt"):
        yield "lt" if op == "lt" else "le", a, b
    if op in ("eq", "ge", "gt"):
        yield "lt" if op == "gt" else "le", b, a


def _end(values: Values, op: str, side: k.Value) -> k.Value:
    (axis,) = values.scope.axes(side)
    return values.scope.let("least" if op == "min" else "most", k.Reduce(op, side, axis))
