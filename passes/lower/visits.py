"""The loops of a kernel: which tiles of a segment are visited, and under which conditions each is folded."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from attnc.ir import kernel as k
from attnc.ir.cascade import Expr, Reduce
from attnc.ir.indices import free_indices
from attnc.ir.stage import Segment
from attnc.ir.target import WHOLE
from attnc.ir.walk import walk
from attnc.passes.lower.fold import Folding
from attnc.passes.lower.loops import Piece, opening, pieces, whole_tile
from attnc.passes.lower.ranges import Told, told
from attnc.passes.lower.reach import reach
from attnc.passes.lower.scope import Block
from attnc.passes.masks import solve, trend


class Visits:
    """The visits of tiles under construction; `points` are the segments walked point by point, `at` the current one."""

    def __init__(self, folding: Folding, points: frozenset[int]) -> None:
        """Starts with no loop."""
        self.folding, self.conditions, self.points = folding, folding.conditions, points
        self.values, self.monoid = folding.values, folding.monoid
        self.frame, self.scope = folding.values.frame, folding.values.scope
        self.at = -1
        self.loops: list[k.Statement] = []

    def point(self, number: int) -> None:
        """A further virtual key, or a tile of pairs: a fold without the streaming axis."""
        self.at = number
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
        bounds = self._bounding(self.conditions.shared(number))
        return self._worth(_cheap(bounds), None) or opening(self.values, self.monoid.segments[number], bounds)

    def _bounding(self, shared: tuple[Expr, ...]) -> tuple[Expr, ...]:
        """The conditions that say which tiles are visited; what differs along an inner axis is tested in the tile."""
        return tuple(test for test in shared if not free_indices(test) & set(self.frame.inner))

    def segment(self, number: int) -> None:
        """The loops of one segment: cut tiles before, whole ones, cut tiles after; on a CPU one if that is shorter."""
        self.at = number
        segment = self.monoid.segments[number]
        if next(self.conditions.lifts(number), None) is None:
            return
        pointwise = number in self.points or self.frame.stream.columns is not None
        step = 1 if pointwise else self.frame.tiles.stream
        bounds = self._bounding(self.conditions.shared(number))
        self.conditions.told = tuple(test for test in bounds if self._places(test, segment.index))
        shared = _cheap(bounds)
        for run in _runs(pieces(self.values, segment, self.conditions.told, step)):
            self._run(number, run, step, shared)

    def _run(self, number: int, found: list[Piece], step: int, shared: tuple[Expr, ...]) -> None:
        """The loops of pieces that lie side by side."""
        segment, cpu = self.monoid.segments[number], self.frame.target.kind == "cpu"
        asked, thrice = self._data_tells(shared, segment.index), [piece.cut for piece in found] == [True, False, True]
        asks = self._tells_whole if cpu else self._asks_pairs
        if cpu and thrice and not asked:
            self._joined(number, found, step)
        elif asked and (thrice or (cpu and len(found) > 1)) and asks(segment, shared, step):
            self._loop(number, Piece(found[0].lo, found[-1].hi, True), step, shared)
        else:
            for piece in found:
                self._loop(number, piece, step, shared)

    def _tells_whole(self, segment: Segment, tests: tuple[Expr, ...], step: int) -> bool:
        """Whether each tile is asked if every row sees all of it, so that no loop needs to split these off."""
        with self.scope.block(segment.index, tiled=step > 1):  # to look at, not to keep
            found = told(self.values, tests)
            if found is None or self._data_tells(found.rest, segment.index):
                return False
            return whole_tile(self.values, segment, found.rest, step) is not None

    def _asks_pairs(self, segment: Segment, tests: tuple[Expr, ...], step: int) -> bool:
        """Whether each tile asks every pair if it is seen: of whole ones a loop of their own would spare little."""
        with self.scope.block(segment.index, tiled=step > 1):  # to look at, not to keep
            found = told(self.values, tests)
            return found is None or self._data_tells(found.rest, segment.index)

    def _joined(self, number: int, found: list[Piece], step: int) -> None:
        """One loop over cut tiles, whole ones and cut ones again: what is done with a tile is there once."""
        index, (first, inner, last) = self.monoid.segments[number].index, found
        assert index is not None
        start = k.First(index)
        test = k.Map("and", (k.Map("le", (inner.lo, start)), k.Map("lt", (start, inner.hi))))
        every = Piece(first.lo, last.hi, True)
        with self.scope.block(index, tiled=step > 1) as block:
            self._either(number, every, step, test, self.conditions.told, block)
        self.loops.append(k.Loop(index, every.lo, every.hi, step, every.cut, tuple(block.body)))

    def _loop(self, number: int, piece: Piece, step: int, shared: tuple[Expr, ...]) -> None:
        index = self.monoid.segments[number].index
        assert index is not None
        with self.scope.block(index, tiled=step > 1) as block:
            left = shared if piece.cut else tuple(test for test in shared if test not in self.conditions.told)
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
        known = () if piece.cut else self.conditions.told  # a cut tile need not hold what others do
        self._either(number, piece, step, k.Map("and", (found.every(self.values), inside)), (*known, *tests), block)

    def _either(
        self, number: int, piece: Piece, step: int, test: k.Value, told: tuple[Expr, ...], block: Block
    ) -> None:
        """The fold of a tile: without the conditions that are told, where a test says that every row sees all of it."""
        index, known = self.monoid.segments[number].index, self.conditions.told
        test = self.scope.let("whole", test)
        with self.scope.block(index, loop=False) as whole:
            self.conditions.told = told
            self.folding.fold(number, index, cut=False)
        self.values.masks, self.conditions.told = (), known
        with self.scope.block(index, loop=False) as rest:
            self._tile(number, piece, step)
        self.values.masks = ()
        block.body.append(k.Guarded(test, tuple(whole.body), "whole"))
        block.body.append(k.Guarded(k.Map("not", (test,)), tuple(rest.body)))

    def _tile(self, number: int, piece: Piece, step: int) -> None:
        """The fold of a tile; of one that is cut a CPU leaves out what no row of a vector sees."""
        segment = self.monoid.segments[number]
        vectors = self.frame.stream.parallel is not None and self.frame.tiles.parallel >= WHOLE
        if piece.cut and self.frame.target.kind == "cpu" and step > 1 and vectors:
            found = reach(self.values, segment, self._bounding(self.conditions.shared(number)))
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

    def lengthens(self, number: int) -> bool:
        """Whether later rows see more of a segment: it ends with the row and begins wherever the row is."""
        row, index = self.frame.stream.parallel, self.monoid.segments[number].index
        if row is None or index is None:
            return False
        branches = solve(self._bounding(self.conditions.shared(number)), index, self.frame.kind)
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
        self.values.masks = self.conditions.edge(index) if ends else ()
        seen = self.conditions.seen(shared, index, ends=ends)
        for axis in self.scope.axes(seen) if seen is not None else ():
            assert seen is not None
            seen = self.scope.let("any", k.Reduce("any", seen, axis))
        return seen


def _runs(found: list[Piece]) -> Iterator[list[Piece]]:
    """Pieces that lie side by side, together."""
    ends = [place for place, (one, other) in enumerate(pairwise(found), 1) if one.hi != other.lo]
    for lo, hi in pairwise((0, *ends, len(found))):
        yield found[lo:hi]


def _cheap(tests: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """Those that fold nothing: asking the others first costs the tile's own products."""
    return tuple(test for test in tests if not any(isinstance(node, Reduce) for node in walk(test)))
