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
    """The conditions of a segment solved for its index, or the columns; those not shared by all lifts are no bounds."""
    index = walked(stream, number)
    assert index is not None
    whens = [lift.when for item in stream.monoid.parts for lift in item.lifts if lift.segment == number]
    shared = tuple(test for test in (whens[0] if whens else ()) if all(test in when for when in whens))
    types = types_of(cascade) if cascade is not None else {}

    def solved(tests: tuple[Expr, ...]) -> tuple[Branch, ...]:
        return solve(tests, index, lambda expr: type_of(expr, lambda name: types.get(name, "int")))

    alone = [test for test in shared if len(solved((test,))) == 1 and not solved((test,))[0].gaps]
    (plain,) = solved(tuple(alone))
    bounds = (*(Bound(True, low) for low in plain.lows), *(Bound(False, high) for high in plain.highs))
    rest = (*(test for test in shared if test not in alone), *(t for when in whens for t in when if t not in shared))
    return Solved(solved(shared), bounds, tuple(dict.fromkeys(rest)))


def walked(stream: Stream, number: int) -> str | None:
    """The index that a segment's tiles lie along beside the rows: the columns where there are any."""
    return stream.columns or stream.monoid.segments[number].index


def area(stream: Stream, cascade: Cascade, number: int, sizes: Mapping[str, int], tile: tuple[int, int]) -> Area:
    """The classes of a segment's tiles and its points at given extents, in time linear in the rows."""
    segment, index = stream.monoid.segments[number], walked(stream, number)
    assert index is not None
    axis = (
        _axis(stream.columns, cascade, sizes)
        if stream.columns
        else range(*(whole(x, sizes) for x in (segment.lo, segment.hi)))
    )
    rows = (stream.parallel, _axis(stream.parallel, cascade, sizes))
    return measured(conditions(stream, number, cascade).branches, index, (axis.start, axis.stop), rows, sizes, tile)


def _axis(index: str | None, cascade: Cascade, sizes: Mapping[str, int]) -> range:
    if index is None:
        return range(1)
    item = cascade.range(index)
    return range(whole(item.lo, sizes), whole(item.hi, sizes))


__all__ = ["Area", "Bound", "Solved", "area", "conditions", "walked"]
