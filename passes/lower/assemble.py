"""The parts of a kernel put together: states, one fold per segment and tile class, stores, declarations."""

from __future__ import annotations

from attnc.ir import kernel as k
from attnc.ir.cascade import Choose, Const, Expr, Map
from attnc.ir.kernel import Kernel
from attnc.ir.stage import Finish, Gauge
from attnc.ir.walk import walk
from attnc.passes.lower.base2 import powers_of_two
from attnc.passes.lower.contract import reduced
from attnc.passes.lower.dead import without_dead
from attnc.passes.lower.fold import Folding
from attnc.passes.lower.frame import Frame
from attnc.passes.lower.lanes import identity
from attnc.passes.lower.scope import Scope
from attnc.passes.lower.values import Values
from attnc.passes.lower.visits import Visits
from attnc.passes.operations import HALVES


class Lowering:
    """One kernel under construction; `points` are the segments walked point by point."""

    def __init__(self, frame: Frame, points: frozenset[int]) -> None:
        """Starts with empty scopes."""
        self.frame = frame
        self.scope = Scope(frame.compute, frame.order, frozenset((*frame.stream.tiled, *frame.inner)))
        self.values = Values(frame, self.scope, reduced)
        self.monoid = frame.stream.monoid
        self.folding = Folding(self.values, self.monoid)
        self.visits = Visits(self.folding, points)

    def kernel(self) -> Kernel:
        """The finished kernel."""
        numbers = [n for n, segment in enumerate(self.monoid.segments) if segment.index is None]
        opened = numbers[:1] if self.frame.stream.columns is None else []
        self._states(opened[0] if opened else None)
        for number in numbers[len(opened) :]:
            self.visits.point(number)
        for number, segment in enumerate(self.monoid.segments):
            if segment.index is not None:
                self.visits.segment(number)
        return self._assembled(self._finish())

    # ---- states ----------------------------------------------------------------------------

    def _states(self, first: int | None) -> None:
        """Every component of the state at its identity, or at the first virtual key, which opens the fold."""
        starts = self._opened(first) if first is not None else {}
        for item in self.monoid.parts:
            kind = self.folding.state_type(item)
            op = "max" if isinstance(item, Gauge) else item.op
            init = starts.get(item.name, identity(op, kind.dtype))
            name = self.scope.state(f"{item.name}", kind, init, 0)
            self.folding.states[item.name] = name
            self.scope.running.add(name)

    def _opened(self, number: int) -> dict[str, k.Value]:
        """The state after one virtual key: maxima are its scores, sums are its lifts about them."""
        self.visits.at = number
        folding, starts = self.folding, dict[str, k.Value]()
        moved = {}
        for gauge in self.monoid.gauges:
            lift = next((lift for lift in gauge.lifts if lift.segment == number), None)
            if lift is not None:
                moved[gauge.name] = lift
                starts[gauge.name] = folding.gauges.open(gauge, lift)
        for item in self.monoid.accumulators:
            lift = next((lift for lift in item.lifts if lift.segment == number), None)
            if lift is not None:
                starts[item.name] = self.scope.let("start", folding.lifted(item, lift, None, moved, cut=True))
        self.values.masks = ()
        return starts

    # ---- the end ---------------------------------------------------------------------------

    def _finish(self) -> tuple[k.Statement, ...]:
        values, states = self.values, self.folding.states
        with self.scope.block() as block:
            for gauge in self.monoid.gauges:
                values.bound[gauge.name] = self.folding.gauges.natural(gauge)
            for item in self.monoid.accumulators:
                values.bound[item.name] = k.Use(states[item.name])
            for finish in self.monoid.finishes:
                block.body.append(self._store(finish))
        return tuple(block.body)

    def _store(self, finish: Finish) -> k.Store:
        tensor = self.frame.cascade.tensor(finish.tensor)
        assert tensor is not None
        value: Expr = powers_of_two(finish.value)
        if finish.when:
            absent = Const({"real": 0.0, "int": -1, "bool": False}[tensor.type])
            test = finish.when[0] if len(finish.when) == 1 else Map("and", finish.when)
            value = Choose(test, value, absent, span=value.span)
        subs = tuple(self.values.of(left) for left in finish.left)
        stored = self.values.cast(self.values.of(value), self.frame.dtypes[finish.tensor])
        return k.Store(finish.tensor, subs, stored, span=finish.span)

    def _assembled(self, finish: tuple[k.Statement, ...]) -> Kernel:
        frame = self.frame
        setup, loops, finish = without_dead(tuple(self.scope.blocks[0].body), tuple(self.visits.loops), finish)
        body = (*setup, *loops, *finish)
        written = dict.fromkeys(item.tensor for item in self.monoid.ends)
        used = dict.fromkeys(node.tensor for item in body for node in walk(item) if isinstance(node, k.Load))
        params = tuple(frame.param(name, False) for name in used) + tuple(frame.param(name, True) for name in written)
        stream = frame.stream
        grid = tuple(frame.axis(index) for index in stream.grid)
        parallel = None if stream.parallel is None else frame.axis(stream.parallel)
        columns = None if stream.columns is None else frame.axis(stream.columns)
        axes = tuple(frame.axis(index) for index in (*frame.streams, *frame.inner))
        outer = (*grid, *(axis for axis in (parallel, columns) if axis is not None), *axes)
        sized = {node.name for item in (*outer, *params, *body) for node in walk(item) if isinstance(node, k.Size)}
        source = stream.span.source
        spec = source.lines if source.text else ()
        named = {node.name for item in body for node in walk(item) if isinstance(node, k.Let | k.Load | k.State)}
        types = tuple((name, kind) for name, kind in self.scope.types.items() if name in named)
        return Kernel(
            name=f"attnc_{stream.name}",
            grid=grid,
            parallel=parallel,
            columns=columns,
            axes=axes,
            params=params,
            sizes=tuple(item for item in frame.sizes.items() if item[0] in sized),
            types=types,
            setup=setup,
            loops=loops,
            finish=finish,
            compute=frame.compute,
            spec=spec,
            plan=frame.tiles.lines,
            warps=frame.tiles.warps,
            stages=frame.tiles.stages,
            cycles=frame.tiles.cycles,
            serial=bool(self.monoid.adds),
            rounds=bool(stream.towards) and all(frame.dtypes[name] in HALVES for name in stream.towards),
            resident=frame.tiles.resident,
            schedule=frame.target.schedule,
            rising=any(self.visits.lengthens(number) for number in range(len(self.monoid.segments))),
        )
