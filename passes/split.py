"""A stream cut into spans that run side by side, and the merge of their states: two streams in place of one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from math import inf

from attnc.ir.cascade import Cascade, Choose, Const, Coord, Expr, Map, Range, Read, Size, Tensor, Type, Var
from attnc.ir.node import Node
from attnc.ir.stage import Accumulator, Finish, Gauge, Lift, Monoid, Segment, Stream
from attnc.ir.types import type_of, types_of
from attnc.ir.walk import substitute

LOW = Const(-inf)


@dataclass(frozen=True, slots=True)
class Split:
    """The two streams and the cascade around them: that of the one stream, with an index `span` and the states.

    `Size(span)` is the number of spans and `Size(reach)` the positions of one: both are chosen at each call.
    A reach of whole tiles keeps every tile in one span.
    """

    cascade: Cascade
    spans: Stream
    merge: Stream
    span: str
    reach: str

    @property
    def states(self) -> tuple[Tensor, ...]:
        """The tensors that hold the states of all spans."""
        names = {item.tensor for item in self.spans.monoid.finishes}
        return tuple(item for item in self.cascade.tensors if item.name in names)


def split(stream: Stream, cascade: Cascade) -> Split:
    """A stream that walks positions as two: the states of its spans, and their merge.

    Before   a state that all positions enter, and the outputs over it
    After    for each span the state that its positions enter, stored; a stream over the spans whose points are
             those states, which one more virtual keys join, and the same outputs
    Holds    because merging is what the state's monoid says: two gauges become their maximum (or the first that is
             set), and each side's accumulators are corrected to it by `keep` and combined by `op`.
    """
    names = {item.index for item in cascade.ranges} | set(types_of(cascade))
    span, reach = _fresh("span", names), _fresh("reach", names)
    cut = _Cut(stream, cascade, span, reach, names)
    ranges = (*cascade.ranges, Range(span, Const(0), Size(span)))
    around = replace(cascade, ranges=ranges, tensors=(*cascade.tensors, *map(cut.declared, cut.kept)))
    return Split(around, cut.spans(), cut.merge(), span, reach)


def _fresh(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name += "_"
    return name


@dataclass(frozen=True)
class _Cut:
    """A stream on its way; `taken` are the names that the cascade has."""

    stream: Stream
    cascade: Cascade
    span: str
    reach: str
    taken: set[str]

    @property
    def walked(self) -> tuple[int, ...]:
        """The segments with positions; the others are virtual keys, which enter once: at the merge."""
        return tuple(n for n, item in enumerate(self.stream.monoid.segments) if item.index is not None)

    @cached_property
    def kept(self) -> tuple[Gauge | Accumulator, ...]:
        """The components of the state that positions change, with those lifts alone."""
        lifts = {item.name: self._walked(item.lifts) for item in self.stream.monoid.parts}
        return tuple(replace(item, lifts=lifts[item.name]) for item in self.stream.monoid.parts if lifts[item.name])

    def _walked(self, lifts: tuple[Lift, ...]) -> tuple[Lift, ...]:
        return tuple(lift for lift in lifts if lift.segment in self.walked)

    # ---- the states of the spans -------------------------------------------------------------

    def spans(self) -> Stream:
        """The stream of one span, which stores its state."""
        stream = self.stream
        segments = tuple(self._part(item) for item in stream.monoid.segments)
        finishes = tuple(self._stored(item) for item in self.kept)
        gauges, accumulators = _sorted(self.kept)
        monoid = replace(stream.monoid, segments=segments, gauges=gauges, accumulators=accumulators, finishes=finishes)
        towards = tuple(item.tensor for item in stream.monoid.finishes)
        grid = (self.span, *stream.grid)
        return replace(stream, name=f"{stream.name}_spans", monoid=monoid, grid=grid, towards=towards)

    def _part(self, segment: Segment) -> Segment:
        """The part of a segment that lies in the span: lo + span * reach .. lo + (span + 1) * reach."""
        if segment.index is None:
            return segment
        span, reach = Coord(self.span), Size(self.reach)
        lo = _plus(segment.lo, Map("mul", (span, reach)))
        end = _plus(segment.lo, Map("mul", (Map("add", (span, Const(1))), reach)))
        return replace(segment, lo=lo, hi=Map("min", (segment.hi, end)))

    def _stored(self, item: Gauge | Accumulator) -> Finish:
        axes = self._axes(item)
        return Finish(self._name(item.name), tuple(map(Coord, axes)), axes, Var(item.name), span=self.stream.span)

    def declared(self, item: Gauge | Accumulator) -> Tensor:
        """The tensor of a component of the state, for every span."""
        own = {self.span: (Const(0), Size(self.span))}
        ranges = {range.index: (range.lo, range.hi) for range in self.cascade.ranges} | own
        return Tensor(self._name(item.name), tuple(ranges[index] for index in self._axes(item)), self._type(item), ())

    def _axes(self, item: Gauge | Accumulator) -> tuple[str, ...]:
        grid = self.stream.grid
        return (self.span, *grid, *(index for index in item.axes if index not in grid))

    def _name(self, component: str) -> str:
        return _fresh(f"{component}_span", self.taken)

    def _type(self, item: Gauge | Accumulator) -> Type:
        """What a component is held as: integers alone are corrected by nothing."""
        if isinstance(item, Gauge):
            return "real"
        if item.op in ("any", "all"):
            return "bool"
        types = types_of(self.cascade)
        whole = next(other for other in self.stream.monoid.accumulators if other.name == item.name)
        kinds = {type_of(lift.body, types.__getitem__) for lift in whole.lifts}
        corrects = any(name == item.name for other in self.stream.monoid.accumulators for _, name in other.keep)
        return "real" if "real" in kinds or item.gauge or corrects else "int"

    # ---- the merge ---------------------------------------------------------------------------

    def merge(self) -> Stream:
        """The stream over the spans: their states are its points, beside the virtual keys."""
        stream, monoid = self.stream, self.stream.monoid
        own = Segment(self.span, Const(0), Size(self.span), Coord(self.span))
        points = [n for n in range(len(monoid.segments)) if n not in self.walked]
        segments = (own, *(monoid.segments[n] for n in points))
        gauges, accumulators = _sorted(self._merged(item, points) for item in monoid.parts)
        merged = Monoid(segments, gauges, accumulators, monoid.finishes, span=monoid.span)
        return replace(stream, name=f"{stream.name}_merge", monoid=merged, stream=self.span)

    def _merged(self, item: Gauge | Accumulator, points: list[int]) -> Gauge | Accumulator:
        """A component that takes what each span stored, and then the virtual keys."""
        lifts = [replace(lift, segment=1 + points.index(lift.segment)) for lift in item.lifts if lift.segment in points]
        body = self._moved(item)
        if body is not None:
            lifts.insert(0, Lift(0, body, span=item.lifts[0].span))
        return replace(item, lifts=tuple(lifts))

    def _moved(self, item: Gauge | Accumulator) -> Expr | None:
        """What a span stored, relative to the new reference; a span that saw nothing stands at any."""
        gauge = next((other for other in self.kept if isinstance(item, Accumulator) and other.name == item.gauge), None)
        if not isinstance(item, Accumulator) or not isinstance(gauge, Gauge) or not item.keep:
            return self._read(item) if item.name in {other.name for other in self.kept} else None
        unset = Map("eq", (self._read(gauge), LOW))
        shift: dict[Node, Node] = {Var(gauge.shift): Choose(unset, Const(0.0), Var(gauge.shifted))}
        stored = {other.name: self._read(other) for other in self.kept}
        terms = [Map("mul", (substitute(by, shift), stored[name])) for by, name in item.keep if name in stored]
        return reduce(lambda one, other: Map("add", (one, other)), terms) if terms else None

    def _read(self, item: Gauge | Accumulator) -> Read:
        return Read(self._name(item.name), tuple(map(Coord, self._axes(item))))


def _plus(start: Expr, away: Expr) -> Expr:
    return away if start == Const(0) else Map("add", (start, away))


def _sorted(parts: Iterable[Gauge | Accumulator]) -> tuple[tuple[Gauge, ...], tuple[Accumulator, ...]]:
    """Gauges, and accumulators."""
    items = tuple(parts)
    gauges = tuple(item for item in items if isinstance(item, Gauge))
    return gauges, tuple(item for item in items if isinstance(item, Accumulator))
