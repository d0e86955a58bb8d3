"""Whether a call takes the heads that share their keys as rows of one tile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attnc.ir.sizes import whole
from attnc.ir.stage import Stream
from attnc.ir.target import Target
from attnc.runtime.program import Program

if TYPE_CHECKING:
    from attnc.passes.pack import Packed


def packing(
    program: Program, stage: Stream, sizes: Mapping[str, int], place: Target
) -> tuple[Packed, Program, int] | None:
    """The packed stream, its program, and how many heads share; None where the stage runs as it is.

    It is worth it where the rows of one head leave room in the smallest tile: keys are read once for all its heads.
    """
    pair = program.packs.get(stage.name)
    if pair is None:
        return None
    share, heads, rows = (whole(expr, sizes) for expr in (pair[0].share, pair[0].heads, pair[0].rows))
    return (*pair, share) if share > 1 and heads % share == 0 and 0 < rows < place.few else None
