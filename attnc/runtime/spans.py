"""How a call cuts a stream into spans: by its extents and the kind of machine alone, so that its bits are the same
on any number of threads.

A call is cut where it has far fewer jobs (grid points and tiles of rows) than large machines have workers. A merge
reads and writes a state once for each span; a position of the stream costs about as much, whatever the state, since
it enters each of its values. So the least length of a span bounds what cutting costs in work, and the least length
of a stream what the launch of a second kernel costs beside it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

from attnc.ir.cascade import Cascade, Map, Range, Size
from attnc.ir.sizes import remembered, whole
from attnc.ir.stage import Segment, Stream
from attnc.ir.target import Target
from attnc.ir.types import type_of, types_of
from attnc.ir.walk import walk

if TYPE_CHECKING:
    from attnc.passes.masks import Branch

Sizes = Mapping[str, int]
WORKERS = {"cpu": 64, "cuda": 256, "hip": 256}
SCARCE = 4  # a machine this many times larger than the jobs of a call is worth cutting for
LEAST = {"cpu": 1024, "cuda": 256, "hip": 256}  # positions of a span
SHORT = 4096  # streams of fewer positions stay whole
PROBES = 4  # rows that stand for all where it is asked what a mask leaves


@dataclass(frozen=True)
class Cutting:
    """The choice of spans for a stream."""

    stage: Stream
    cascade: Cascade

    def spans(self, sizes: Sizes, target: Target) -> int:
        """How many spans a call cuts the stream into: 1 where it is not cut; ATTNC_SPANS overrules the choice."""
        if self.stage.stream is None:
            return 1
        forced = os.environ.get("ATTNC_SPANS", "")
        if forced.isdecimal() and int(forced) > 0:
            return int(forced)
        return remembered(sizes, self, ("spans", target), lambda: self._chosen(sizes, target))

    def _chosen(self, sizes: Sizes, target: Target) -> int:
        workers, jobs = WORKERS[target.kind], self._jobs(sizes, target)
        if not jobs or jobs * SCARCE > workers or self._longest(sizes) < SHORT or not self._mostly_seen(sizes):
            return 1
        return min(workers // jobs, self._longest(sizes) // LEAST[target.kind])

    def lengths(self, sizes: Sizes, spans: int, tile: int) -> tuple[int, int]:
        """At most so many spans that together hold every position, and the positions of each: whole tiles."""
        length = self._longest(sizes)
        reach = max(1, -(-length // (spans * tile))) * tile
        return max(1, -(-length // reach)), reach

    def known(self, sizes: Sizes) -> bool:
        """Whether these extents decide the rows and spans of a call."""
        outer = {*self.stage.grid, *self.stage.tiled}
        ranges = [item for item in self.cascade.ranges if item.index in outer]
        nodes = (node for item in (*ranges, *self.stage.monoid.segments) for node in walk(item))
        return all(node.index in sizes for node in nodes if isinstance(node, Size))

    def rows(self, sizes: Sizes) -> int | None:
        """The rows of a call, over all tiles; None where a stage has no rows."""
        return None if self.stage.parallel is None else self._extent(self.stage.parallel, sizes)

    @cached_property
    def _compares(self) -> bool:
        """Whether the program asks if two real values are equal: they have to be computed in one order everywhere."""
        types = types_of(self.cascade)
        tests = (node for node in walk(self.cascade) if isinstance(node, Map) and node.op in ("eq", "ne"))
        return any(type_of(arg, types.__getitem__) == "real" for test in tests for arg in test.args)

    def place(self, sizes: Sizes, target: Target) -> Target:
        """The machine with the tiles that a call's rows ask for; few of them need one index alone that is walked."""
        rows = self.rows(sizes)
        walked = {item.index for item in self.stage.monoid.segments} - {None}
        exact = self.stage.columns is None and len(walked) == 1 and not self._compares
        return target if rows is None else target.for_rows(rows, exact=exact)

    def _jobs(self, sizes: Sizes, target: Target) -> int:
        tiles = prod(-(-self._extent(index, sizes) // target.rows[0]) for index in self.stage.tiled)
        return tiles * prod(self._extent(index, sizes) for index in self.stage.grid)

    @cached_property
    def _ranges(self) -> dict[str, Range]:
        return {item.index: item for item in self.cascade.ranges}

    def _extent(self, index: str, sizes: Sizes) -> int:
        item = self._ranges[index]
        return max(0, whole(item.hi, sizes) - whole(item.lo, sizes))

    @cached_property
    def _segments(self) -> tuple[tuple[Segment, tuple[Branch, ...]], ...]:
        """The segments with positions, and the alternatives of their conditions."""
        from attnc.passes.areas import conditions

        numbered = [(n, item) for n, item in enumerate(self.stage.monoid.segments) if item.index is not None]
        return tuple((item, conditions(self.stage, n, self.cascade).branches) for n, item in numbered)

    def _longest(self, sizes: Sizes) -> int:
        segments = (item for item in self.stage.monoid.segments if item.index is not None)
        return max(whole(item.hi, sizes) - whole(item.lo, sizes) for item in segments)

    def _mostly_seen(self, sizes: Sizes) -> bool:
        """Whether the conditions leave at least half of the positions, as far as their bounds tell."""
        from attnc.passes.masks import measured

        if self.stage.columns is not None:
            return True
        rows, seen, every = self._probes(sizes), 0, 0
        for segment, branches in self._segments:
            axis = (whole(segment.lo, sizes), whole(segment.hi, sizes))
            probed = (self.stage.parallel, rows)
            seen += measured(branches, segment.index or "", axis, probed, sizes, (1, 1)).points
            every += len(rows) * max(0, axis[1] - axis[0])
        return 2 * seen >= every

    def _probes(self, sizes: Sizes) -> range:
        if self.stage.parallel is None:
            return range(1)
        item = self.cascade.range(self.stage.parallel)
        lo, hi = whole(item.lo, sizes), whole(item.hi, sizes)
        return range(hi - 1, lo - 1, -max(1, (hi - lo) // PROBES))
