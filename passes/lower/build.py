"""The parts of a kernel: axes, parameters, states, one fold per segment and tile class, stores."""

from __future__ import annotations

from collections.abc import Mapping
from math import log

from attnc.ir import kernel as k
from attnc.ir.cascade import Cascade, Choose, Const, Expr, Map, Read, Size, Var
from attnc.ir.indices import free_indices
from attnc.ir.kernel import DType, Kernel, TileType
from attnc.ir.stage import Accumulator, Gauge, Lift, Stream, inner_indices
from attnc.ir.target import Target
from attnc.ir.types import types_of
from attnc.ir.walk import walk
from attnc.passes.lower.base2 import BINARY, based
from attnc.passes.lower.dead import without_dead
from attnc.passes.lower.loops import Limits, limits
from attnc.passes.lower.scope import Block, Scope
from attnc.passes.lower.values import Values, flat
from attnc.passes.tiles import Tiles, choose_tiles

IDENTITY = {"sum": 0.0, "prod": 1.0, "max": float("-inf"), "min": float("inf"), "any": False, "all": True}


class Lowering:
    """One kernel under construction."""

    def __init__(
        self,
        stream: Stream,
        cascade: Cascade,
        target: Target,
        dtypes: Mapping[str, DType],
        extents: Mapping[str, int],
        stepped: frozenset[int],
    ) -> None:
        """Starts with empty scopes; `stepped` are the segments that are walked point by point."""
        self.stream, self.cascade, self.target = stream, cascade, target
        self.dtypes, self.extents, self.stepped = dict(dtypes), dict(extents), stepped
        self.monoid = stream.monoid
        self.segment: int | None = None
        self.compute: DType = "float64" if "float64" in dtypes.values() else "float32"
        self.streams = {segment.index for segment in self.monoid.segments if segment.index is not None}
        self.inner = inner_indices(stream, cascade)
        order = (stream.parallel or "", *sorted(self.streams), *self.inner)
        self.scope = Scope(self.compute, self._tiled, order)
        self.values = Values(cascade, self.scope, self.dtypes, self.extents, types_of(cascade))
        self.tiles: Tiles = choose_tiles(stream, cascade, target, self.dtypes, self.extents, self.inner)
        self.states: dict[str, str] = {}

    def _tiled(self, index: str) -> bool:
        if index in self.streams:
            here = self.segment is not None and self.monoid.segments[self.segment].index == index
            return here and self.segment not in self.stepped
        return index == self.stream.parallel or index in self.inner

    # ---- the whole -------------------------------------------------------------------------

    def kernel(self) -> Kernel:
        """The finished kernel."""
        for gauge in self.monoid.gauges:
            self._state(gauge.name, gauge.axes, "max")
        for item in self.monoid.accumulators:
            self._state(item.name, item.axes, item.op)
        loops: list[k.Statement] = []
        for number, segment in enumerate(self.monoid.segments):
            if segment.index is None:
                loops += self._point(number)
        for number, segment in enumerate(self.monoid.segments):
            if segment.index is not None:
                loops += self._loops(number)
        self.segment = None
        finish = self._finish()
        return self._assembled(tuple(loops), finish)

    def _state(self, name: str, axes: tuple[str, ...], op: str) -> None:
        identity = IDENTITY[op]
        dtype: DType = "bool" if isinstance(identity, bool) else self.compute
        bound = self.scope.state(name, TileType(axes, dtype), k.Const(identity, dtype))
        self.states[name] = bound
        self.scope.blocks[0].body.append(k.State(bound, k.Const(identity, dtype)))

    # ---- folds -----------------------------------------------------------------------------

    def _point(self, number: int) -> list[k.Statement]:
        """A virtual key: a fold without the streaming axis."""
        self.segment = number
        block = Block()
        self.scope.blocks.append(block)
        self._fold(number, ())
        self.scope.blocks.pop()
        self._forget(block)
        return list(block.body)

    def _loops(self, number: int) -> list[k.Statement]:
        """The loops of one segment: cut tiles before, whole ones, cut tiles after."""
        self.segment = number
        index = self.monoid.segments[number].index
        assert index is not None
        step = 1 if number in self.stepped else self.tiles.stream
        found: Limits = limits(self, number, step)
        return [self._loop(number, index, step, lo, hi, cut) for lo, hi, cut in found.loops]

    def _loop(self, number: int, index: str, step: int, lo: k.Value, hi: k.Value, cut: bool) -> k.Loop:
        block = Block(indices=frozenset((index,)))
        self.scope.blocks.append(block)
        edge = (k.Inside(index),) if cut and step > 1 else ()
        self.values.stream = index
        self._fold(number, edge, cut=cut)
        self.values.stream, self.values.inside = None, ()
        self.scope.blocks.pop()
        self._forget(block)
        return k.Loop(index, lo, hi, step, cut, tuple(block.body))

    def _forget(self, block: Block) -> None:
        """Names of a closed block may be used again by its siblings."""
        for node in block.body:
            if isinstance(node, k.Let | k.Load):
                self.scope.taken.discard(node.name)

    def _fold(self, number: int, edge: tuple[k.Value, ...], *, cut: bool = True) -> None:
        """Fold one tile (or point) of a segment into all states."""
        index = self.monoid.segments[number].index
        sets: list[k.Statement] = []
        seen: dict[str, tuple[Expr, ...]] = {}
        self.values.inside = edge + self._stream_only(number, index, cut)
        for gauge in self.monoid.gauges:
            lift = _lift_of(gauge.lifts, number)
            if lift is None:
                self._still(gauge)
                continue
            seen[gauge.name] = lift.when
            sets.append(self._move(gauge, lift, index, edge if index else (), cut))
        updates = tuple(
            self._update(item, number, index, edge if index else (), seen, cut) for item in self.monoid.accumulators
        )
        kept = tuple(update for update in updates if update.lift is not None or update.keep)
        self.scope.blocks[-1].body.append(k.Fold(kept))
        self.scope.blocks[-1].body.extend(sets)

    def _stream_only(self, number: int, index: str | None, cut: bool) -> tuple[k.Value, ...]:
        """Conditions that all lifts share and that speak of the streamed position alone: they mask its loads."""
        if index is None or not cut:
            return ()
        whens = [lift.when for item in self.monoid.parts for lift in item.lifts if lift.segment == number]
        shared = [test for test in (whens[0] if whens else ()) if all(test in when for when in whens)]
        alone = [
            test for test in shared if self.stream.parallel not in free_indices(test) and not _reads_along(test, index)
        ]
        return tuple(self.scope.let("seen", self.values.of(test), test.span) for test in alone)

    def _still(self, gauge: Gauge) -> None:
        """A gauge that this segment does not move."""
        zero = k.Const(0.0, self.compute)
        self.values.bound[gauge.shift + BINARY] = zero
        self.values.bound[gauge.shift] = zero

    def _move(self, gauge: Gauge, lift: Lift, index: str | None, edge: tuple[k.Value, ...], cut: bool) -> k.Set:
        """The gauge's new value; binds the shifted score and the shift for the accumulators."""
        scope, values = self.scope, self.values
        old = k.Use(self.states[gauge.name])
        score = values.real(values.of(based(lift.body)))
        tests = self._tests(lift.when, edge, cut)
        score = scope.let("s", values.selected(score, tests, "max"), lift.body.span)
        tiled = index if index is not None and scope.tiled(index) else None
        new = self._highest(old, score, tiled) if gauge.op == "max" else self._first_mean(old, score, tiled)
        low = k.Const(float("-inf"), self.compute)
        zero = k.Const(0.0, self.compute)
        ref = scope.let("ref", k.Map("select", (k.Map("eq", (new, low)), zero, new)), why="empty")
        shift = scope.let("shift", k.Map("select", (k.Map("eq", (old, low)), zero, k.Map("sub", (old, ref)))))
        # Differences first: scores may be large, and scaling them by log2(e) before would cost their low bits.
        shifted = k.Map("sub", (score, ref))
        values.bound[gauge.shift], values.bound[gauge.shifted] = shift, shifted
        log2e = k.Const(1 / log(2), self.compute)
        values.bound[gauge.shift + BINARY] = k.Map("mul", (shift, log2e))
        values.bound[gauge.shifted + BINARY] = k.Map("mul", (shifted, log2e))
        return k.Set(self.states[gauge.name], new)

    def _highest(self, old: k.Value, score: k.Value, index: str | None) -> k.Value:
        """The running maximum after a tile."""
        scope = self.scope
        top = score if index is None else scope.let("top", k.Reduce("max", self.values.widened(score, index), index))
        return scope.let("new", k.Map("max", (old, top)))

    def _first_mean(self, old: k.Value, score: k.Value, index: str | None) -> k.Value:
        """The mean of the first tile that a row sees anything of; -inf marks a row that has not."""
        scope, low, zero = self.scope, k.Const(float("-inf"), self.compute), k.Const(0.0, self.compute)
        one = k.Const(1.0, self.compute)
        mean = score
        if index is not None:
            tile = self.values.widened(score, index)
            unseen = k.Map("eq", (tile, low))
            total = scope.let("total", k.Reduce("sum", k.Map("select", (unseen, zero, tile)), index))
            number = scope.let("number", k.Reduce("sum", k.Map("select", (unseen, zero, one)), index))
            safe = k.Map("max", (number, one))
            mean = scope.let("mean", k.Map("select", (k.Map("eq", (number, zero)), low, k.Map("div", (total, safe)))))
        return scope.let("new", k.Map("select", (k.Map("eq", (old, low)), mean, old)))

    def _tests(self, when: tuple[Expr, ...], edge: tuple[k.Value, ...], cut: bool) -> list[k.Value]:
        if not cut:
            return []
        tests = [*edge, *(self.values.of(test) for test in when)]
        if len(tests) <= 1:
            return tests
        return [self.scope.let("seen", k.Map("and", tuple(tests)))]

    def _update(
        self,
        item: Accumulator,
        number: int,
        index: str | None,
        edge: tuple[k.Value, ...],
        seen: Mapping[str, tuple[Expr, ...]],
        cut: bool,
    ) -> k.Update:
        values, scope = self.values, self.scope
        keep = tuple((scope.let("keep", values.real(values.of(based(c)))), self.states[name]) for c, name in item.keep)
        if item.gauge is not None and item.gauge not in seen:
            keep = ()
        lift = _lift_of(item.lifts, number)
        if lift is None:
            return k.Update(self.states[item.name], item.op, keep, None)
        vanishes = (
            item.gauge is not None
            and lift.when == seen.get(item.gauge)
            and _vanishes(lift.body, f"{item.gauge}.shifted")
        )
        tests = [] if vanishes else self._tests(lift.when, edge, cut)
        return k.Update(self.states[item.name], item.op, keep, self._lifted(item, based(lift.body), index, tests))

    def _lifted(self, item: Accumulator, body: Expr, index: str | None, tests: list[k.Value]) -> k.Value:
        values, scope = self.values, self.scope
        tiled = index is not None and scope.tiled(index)
        if item.op == "sum":
            if tiled:
                assert index is not None
                return scope.let("part", values.real(values.contract(body, index, tests)))
            return scope.let("part", values.selected(values.real(values.of(body)), tests, "sum"))
        value = values.of(body)
        value = value if item.op in ("any", "all") else values.real(value)
        value = values.selected(value, tests, item.op)
        if not tiled:
            return scope.let("part", value)
        assert index is not None
        return scope.let("part", k.Reduce(item.op, values.widened(value, index), index))

    # ---- the end ---------------------------------------------------------------------------

    def _finish(self) -> tuple[k.Statement, ...]:
        block = Block()
        self.scope.blocks.append(block)
        for gauge in self.monoid.gauges:
            self.values.bound[gauge.name] = k.Use(self.states[gauge.name])
        for item in self.monoid.accumulators:
            self.values.bound[item.name] = k.Use(self.states[item.name])
        for finish in self.monoid.finishes:
            value: Expr = finish.value
            tensor = self.cascade.tensor(finish.tensor)
            assert tensor is not None
            if finish.when:
                absent = Const({"real": 0.0, "int": -1, "bool": False}[tensor.type])
                test = finish.when[0] if len(finish.when) == 1 else Map("and", finish.when)
                value = Choose(test, value, absent, span=value.span)
            subs = tuple(self.values.of(left) for left in finish.left)
            stored = self._typed(self.values.of(value), finish.tensor)
            block.body.append(k.Store(finish.tensor, subs, stored, span=finish.span))
        self.scope.blocks.pop()
        return tuple(block.body)

    def _typed(self, value: k.Value, tensor: str) -> k.Value:
        wanted = self.dtypes[tensor]
        return value if self.scope.type(value).dtype == wanted else k.Map(f"cast:{wanted}", (value,), span=value.span)

    def _assembled(self, loops: tuple[k.Statement, ...], finish: tuple[k.Statement, ...]) -> Kernel:
        setup, loops, finish = without_dead(tuple(self.scope.blocks[0].body), loops, finish)
        body = (*setup, *loops, *finish)
        written = {finish.tensor for finish in self.monoid.finishes}
        used = dict.fromkeys(node.tensor for item in body for node in walk(item) if isinstance(node, k.Load))
        params = [self._param(name, False) for name in used] + [self._param(name, True) for name in sorted(written)]
        grid = tuple(self._axis(index, 1) for index in self.stream.grid)
        parallel = None if self.stream.parallel is None else self._axis(self.stream.parallel, self.tiles.parallel)
        axes = [self._axis(index, self.tiles.stream) for index in sorted(self.streams)]
        axes += [self._axis(index, self._whole(index)) for index in self.inner]
        everything = (*grid, *([parallel] if parallel else []), *axes, *params, *body)
        sizes = dict.fromkeys(node.name for item in everything for node in walk(item) if isinstance(node, k.Size))
        types = tuple(self.scope.types.items())
        named = tuple((name, Size(name)) for name in sizes)
        spec = tuple(self._source_lines())
        return Kernel(
            f"attnc_{self.stream.name}",
            grid,
            parallel,
            tuple(axes),
            tuple(params),
            named,
            types,
            setup,
            loops,
            finish,
            self.compute,
            spec,
            self.tiles.lines,
        )

    def _source_lines(self) -> tuple[str, ...]:
        source = self.stream.span.source
        return source.lines if source.text else ()

    def _param(self, name: str, output: bool) -> k.Param:
        given = self.cascade.input(name)
        if given is not None:
            base = tuple(self.values.of(self.cascade.range(index).lo) for index in given.indices)
        else:
            tensor = self.cascade.tensor(name)
            assert tensor is not None
            base = tuple(self.values.of(lo) for lo, _ in tensor.axes)
        return k.Param(name, self.dtypes[name], base, output)

    def _axis(self, index: str, tile: int) -> k.Axis:
        item = self.cascade.range(index)
        extent = self._whole(index) if index in self.inner else None
        return k.Axis(index, self.values.of(item.lo), self.values.of(item.hi), tile, extent)

    def _whole(self, index: str) -> int:
        from attnc.ir.sizes import evaluate

        item = self.cascade.range(index)
        return max(0, int(evaluate(item.hi, self.extents)) - int(evaluate(item.lo, self.extents)))


def _lift_of(lifts: tuple[Lift, ...], number: int) -> Lift | None:
    return next((lift for lift in lifts if lift.segment == number), None)


def _reads_along(test: Expr, index: str) -> bool:
    return any(isinstance(node, Read) and index in free_indices(node) for node in walk(test))


def _vanishes(body: Expr, shifted: str) -> bool:
    """Whether a phi is 0 at a score of -inf by itself: an exponential of it times what does not mention it."""
    exponentials = [factor for factor in flat(body) if isinstance(factor, Map) and factor.op == "exp"]
    others = [factor for factor in flat(body) if factor not in exponentials]
    mentions = any(isinstance(node, Var) and node.name == shifted for other in others for node in walk(other))
    return bool(exponentials) and not mentions
