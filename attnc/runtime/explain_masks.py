"""How the masks of a program's streams fall into tiles at given extents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from attnc.ir.cascade import Cascade, Size
from attnc.ir.print_cascade import sizes_of
from attnc.ir.print_expression import show
from attnc.ir.sizes import whole
from attnc.ir.stage import Stream
from attnc.ir.walk import walk

if TYPE_CHECKING:
    from attnc.passes.areas import Area
    from attnc.passes.tiles import Tiles

MOST_ROWS = 2**18
"""Masks are counted row by row; of longer ones no share is given."""


@dataclass(frozen=True)
class Masks:
    """The masks of a cascade at a shape, under the tiles that were chosen; each is measured once."""

    cascade: Cascade
    shape: Mapping[str, int]
    tiles: Mapping[str, Tiles | None]
    measured: dict[tuple[str, int], Area | None] = field(default_factory=dict)

    def rows(self, stage: Stream) -> Iterator[dict[str, Any]]:
        """Loop bounds of each segment, and the share of its tiles that are empty, full and partial."""
        from attnc.passes.areas import conditions, walked

        sizes = sizes_of(self.cascade)
        for number in range(len(stage.monoid.segments)):
            index = walked(stage, number)
            if index is None:
                continue
            solved = conditions(stage, number, self.cascade)
            row: dict[str, Any] = {"stage": stage.name, "index": index}
            signs = ((">=" if bound.lower else "<", bound.value) for bound in solved.bounds)
            row["bounds"] = [f"{index} {sign} {show(value, sizes)}" for sign, value in signs]
            row["tested"] = [show(test, sizes) for test in solved.opaque]
            yield row | self._shares(stage, number)

    def _shares(self, stage: Stream, number: int) -> dict[str, Any]:
        found = self.area(stage, number)
        if found is None:
            return {"tiles": None, "points": None, "exact": None}
        total = max(1, found.empty + found.full + found.partial)
        counts = {"empty": found.empty, "full": found.full, "partial": found.partial}
        shares = {name: count / total for name, count in counts.items()}
        return {"tiles": shares, "points": found.points, "exact": found.exact}

    def area(self, stage: Stream, number: int) -> Area | None:
        """The tiles and points of a segment per batch element and head; None where extents are missing."""
        key = (stage.name, number)
        if key not in self.measured:
            self.measured[key] = self._area(stage, number)
        return self.measured[key]

    def _area(self, stage: Stream, number: int) -> Area | None:
        from attnc.passes.areas import area

        tiles = self.tiles[stage.name]
        rows = [item for item in self.cascade.ranges if item.index == stage.parallel]
        columns = [item for item in self.cascade.ranges if item.index == stage.columns]
        nodes = [*rows, *columns, stage.monoid.segments[number]]
        known = all(node.index in self.shape for item in nodes for node in walk(item) if isinstance(node, Size))
        if tiles is None or not known:
            return None
        if any(whole(item.hi, self.shape) - whole(item.lo, self.shape) > MOST_ROWS for item in rows):
            return None
        return area(stage, self.cascade, number, self.shape, (tiles.parallel, tiles.stream))
