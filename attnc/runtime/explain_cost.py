"""What a program costs at given extents: bytes and matrix operations.

Everything is counted from the plan. Points under a mask are exact where its conditions have a closed form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnc.ir.cascade import Cascade, Expr, Read, Reduce, Size
from attnc.ir.indices import free_indices
from attnc.ir.sizes import whole
from attnc.ir.stage import Stage, Stream
from attnc.ir.walk import walk
from attnc.runtime.explain_masks import Masks
from attnc.runtime.program import Program
from attnc.runtime.types import compute_type

if TYPE_CHECKING:
    from attnc.passes.tiles import Tiles


class _UnknownSizeError(Exception):
    """An extent that is needed was not given."""


@dataclass(frozen=True)
class Costs:
    """The costs of a program at a shape, for values of these types, the tiles and the spans that were chosen."""

    program: Program
    shape: Mapping[str, int]
    types: Mapping[str, torch.dtype]
    tiles: Mapping[str, Tiles | None]
    spans: Mapping[str, int]
    masks: Masks

    @property
    def _cascade(self) -> Cascade:
        return self.program.explicit

    # ---- bytes -------------------------------------------------------------------------------

    def compulsory(self) -> int | None:
        """The bytes of the inputs and outputs, each moved once."""
        return self._if_known(lambda: sum(self._size(name) for name in (*self._given, *self._cascade.outputs)))

    def peak(self) -> int | None:
        """The most bytes of tensors that are alive at once; a host stage may need more for its own work."""
        return self._if_known(self._most_alive)

    def moved(self) -> int | None:
        """The bytes that the stages read and write: what is streamed once for each tile of rows."""
        return self._if_known(lambda: sum(self._traffic(stage) for stage in self.program.plan.stages))

    def _if_known(self, count: Callable[[], int]) -> int | None:
        try:
            return count()
        except _UnknownSizeError:
            return None

    @property
    def _given(self) -> tuple[str, ...]:
        """The inputs of this call: those that are not optional, and those whose extents are given."""
        inputs = self._cascade.inputs
        return tuple(item.name for item in inputs if item.default is None or set(item.indices) <= set(self.shape))

    def _size(self, name: str) -> int:
        """The bytes of an input or a tensor."""
        given, defined = self._cascade.input(name), self._cascade.tensor(name)
        if given is not None:
            return self._width(name) * self._extent(given.indices)
        assert defined is not None
        total = self._width(name)
        for lo, hi in defined.axes:
            total *= max(0, self._number(hi) - self._number(lo))
        return total

    def _width(self, name: str) -> int:
        return self.types[name].itemsize

    def _number(self, expr: Expr) -> int:
        if any(isinstance(node, Size) and node.index not in self.shape for node in walk(expr)):
            raise _UnknownSizeError
        return whole(expr, self.shape)

    def _extent(self, indices: Iterable[str | None]) -> int:
        """How many points the indices span together."""
        total = 1
        for index in indices:
            if index is not None:
                item = self._cascade.range(index)
                total *= max(0, self._number(item.hi) - self._number(item.lo))
        return total

    def _rows(self, stage: Stream) -> int:
        return self._extent((stage.parallel,))

    def _most_alive(self) -> int:
        alive = dict.fromkeys(self._given)
        most, stages = 0, self.program.plan.stages
        for position, stage in enumerate(stages):
            alive |= dict.fromkeys(_made(stage))
            most = max(most, sum(self._size(name) for name in alive) + self._states(stage))
            later = {name for other in stages[position + 1 :] for name in self.program.needs[other.name].tensors}
            kept = later | set(self._cascade.outputs) | set(self._given)  # the caller holds the inputs
            alive = {name: None for name in alive if name in kept}
        return most

    def _states(self, stage: Stage) -> int:
        """The bytes of the states of a stream's spans; none where it is not cut."""
        spans = self.spans.get(stage.name, 1)
        if spans == 1:
            return 0
        cut = self.program.splits[stage.name]
        sizes = {**self.shape, cut.span: spans}
        width = {"real": compute_type(self.types).itemsize, "int": 8, "bool": 1}
        shapes = (([whole(hi, sizes) - whole(lo, sizes) for lo, hi in item.axes], item.type) for item in cut.states)
        return sum(width[kind] * math.prod(shape) for shape, kind in shapes)

    def _traffic(self, stage: Stage) -> int:
        written = sum(self._size(name) for name in _made(stage))
        if not isinstance(stage, Stream):
            names = (name for name in self.program.needs[stage.name].tensors if name in self.types)
            return written + sum(self._size(name) for name in names)
        nodes = dict.fromkeys(node for node in walk(stage.monoid) if isinstance(node, Read))
        written += 2 * self._states(stage)
        return written + self._extent(stage.grid) * sum(self._read(node, stage) for node in nodes)

    def _read(self, node: Read, stage: Stream) -> int:
        """The bytes that one program per batch element and head reads of a tensor."""
        along = [free_indices(sub) for sub in node.subs]
        if stage.columns is not None:
            return self._read_by_tiles(node, stage, stage.columns)
        positions = {segment.index for segment in stage.monoid.segments}
        outer = {stage.parallel, *stage.grid, *positions}
        inner = self._extent(sorted({index for found in along for index in found} - outer))
        found: set[str | None] = {index for sub in along for index in sub}
        rows, tiles = self._rows(stage), self.tiles[stage.name]
        if tiles is None:
            raise _UnknownSizeError
        turns = -(-rows // tiles.parallel)
        if not found & positions:
            return self._width(node.tensor) * inner * (rows if stage.parallel in found else turns)
        areas = [self.masks.area(stage, n) for n, item in enumerate(stage.monoid.segments) if item.index in found]
        if any(area is None for area in areas):
            raise _UnknownSizeError
        visited = sum((area.full + area.partial) * tiles.stream for area in areas if area is not None)
        length = self._extent(sorted(index for index in positions & found if index is not None))
        visited = min(visited, turns * length)  # the last tile of a row may be cut short
        return self._width(node.tensor) * inner * visited * (tiles.parallel if stage.parallel in found else 1)

    def _read_by_tiles(self, node: Read, stage: Stream, columns: str) -> int:
        """The bytes that the tiles of pairs read of a tensor for a point of the grid, over all turns of the loop."""
        tiles, found = self.tiles[stage.name], free_indices(node)
        area = self.masks.area(stage, 0)
        if area is None or tiles is None:
            raise _UnknownSizeError
        sides = {stage.parallel: tiles.parallel, columns: tiles.stream}
        lengths = {index: self._extent((index,)) for index in sides}
        most = math.prod(lengths[i] if i in found else -(-lengths[i] // side) for i, side in sides.items())
        visited = (area.full + area.partial) * math.prod(side for index, side in sides.items() if index in found)
        rest = sorted(found - sides.keys() - set(stage.grid))  # inner ones, and the loop's
        return self._width(node.tensor) * self._extent(rest) * min(visited, most)

    # ---- matrix operations -------------------------------------------------------------------

    def flops(self) -> int | None:
        """Multiply-adds of the streamed matrix products, counted as two, on the points that the masks leave."""
        return self._if_known(lambda: sum(self._products(stage) for stage in self.program.streams))

    def _products(self, stage: Stream) -> int:
        if stage.stream is None and stage.columns is None:
            return 0  # sums along rows are no matrix products
        total = 0
        for number, segment in enumerate(stage.monoid.segments):
            tiled = stage.columns is not None or segment.index is not None
            found = self.masks.area(stage, number) if tiled else None
            if tiled and found is None:
                raise _UnknownSizeError
            points = found.points if found is not None else self._rows(stage)
            turns = self._extent((segment.index,)) if stage.columns is not None else 1
            total += turns * points * self._per_point(stage, number)
        return self._extent(stage.grid) * total

    def _per_point(self, stage: Stream, number: int) -> int:
        """Two operations for each term of an inner sum, and for each column of an accumulator that has columns."""
        outer = {*stage.tiled, *stage.grid}
        work, bodies = 0, dict[Expr, None]()
        for item in stage.monoid.parts:
            own = [lift for lift in item.lifts if lift.segment == number]
            columns = [index for index in item.axes if index not in outer]
            work += 2 * self._extent(columns) if own and columns else 0
            bodies |= {lift.body: None for lift in own}
        sums = {node for body in bodies for node in walk(body) if isinstance(node, Reduce)}
        return work + sum(2 * self._extent(node.over) for node in sums)


def _made(stage: Stage) -> tuple[str, ...]:
    """The tensors that a stage writes."""
    return tuple(item.tensor for item in stage.monoid.finishes) if isinstance(stage, Stream) else stage.tensors
