"""A streamed stage as a kernel: tiles of rows, loops over the stream with a running state, stores."""

from __future__ import annotations

from collections.abc import Mapping

from attnc.ir.cascade import Cascade
from attnc.ir.kernel import DType, Kernel
from attnc.ir.stage import Stream
from attnc.ir.target import Target
from attnc.passes.lower.assemble import Lowering
from attnc.passes.lower.frame import Frame
from attnc.passes.lower.inner import NeedsPointsError
from attnc.passes.lower.lanes import NotLoweredError
from attnc.passes.tiles import choose_tiles


def lower(
    stream: Stream,
    cascade: Cascade,
    target: Target,
    dtypes: Mapping[str, DType],
    extents: Mapping[str, int],
) -> Kernel:
    """The kernel of a streamed stage.

    Before   a monoid: gauges, accumulators, corrections, outputs over them
    After    setup, loops that fold tiles into states, stores
    Holds    because each tile is folded as the monoid says, and folding the identity changes nothing.

    A segment whose values would carry three axes is walked point by point in place of tiles. Rows lie side by side
    then, and are as many as fill a vector.
    """
    tiles = choose_tiles(stream, cascade, target, dtypes, extents)
    points: frozenset[int] = frozenset()
    while True:
        lowering = Lowering(Frame(stream, cascade, target, dtypes, extents, tiles), points)
        try:
            return lowering.kernel()
        except NeedsPointsError:
            points |= {lowering.visits.at}
            tiles = choose_tiles(stream, cascade, target.with_whole_vectors, dtypes, extents)


__all__ = ["NotLoweredError", "lower"]
