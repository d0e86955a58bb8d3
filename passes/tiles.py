"""Tile sizes from a target's on-chip capacity and what a program keeps and moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from attnc.ir.cascade import Cascade
from attnc.ir.kernel import DType
from attnc.ir.sizes import whole
from attnc.ir.stage import Stream
from attnc.ir.target import Target


@dataclass(frozen=True)
class Tiles:
    """Rows of a program, positions of a loop turn, the bytes they keep on chip, and the reasons as lines."""

    parallel: int
    stream: int
    footprint: int
    lines: tuple[str, ...]


def choose_tiles(
    stream: Stream,
    cascade: Cascade,
    target: Target,
    dtypes: Mapping[str, DType],
    extents: Mapping[str, int],
    inner: tuple[str, ...],
) -> Tiles:
    """The largest tiles, rows first, whose live footprint fits the target's on-chip capacity.

    Rows buy reuse: what is streamed is read once per tile of rows, so traffic falls with their number.
    """
    widths = [_width(cascade, index, extents) for index in inner]
    lines = [f"one pass over {stream.stream}, tiles of {stream.parallel or 'one row'}"]
    for rows, keys in _candidates(target):
        footprint = _footprint(stream, cascade, rows, keys, extents, max(widths, default=1))
        fits = footprint <= target.onchip
        verdict = "fits" if fits else "does not fit"
        lines.append(
            f"tile {rows} x {keys}: {footprint >> 10} KiB live, {verdict} {target.onchip >> 10} KiB of {target.name}"
        )
        if fits or (rows, keys) == (16, 16):
            return Tiles(rows, keys, footprint, tuple(lines))
    raise AssertionError("the smallest tile is always taken")


def _candidates(target: Target) -> list[tuple[int, int]]:
    rows, keys = target.tile
    found = [(rows, keys)]
    while rows > 16 or keys > 16:
        rows, keys = (max(16, rows // 2), keys) if rows >= keys else (rows, max(16, keys // 2))
        found.append((rows, keys))
    return found


def _width(cascade: Cascade, index: str, extents: Mapping[str, int]) -> int:
    item = cascade.range(index)
    return max(1, whole(item.hi, extents) - whole(item.lo, extents))


def _footprint(stream: Stream, cascade: Cascade, rows: int, keys: int, extents: Mapping[str, int], width: int) -> int:
    """Bytes live in a loop turn: states, operands of both sides, two score tiles."""
    states = 0
    for item in stream.monoid.parts:
        size = 4
        for index in item.axes:
            size *= rows if index == stream.parallel else _width(cascade, index, extents)
        states += size
    return states + 4 * (rows * width + 2 * keys * width + 2 * rows * keys)
