"""Conditions of a tile with little to do for each pair."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from attnc.ir import kernel as k
from attnc.ir.cascade import Const, Coord, Expr, Map, Range
from attnc.ir.operators import COMPARISONS
from attnc.passes.lower.frame import Frame, whole
from attnc.passes.lower.values import Values
from attnc.passes.prove import Atoms, Facts
from attnc.source import NOWHERE

FARTHEST = (1 << 31) - 1
FAR = 1 << 30
# A comparison of positions that fails whatever its other side, by what stands on each side.
FAILING = {"le": (FARTHEST, -FARTHEST), "lt": (FARTHEST, -FARTHEST)}
FAILING |= {"ge": (-FARTHEST, FARTHEST), "gt": (-FARTHEST, FARTHEST)}


def ends_with(when: tuple[Expr, ...], index: str, frame: Frame) -> bool:
    """Whether conditions exclude, for every row that exists, the lanes of a tile beyond the end of its axis."""
    end = frame.cascade.range(index).hi

    def ranges(name: str) -> Range:
        given = frame.cascade.range(name)
        beyond = Map("add", (end, Const(frame.tiles.stream)))
        return replace(given, hi=beyond) if name == index else given

    return bool(when) and Facts(Atoms(frame.kind), ranges, when).implies(Map("lt", (Coord(index), end)))


def relative(values: Values, test: k.Value, index: str) -> k.Value:
    """A comparison of a position along the stream with other positions, on a GPU both counted from its tile's start.

    Before   n <= m;               m - n < W
    After    lane <= m - n_first;  m - n_first - W < lane, where lane = n - n_first;  on a CPU m - W < n
    Holds    because positions and what is added to them are far from 2^31; a thread's lanes differ by constants.
    """
    if not isinstance(test, k.Map) or len(values.scope.axes(test)) < 2:
        return test
    if test.op in ("and", "or", "not"):
        return replace(test, args=tuple(relative(values, arg, index) for arg in test.args))
    if test.op not in COMPARISONS or any(values.dtype(side) != "int32" for side in test.args):
        return test
    terms = [*_terms(test.args[0], 1), *_terms(test.args[1], -1)]
    own = [sign for value, sign in terms if index in values.scope.axes(value)]
    far = any(isinstance(value, k.Const) and abs(value.value) > FAR for value, _ in terms)
    if len(own) != 1 or (k.Coord(index), own[0]) not in terms or far:
        return test
    others = [(value, -sign * own[0]) for value, sign in terms if value != k.Coord(index)]
    sides = (
        _from_start(values, index, others) if values.frame.target.kind == "cpu" else _from_tile(values, index, others)
    )
    return replace(test, args=sides if own[0] > 0 else sides[::-1])


Signed = list[tuple[k.Value, int]]


def _from_start(values: Values, index: str, others: Signed) -> tuple[k.Value, k.Value]:
    """A position and what it is compared with, which is the same for every tile of a row."""
    limit = _sum(values, others)
    return k.Coord(index), limit if isinstance(limit, k.Coord) else values.scope.let("limit", limit)


def _from_tile(values: Values, index: str, others: Signed) -> tuple[k.Value, k.Value]:
    """The same less the start of the tile."""
    lane = values.scope.let("lane", k.Map("sub", (k.Coord(index), k.First(index))))
    return lane, values.scope.let("limit", _sum(values, [*others, (k.First(index), -1)]))


def _sum(values: Values, terms: Signed) -> k.Value:
    total: k.Value = whole(0)
    for value, sign in sorted(terms, key=lambda item: -item[1]):
        total = values.make("add" if sign > 0 else "sub", total, value)
    return total


def _terms(value: k.Value, sign: int) -> Iterator[tuple[k.Value, int]]:
    match value:
        case k.Map("add" | "sub" as op, (a, b)):
            yield from _terms(a, sign)
            yield from _terms(b, sign if op == "add" else -sign)
        case k.Map("neg", (a,)):
            yield from _terms(a, -sign)
        case _:
            yield replace(value, span=NOWHERE), sign


def absorbed(values: Values, tests: tuple[k.Value, ...]) -> tuple[k.Value, ...]:
    """The tests with each one of a single axis made part of a comparison between that axis and another.

    Before   n < N and n <= m
    After    select(n < N, n, far) <= m
    Holds    because no position lies as far; what is left for each pair is one comparison.
    """
    single = [test for test in tests if len(values.scope.axes(test)) == 1]
    for test in single:
        others = [item for item in tests if item is not test]
        for place, item in enumerate(others):
            joined = _joined(values, test, item)
            if joined is not None:
                return absorbed(values, (*others[:place], joined, *others[place + 1 :]))
    return tests


def _joined(values: Values, test: k.Value, comparison: k.Value) -> k.Value | None:
    if not isinstance(comparison, k.Map) or comparison.op not in FAILING or len(values.scope.axes(comparison)) < 2:
        return None
    for side, far in enumerate(FAILING[comparison.op]):
        given = comparison.args[side]
        if values.dtype(given) == "int32" and values.scope.axes(given) == values.scope.axes(test):
            reached = values.scope.let("reach", k.Map("select", (test, given, k.Const(far, "int32"))))
            args = (reached, comparison.args[1]) if side == 0 else (comparison.args[0], reached)
            return replace(comparison, args=args)
    return None
