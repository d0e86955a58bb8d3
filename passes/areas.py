"""How many tiles and points of a stream the conditions leave, from their bounds alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from attnc.ir.cascade import Cascade, Coord, Expr
from attnc.ir.sizes import evaluate
from attnc.ir.stage import Stream
from attnc.ir.walk import substitute
from attnc.passes.masks import Bound, Solved, solve


@dataclass(frozen=True)
class Area:
    """The tiles of a stream by class and the points that its bounds leave, per head and batch element.

    `exact` is false where a condition has no closed form: then `points` is an upper bound.
    """

    empty: int
    full: int
    partial: int
    points: int
    exact: bool


def conditions(stream: Stream, number: int) -> Solved:
    """The bounds shared by all lifts of a segment, solved for the stream."""
    segment = stream.monoid.segments[number]
    assert segment.index is not None
    whens = [lift.when for item in stream.monoid.parts for lift in item.lifts if lift.segment == number]
    shared = tuple(test for test in (whens[0] if whens else ()) if all(test in when for when in whens))
    solved = solve(shared, segment.index, stream.parallel, frozenset(stream.grid))
    extra = tuple(test for when in whens for test in when if test not in shared)
    return Solved(solved.bounds, solved.opaque + tuple(dict.fromkeys(extra)))


def area(stream: Stream, cascade: Cascade, number: int, sizes: Mapping[str, int], tile: tuple[int, int]) -> Area:
    """The classes of a segment's tiles and its points at given extents, in time linear in the rows."""
    segment, solved = stream.monoid.segments[number], conditions(stream, number)
    lo, hi = int(evaluate(segment.lo, sizes)), int(evaluate(segment.hi, sizes))
    rows = _rows(stream, cascade, sizes)
    usable = [bound for bound in solved.bounds if _plain(bound, stream.parallel)]
    exact = len(usable) == len(solved.bounds) and not solved.opaque
    spans = [_span(usable, stream.parallel, row, lo, hi, sizes) for row in rows]
    points = sum(max(0, end - start) for start, end in spans)
    counts = [0, 0, 0]
    for first in range(0, len(rows), tile[0]):
        _classify(spans[first : first + tile[0]], lo, hi, tile[1], exact, counts)
    return Area(counts[0], counts[1], counts[2], points, exact)


def _rows(stream: Stream, cascade: Cascade, sizes: Mapping[str, int]) -> range:
    if stream.parallel is None:
        return range(1)
    item = cascade.range(stream.parallel)
    return range(int(evaluate(item.lo, sizes)), int(evaluate(item.hi, sizes)))


def _plain(bound: Bound, parallel: str | None) -> bool:
    """Whether a bound is a number once the row is known."""
    from attnc.ir.cascade import Read
    from attnc.ir.indices import free_indices
    from attnc.ir.walk import walk

    own = free_indices(bound.value) <= {parallel}
    return own and not any(isinstance(node, Read) for node in walk(bound.value))


def _span(
    bounds: list[Bound], parallel: str | None, row: int, lo: int, hi: int, sizes: Mapping[str, int]
) -> tuple[int, int]:
    for bound in bounds:
        value = int(evaluate(_at_row(bound.value, parallel, row), sizes))
        lo, hi = (max(lo, value), hi) if bound.lower else (lo, min(hi, value))
    return lo, hi


def _at_row(value: Expr, parallel: str | None, row: int) -> Expr:
    from attnc.ir.cascade import Const

    return substitute(value, {Coord(parallel or ""): Const(row)})  # type: ignore[no-any-return]


def _classify(spans: list[tuple[int, int]], lo: int, hi: int, width: int, exact: bool, counts: list[int]) -> None:
    for start in range(lo, hi, width):
        end = min(start + width, hi)
        if all(last <= start or first >= end for first, last in spans):
            counts[0] += 1
        elif exact and all(first <= start and last >= end for first, last in spans):
            counts[1] += 1
        else:
            counts[2] += 1
