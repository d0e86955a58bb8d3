"""The parts of a kernel put together: states, one fold per segment and tile class, stores, declarations."""

from __future__ import annotations

from attnc.ir import kernel as k
from attnc.ir.cascade import Choose, Const, Expr, Map, Reduce
from attnc.ir.indices import free_indices
from attnc.ir.kernel import Kernel
from attnc.ir.stage import Finish, Gauge
from attnc.ir.target import WHOLE
from attnc.ir.walk import walk
from attnc.passes.lower.base2 import powers_of_two
from attnc.passes.lower.contract import reduced
from attnc.passes.lower.dead import without_dead
from attnc.passes.lower.fold import Folding
from attnc.passes.lower.frame import Frame
from attnc.passes.lower.lanes import identity
from attnc.passes.lower.loops import Piece, opening, pieces, whole_tile
from attnc.passes.lower.ranges import Told, told
from attnc.passes.lower.reach import reach
from attnc.passes.lower.scope import Block, Scope
from attnc.passes.lower.values import Values
from attnc.passes.masks import solve, trend


class Lowering:
    """One kernel under construction; `points` are the segments walked point by point, `segment` the current one."""

    def __init__(self, frame: Frame, points: frozenset[int]) -> None:
        """Starts with empty scopes."""
        self.frame, self.points = frame, points
        self.scope = Scope(frame.compute, frame.order, frozenset((*frame.stream.tiled, *frame.inner)))
        self.values = Values(frame, self.scope, reduced)
        self.monoid = frame.stream.monoid
        self.folding = Folding(self.values, self.monoid)
        self.segment = -1
        self.loops: list[k.Statement] = []

    def kernel(self) -> Kernel:
        """The finished kernel."""
        numbers = [n for n, segment in enumerate(self.monoid.segments) if segment.index is None]
        opened = numbers[:1] if self.frame.stream.columns is None else []
        self._states(opened[0] if opened else None)
        for number in numbers[len(opened) :]:
            self._point(number)
        for number, segment in enumerate(self.monoid.segments):
            if segment.index is not None:
                self._segment(number)
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
        self.segment = number
        folding, starts = self.folding, dict[str, k.Value]()
        moved = {}
        for gauge in self.monoid.gauges:
            lift = next((lift for lift in gauge.lifts if lift.segment == number), None)
            if lift is not None:
                moved[gauge.name] = lift
                starts[gauge.name] = folding.open(gauge, lift)
        for item in self.monoid.accumulators:
            lift = next((lift for lift in item.lifts if lift.segment == number), None)
            if lift is not None:
                starts[item.name] = self.scope.let("start", folding.lifted(item, lift, None, moved, cut=True))
        self.values.masks = ()
        return starts

    # ---- folds -----------------------------------------------------------------------------

    def _point(self, number: int) -> None:
        """A further virtual key, or a tile of pairs: a fold without the streaming axis."""
        self.segment = number
        test = self._opening(number) if self.frame.stream.columns is not None else None
        setup = self.scope.blocks[0]
        start, known = len(setup.body), dict(setup.known)
        with self.scope.block() as block:
            self.folding.fold(number, None, cut=True)
        if test is None:
            self.loops += block.body
            return
        inside, setup.body[start:], setup.known = tuple(setup.body[start:]), (), known  # all it takes is guarded too
        self.loops.append(k.Guarded(test, (*inside, *block.body), "unseen"))

    def _opening(self, number: int) -> k.Value | None:
        """Whether anything of a tile of pairs is seen; None where no condition says that it is not."""
        bounds = self._bounding(self.folding.shared(number))
        return self._worth(_cheap(bounds), None) or opening(self.values, self.monoid.segments[number], bounds)

    def _bounding(self, shared: tuple[Expr, ...]) -> tuple[Expr, ...]:
        """The conditions that say which tiles are visited; what differs along an inner axis is tested in the tile."""
        return tuple(test for test in shared if not free_indices(test) & set(self.frame.inner))

    def _segment(self, number: int) -> None:
        """The loops of one segment: cut tiles before, whole ones, cut tiles after."""
        self.segment = number
        segment = self.monoid.segments[number]
        if next(self.folding.lifts(number), None) is None:
            return
        pointwise = number in self.points or self.frame.stream.columns is not None
        step = 1 if pointwise else self.frame.tiles.stream
        bounds = self._bounding(self.folding.shared(number))
        self.folding.told = tuple(test for test in bounds if self._places(test, segment.index))
        for piece in pieces(self.values, segment, self.folding.told, step):
            self._loop(number, piece, step, _cheap(bounds))

    def _loop(self, number: int, piece: Piece, step: int, shared: tuple[Expr, ...]) -> None:
        index = self.monoid.segments[number].index
        assert index is not None
        with self.scope.block(index, tiled=step > 1) as block:
            left = shared if piece.cut else tuple(test for test in shared if test not in self.folding.told)
            if self._data_tells(left, index):
                self._asked(number, piece, step, left, block)
            else:
                self._tile(number, piece, step)
        self.values.masks = ()
        self.loops.append(k.Loop(index, piece.lo, piece.hi, step, piece.cut, tuple(block.body)))

    def _asked(self, number: int, piece: Piece, step: int, tests: tuple[Expr, ...], block: Block) -> None:
        """The fold of a tile, where data says that it is seen: by ranges, by pairs only for what these leave."""
        index = self.monoid.segments[number].index
        found = told(self.values, tests)
        if found is None:
            self._visit(number, piece, step, tests, block)
            return
        some = found.some(self.values)
        with self.scope.block(index, tiled=step > 1, loop=False) as inner:
            if self._data_tells(found.rest, index):
                self._visit(number, piece, step, tests, inner)
            else:
                self._parted(number, piece, step, tests, found, inner)
        block.body.append(k.Guarded(some, tuple(inner.body), "far"))

    def _parted(self, number: int, piece: Piece, step: int, tests: tuple[Expr, ...], found: Told, block: Block) -> None:
        """The fold of a tile, on a CPU without these tests where every row sees all of it."""
        segment = self.monoid.segments[number]
        inside = whole_tile(self.values, segment, found.rest, step)
        if inside is None or self.frame.target.kind != "cpu":
            self._tile(number, piece, step)
            return
        test = self.scope.let("whole", k.Map("and", (found.every(self.values), inside)))
        known = self.folding.told
        with self.scope.block(segment.index, loop=False) as whole:
            self.folding.told = tests if piece.cut else (*known, *tests)  # a cut tile need not hold what others do
            self.folding.fold(number, segment.index, cut=False)
        self.values.masks, self.folding.told = (), known
        with self.scope.block(segment.index, loop=False) as rest:
            self._tile(number, piece, step)
        block.body.append(k.Guarded(test, tuple(whole.body), "whole"))
        block.body.append(k.Guarded(k.Map("not", (test,)), tuple(rest.body)))

    def _tile(self, number: int, piece: Piece, step: int) -> None:
        """The fold of a tile; of one that is cut a CPU leaves out what no row of a vector sees."""
        segment = self.monoid.segments[number]
        vectors = self.frame.stream.parallel is not None and self.frame.tiles.parallel >= WHOLE
        if piece.cut and self.frame.target.kind == "cpu" and step > 1 and vectors:
            found = reach(self.values, segment, self._bounding(self.folding.shared(number)))
            self.scope.blocks[-1].body += [] if found is None else [found]
        self.folding.fold(number, segment.index, cut=piece.cut)

    def _visit(self, number: int, piece: Piece, step: int, tests: tuple[Expr, ...], block: Block) -> None:
        """The fold of a tile, where any of its rows sees any of its positions."""
        index = self.monoid.segments[number].index
        test = self._worth(tests, index, ends=piece.cut)
        with self.scope.block(index, tiled=step > 1, loop=False) as inner:
            self._tile(number, piece, step)
        body = tuple(inner.body)
        block.body += body if test is None else (k.Guarded(test, body, "unseen"),)

    def _lengthens(self, number: int) -> bool:
        """Whether later rows see more of a segment: it ends with the row and begins wherever the row is."""
        row, index = self.frame.stream.parallel, self.monoid.segments[number].index
        if row is None or index is None:
            return False
        branches = solve(self._bounding(self.folding.shared(number)), index, self.frame.kind)
        return any(
            any(trend(high, row) == 1 for high in branch.highs) and all(trend(low, row) == 0 for low in branch.lows)
            for branch in branches
        )

    def _places(self, test: Expr, index: str | None) -> bool:
        """Whether a condition, in some alternative, says where positions lie; others are asked of each pair."""
        branches = solve((test,), index or "", self.frame.kind)
        return any(branch.lows or branch.highs or branch.gates for branch in branches) or not branches

    def _data_tells(self, shared: tuple[Expr, ...], index: str | None) -> bool:
        """Whether only data can tell if a tile is seen."""
        return any(branch.gaps for branch in solve(shared, index or "", self.frame.kind))

    def _worth(self, shared: tuple[Expr, ...], index: str | None, *, ends: bool = True) -> k.Value | None:
        """Whether any row of a tile sees any of its positions, where only data can tell."""
        if not self._data_tells(shared, index):
            return None
        self.values.masks = self.folding.edge(index) if ends else ()
        seen = self.folding.seen(shared, index, ends=ends)
        for axis in self.scope.axes(seen) if seen is not None else ():
            assert seen is not None
            seen = self.scope.let("any", k.Reduce("any", seen, axis))
        return seen

    # ---- the end ---------------------------------------------------------------------------

    def _finish(self) -> tuple[k.Statement, ...]:
        values, states = self.values, self.folding.states
        with self.scope.block() as block:
            for item in self.monoid.parts:
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
        setup, loops, finish = without_dead(tuple(self.scope.blocks[0].body), tuple(self.loops), finish)
        body = (*setup, *loops, *finish)
        written = dict.fromkeys(item.tensor for item in self.monoid.ends)
        used = dict.fromkeys(node.tensor for item in body for node in walk(item) if isinstance(node, k.Load))
        params = tuple(frame.param(name, False) for name in used) + tuple(frame.param(name, True) for name in written)
        stream = frame.stream
        grid = tuple(frame.axis(index) for index in stream.grid)
        parallel = None if stream.parallel is None else frame.axis(stream.parallel)
        columns = None if stream.columns is None else frame.axis(stream.columns)
        axes = tuple(frame.axis(index) for index in (*frame.streams, *frame.inner))
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
            sizes=tuple(frame.sizes.items()),
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
            resident=frame.tiles.resident,
            schedule=frame.target.schedule,
            rising=any(self._lengthens(number) for number in range(len(self.monoid.segments))),
        )


def _cheap(tests: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """Those that fold nothing: asking the others first costs the tile's own products."""
    return tuple(test for test in tests if not any(isinstance(node, Reduce) for node in walk(test)))
