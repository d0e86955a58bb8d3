"""How many tiles and points of a stream the conditions leave, from their bounds alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from attnc.ir.cascade import Cascade, Expr
from attnc.ir.sizes import whole
from attnc.ir.stage import Stream
from attnc.ir.types import type_of, types_of
from attnc.passes.masks import Area, Branch, measured, solve


@dataclass(frozen=True)
class Bound:
    """stream >= value (`lower`) or stream < value."""

    lower: bool
    value: Expr


@dataclass(frozen=True)
class Solved:
    """The conditions shared by all lifts of a segment: their alternatives, the bounds common to these, the rest."""

    branches: tuple[Branch, ...]
    bounds: tuple[Bound, ...]
    opaque: tuple[Expr, ...]


def conditions(stream: Stream, number: int, cascade: Cascade | None = None) -> Solved:
    """The conditions of a segment solved for the stream; those that not every lift has are not bounds."""
    segment = stream.monoid.segments[number]
    assert segment.index is not None
    whens = [lift.when for item in stream.monoid.parts for lift in item.lifts if lift.segment == number]
    shared = tuple(test for test in (whens[0] if whens else ()) if all(test in when for when in whens))
    types = types_of(cascade) if cascade is not None else {}
    index = segment.index

    def solved(tests: tuple[Expr, ...]) -> tuple[Branch, ...]:
        return solve(tests, index, lambda expr: type_of(expr, lambda name: types.get(name, "int")))

    alone = [test for test in shared if len(solved((test,))) == 1 and not solved((test,))[0].gaps]
    (plain,) = solved(tuple(alone))
    bounds = (*(Bound(True, low) for low in plain.lows), *(Bound(False, high) for high in plain.highs))
    rest = (*(test for test in shared if test not in alone), *(t for when in whens for t in when if t not in shared))
    return Solved(solved(shared), bounds, tuple(dict.fromkeys(rest)))


def area(stream: Stream, cascade: Cascade, number: int, sizes: Mapping[str, int], tile: tuple[int, int]) -> Area:
    """The classes of a segment's tiles and its points at given extents, in time linear in the rows."""
    segment, solved = stream.monoid.segments[number], conditions(stream, number, cascade)
    assert segment.index is not None
    axis = whole(segment.lo, sizes), whole(segment.hi, sizes)
    rows = (stream.parallel, _rows(stream, cascade, sizes))
    return measured(solved.branches, segment.index, axis, rows, sizes, tile)


def _rows(stream: Stream, cascade: Cascade, sizes: Mapping[str, int]) -> range:
    if stream.parallel is None:
        return range(1)
    item = cascade.range(stream.parallel)
    return range(whole(item.lo, sizes), whole(item.hi, sizes))


__all__ = ["Area", "Bound", "Solved", "area", "conditions"]
