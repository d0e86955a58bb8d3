"""A streamed stage as a kernel: tiles of rows, loops over the stream with a running state, stores."""

from __future__ import annotations

from collections.abc import Mapping

from attnc.ir.cascade import Cascade
from attnc.ir.kernel import DType, Kernel
from attnc.ir.stage import Stream
from attnc.ir.target import Target
from attnc.passes.lower.build import Lowering
from attnc.passes.lower.scope import NeedsStepError


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

    A segment whose values would carry three axes is walked point by point in place of tiles.
    """
    stepped: frozenset[int] = frozenset()
    while True:
        lowering = Lowering(stream, cascade, target, dtypes, extents, stepped)
        try:
            return lowering.kernel()
        except NeedsStepError:
            at = lowering.segment
            if at is None or at in stepped:
                raise AssertionError(f"stage {stream.name} has a value with three axes outside its stream") from None
            stepped = stepped | {at}
