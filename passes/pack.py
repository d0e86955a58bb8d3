"""Heads that share their keys, packed into the rows of one tile: keys and values are read once for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from attnc.ir.cascade import Cascade, Const, Coord, Expr, Map, Range, Read
from attnc.ir.indices import free_indices
from attnc.ir.node import Node
from attnc.ir.stage import Monoid, Stream
from attnc.ir.types import types_of
from attnc.ir.walk import children, substitute, walk


@dataclass(frozen=True, slots=True)
class Packed:
    """The stream over packed rows, the cascade around it, how many heads share a key head, and how many heads and rows.

    It stands for the other where `share` divides `heads`.
    """

    cascade: Cascade
    stream: Stream
    share: Expr
    heads: Expr
    rows: Expr


def pack(stream: Stream, cascade: Cascade) -> Packed | None:
    """The stream with the heads of a group among its rows; None where no grid index shares what is streamed.

    Before   rows m, grid h; K[h // r, n] is streamed for each h
    After    rows x = (h % r) * M + m, grid g = h // r; K[g, n] is streamed for r heads at once
    Holds    because a row's fold is its own, wherever the row stands, and (g, x) are the (h, m) one to one
             where r divides the number of heads.
    """
    if stream.parallel is None or stream.columns is not None or stream.stream is None or stream.monoid.adds:
        return None
    for head in stream.grid:
        share = _share(stream, head, cascade)
        if share is not None and cascade.range(head).lo == Const(0):
            return _packed(stream, cascade, head, share)
    return None


def _share(stream: Stream, head: str, cascade: Cascade) -> Expr | None:
    """How many heads read the same positions: r where all that is streamed has h // r, all where it lacks h."""
    positions = {segment.index for segment in stream.monoid.segments}
    streamed = [read for read in _reads(stream.monoid) if free_indices(read) & positions]
    found = [divisor for read in streamed for divisor in _divisors(read, head)]
    if not streamed or any(divisor is None for divisor in found):
        return None
    if not found:
        return cascade.range(head).hi
    return found[0] if len(set(found)) == 1 else None


def _reads(monoid: Monoid) -> Iterator[Read]:
    return (node for node in walk(monoid) if isinstance(node, Read))


def _divisors(node: Node, head: str) -> Iterator[Expr | None]:
    """What the index is divided by wherever it stands below a node; None where it is not, or not by a size."""
    match node:
        case Map("floordiv", (Coord(index), by)) if index == head:
            yield by if not free_indices(by) else None
        case Coord(index) if index == head:
            yield None
        case _:
            for below in children(node):
                yield from _divisors(below, head)


def _packed(stream: Stream, cascade: Cascade, head: str, share: Expr) -> Packed:
    row = stream.parallel
    assert row is not None
    own, taken = cascade.range(row), {item.index for item in cascade.ranges} | set(types_of(cascade))
    group, packed = _fresh(f"{head}_group", taken), _fresh(f"{row}_packed", taken)
    heads, rows = cascade.range(head).hi, own.hi if own.lo == Const(0) else Map("sub", (own.hi, own.lo))
    place = Map("mod", (Coord(packed), rows))
    values: dict[Node, Node] = {
        Map("floordiv", (Coord(head), share)): Coord(group),
        Coord(head): Map("add", (Map("mul", (Coord(group), share)), Map("floordiv", (Coord(packed), rows)))),
        Coord(row): place if own.lo == Const(0) else Map("add", (own.lo, place)),
    }
    names = {head: group, row: packed}
    monoid = _renamed(substitute(stream.monoid, values), names)
    ranges = (
        Range(group, Const(0), Map("floordiv", (heads, share))),
        Range(packed, Const(0), Map("mul", (share, rows))),
    )
    around = replace(cascade, ranges=(*cascade.ranges, *ranges))
    grid = tuple(names.get(index, index) for index in stream.grid)
    whole = replace(stream, name=f"{stream.name}_packed", monoid=monoid, parallel=packed, grid=grid)
    return Packed(around, whole, share, heads, rows)


def _renamed(monoid: Monoid, names: dict[str, str]) -> Monoid:
    """The monoid with other names for the axes of its state and of its outputs."""

    def axes(given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(names.get(index, index) for index in given)

    return replace(
        monoid,
        gauges=tuple(replace(item, axes=axes(item.axes)) for item in monoid.gauges),
        accumulators=tuple(replace(item, axes=axes(item.axes)) for item in monoid.accumulators),
        finishes=tuple(replace(item, indices=axes(item.indices)) for item in monoid.finishes),
    )


def _fresh(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name += "_"
    return name
