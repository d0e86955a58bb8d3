"""A derived monoid, evaluated by the oracle: states of pieces of the stream, their merge, the outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from attnc.ir.cascade import Cascade, Const, Coord, Expr, Grad, Map, Read, Reduce, Var
from attnc.ir.dependence import aligned_indices
from attnc.ir.interpret import _run_step
from attnc.ir.interpret.context import Context
from attnc.ir.interpret.expressions import value_of
from attnc.ir.interpret.store import stored_input
from attnc.ir.interpret.stored import Stored
from attnc.ir.interpret.value import joined
from attnc.ir.node import Node
from attnc.ir.sizes import bind
from attnc.ir.stage import Accumulator, Gauge, Lift, Stream
from attnc.ir.walk import substitute, walk

State = dict[str, torch.Tensor]
Spans = tuple[tuple[int, int] | None, ...]  # for each segment the points lo <= index < hi, or none of them
LOW = -torch.inf
IDENTITY = {"sum": 0.0, "prod": 1.0, "max": LOW, "min": torch.inf, "any": False, "all": True}


def context_of(cascade: Cascade, inputs: Mapping[str, torch.Tensor], dtype: torch.dtype = torch.float64) -> Context:
    """A context in which every tensor of the cascade has been computed in this type."""
    sizes = bind(cascade, {name: tensor.shape for name, tensor in inputs.items()})
    derivatives = {node: aligned_indices(node, cascade) for node in walk(cascade) if isinstance(node, Grad)}
    context = Context(cascade, sizes, dtype, torch.device("cpu"), {}, derivatives=derivatives)
    for item in cascade.inputs:
        context.tensors[item.name] = stored_input(item, inputs.get(item.name), context, value_of)
    for step in cascade.steps:
        _run_step(step, context)
    return context


@dataclass(frozen=True)
class Monoid:
    """The monoid of one stage on one set of inputs."""

    stage: Stream
    context: Context

    def whole(self) -> Spans:
        """Every point of every segment."""
        points = (segment.index for segment in self.stage.monoid.segments)
        return tuple((0, 1) if index is None else self.context.range(index) for index in points)

    def lift(self, spans: Spans) -> State:
        """The state of some points of the stream; the identity for none."""
        state: State = {}
        for gauge in self.stage.monoid.gauges:
            state[gauge.name] = self._reference(gauge, spans)
        held = self._holding(state)
        for item in self.stage.monoid.accumulators:
            state[item.name] = self._fold(item, item.op, item.lifts, spans, held)
        return state

    def merge(self, one: State, other: State) -> State:
        """The state of the points of both."""
        merged: State = {}
        for gauge in self.stage.monoid.gauges:
            a, b = one[gauge.name], other[gauge.name]
            merged[gauge.name] = torch.maximum(a, b) if gauge.op == "max" else torch.where(a == LOW, b, a)
        sides = [self._corrected(side, merged) for side in (one, other)]
        for item in self.stage.monoid.accumulators:
            merged[item.name] = _combined(item.op, sides[0][item.name], sides[1][item.name])
        return merged

    def finish(self, state: State) -> dict[str, torch.Tensor]:
        """The outputs over a finished state."""
        held = self._holding(state)
        found = {}
        for item in self.stage.monoid.finishes:
            value = value_of(self._read(item.value), held)
            axes = tuple(index for index in item.indices)
            shape = [held.extent(index) for index in axes]
            found[item.tensor] = value.array.over(axes).expand(shape)
        return found

    # ---- pieces ----------------------------------------------------------------------------

    def _axes(self, item: Gauge | Accumulator) -> tuple[str, ...]:
        return (*self.stage.grid, *(index for index in item.axes if index not in self.stage.grid))

    def _parts(self) -> dict[str, Gauge | Accumulator]:
        return {item.name: item for item in self.stage.monoid.parts}

    def _holding(self, state: State) -> Context:
        """The context with a state's components as tensors."""
        parts = self._parts()
        held = dict(self.context.tensors)
        for name, data in state.items():
            base = tuple(self.context.range(index)[0] for index in self._axes(parts[name]))
            held["state " + name] = Stored(data, base)
        return replace(self.context, tensors=held)

    def _read(self, expr: Expr) -> Expr:
        """The expression with a state's components read from the context."""
        reads: dict[Node, Node] = {}
        for name, item in self._parts().items():
            coords = tuple(Coord(index) for index in self._axes(item))
            reads[Var(name)] = Read("state " + name, coords)
            if isinstance(item, Gauge):
                reads[Var(item.shift)] = Read("shift " + name, coords)
        found: Expr = substitute(expr, reads)
        return found

    def _reference(self, gauge: Gauge, spans: Spans) -> torch.Tensor:
        if gauge.op == "max":
            return self._fold(gauge, "max", gauge.lifts, spans, self.context)
        ones = tuple(replace(lift, body=Const(1.0)) for lift in gauge.lifts)
        count = self._fold(gauge, "sum", ones, spans, self.context)
        total = self._fold(gauge, "sum", gauge.lifts, spans, self.context)
        return torch.where(count == 0, LOW, total / count.clamp(min=1))

    def _fold(
        self, item: Gauge | Accumulator, op: str, lifts: Sequence[Lift], spans: Spans, context: Context
    ) -> torch.Tensor:
        axes = self._axes(item)
        shape = [context.extent(index) for index in axes]
        kind = torch.bool if op in ("any", "all") else context.dtype
        found = torch.full(shape, IDENTITY[op], dtype=kind)
        for lift in lifts:
            span, index = spans[lift.segment], self.stage.monoid.segments[lift.segment].index
            if span is None:
                continue
            local = context if index is None else replace(context, ranges={**context.ranges, index: span})
            over = () if index is None else (index,)
            body = self._read(substitute(lift.body, self._shifted(item, lift)))
            value = value_of(Reduce(op, over, body, lift.when), local)
            present = joined(value.when)
            data = value.array.over(axes).expand(shape).to(kind)
            if present is not None:
                data = torch.where(present.over(axes), data, torch.full((), IDENTITY[op], dtype=kind))
            found = _combined(op, found, data)
        return found

    def _shifted(self, item: Gauge | Accumulator, lift: Lift) -> dict[Node, Node]:
        """score - reference in the place of the gauge's shifted score."""
        if isinstance(item, Gauge) or item.gauge is None:
            return {}
        gauge = self._parts()[item.gauge]
        assert isinstance(gauge, Gauge)
        scores = [other.body for other in gauge.lifts if other.segment == lift.segment]
        return {Var(gauge.shifted): Map("shift", (scores[0], Var(gauge.name)))} if scores else {}

    def _corrected(self, side: State, merged: State) -> State:
        """A side's accumulators relative to the merged references."""
        parts, held = self._parts(), self._holding(side)
        for name, item in parts.items():
            if isinstance(item, Gauge):
                old, new = side[name], merged[name]
                still = (old == new) | (old == LOW)  # what has seen nothing is the identity and needs no correction
                moved = torch.where(still, 0.0, old - new)
                held.tensors["shift " + name] = Stored(moved, held.tensors["state " + name].base)
        found = {}
        for item in self.stage.monoid.accumulators:
            found[item.name] = side[item.name]
            if item.keep:
                axes = self._axes(item)
                shape = [held.extent(index) for index in axes]
                terms = [Map("mul", (coefficient, Var(other))) for coefficient, other in item.keep]
                values = [value_of(self._read(term), held).array.over(axes).expand(shape) for term in terms]
                found[item.name] = torch.stack(values).sum(0)
        return found


def _combined(op: str, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    match op:
        case "sum":
            return a + b
        case "prod":
            return a * b
        case "max":
            return torch.maximum(a, b)
        case "min":
            return torch.minimum(a, b)
        case "any":
            return a | b
        case _:
            return a & b
