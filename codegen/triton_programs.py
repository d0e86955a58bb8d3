"""Which tile a program has: its number gives a grid point and a tile of rows; or programs walk over all numbers.

Where each tile has a program, the tiles of a grid point are neighbours, the longest first where their loops grow. Where
programs walk, a turn takes every program one step on among tiles in the order of their length, so that no program has
more to do than another by more than the longest tile.
"""

from __future__ import annotations

from collections.abc import Iterator

from attnc.codegen.triton_operators import ATOM
from attnc.codegen.triton_values import Printer
from attnc.ir.kernel import Axis, Kernel

WALKS = "for number in range(tl.program_id(0).to(tl.int64), {every}, tl.num_programs(0)):"


def programs(kernel: Kernel, printer: Printer) -> tuple[list[str], list[str]]:
    """What is the same for all tiles, then a tile's own indices and the lanes of its axes."""
    if "persistent" in kernel.schedule:
        counts, own = _walked(kernel, printer)
    else:
        counts, own = [], _placed(kernel, printer)
    return counts, [*own, *_lanes(kernel, printer)]


def _placed(kernel: Kernel, printer: Printer) -> list[str]:
    lines = ["left = tl.program_id(0).to(tl.int64)"]
    for axis in kernel.tiled:
        lines += [_tiles(axis, printer), _first(kernel, axis, printer, f"left % {axis.index}_tiles")]
        lines.append(f"left = left // {axis.index}_tiles")
    return [*lines, *_points(kernel, printer)]


def _walked(kernel: Kernel, printer: Printer) -> tuple[list[str], list[str]]:
    """Numbers count the grid points of a tile before they come to the next, shorter one."""
    extents = ["tl.cast(1, tl.int64)", *(_extent(axis, printer)[0] for axis in kernel.grid)]
    counts = [f"points = {' * '.join(extents)}", *(_tiles(axis, printer) for axis in kernel.tiled)]
    every = " * ".join(("points", *(f"{axis.index}_tiles" for axis in kernel.tiled)))
    own = ["left = number // points"]
    for axis in kernel.tiled:
        own.append(_first(kernel, axis, printer, f"left % {axis.index}_tiles"))
        own += [f"left = left // {axis.index}_tiles"] if axis is not kernel.tiled[-1] else []
    own += ["left = number % points", *_points(kernel, printer)]
    return [*counts, WALKS.format(every=every)], own


def _tiles(axis: Axis, printer: Printer) -> str:
    lo, hi = printer.text(axis.lo), printer.text(axis.hi)
    return f"{axis.index}_tiles = tl.cdiv({hi if lo == '0' else f'{hi} - {lo}'}, {axis.tile})"


def _first(kernel: Kernel, axis: Axis, printer: Printer, number: str) -> str:
    """The first position of the tile of this number, counted from the end where later rows have longer loops."""
    lo = printer.text(axis.lo)
    if kernel.rising and axis is kernel.parallel:
        number = f"{axis.index}_tiles - 1 - {number}"
    return f"{axis.index}_first = {f'{lo} + ' if lo != '0' else ''}({number}).to(tl.int32) * {axis.tile}"


def _points(kernel: Kernel, printer: Printer) -> Iterator[str]:
    for axis in reversed(kernel.grid):
        extent, start = _extent(axis, printer)
        yield f"i_{axis.index} = {start}left % {extent}"
        yield f"left = left // {extent}"


def _extent(axis: Axis, printer: Printer) -> tuple[str, str]:
    """How many positions a grid axis has, an atom, and what is added to their number."""
    lo, hi = printer.text(axis.lo), printer.text(axis.hi)
    return (printer.text(axis.hi, ATOM), "") if lo == "0" else (f"({hi} - {lo})", f"{lo} + ")


def _lanes(kernel: Kernel, printer: Printer) -> Iterator[str]:
    for axis in kernel.tiled:
        name, hi = axis.index, printer.text(axis.hi)
        yield f"{name}_last = tl.minimum({name}_first + {axis.tile}, {hi}) - 1"
        yield f"o_{name} = {name}_first + tl.arange(0, {axis.tile})"
    for axis in kernel.axes:
        if axis.index in printer.inner:
            start = printer.text(axis.lo)
            lanes = f"tl.arange(0, {printer.width(axis.index)})"
            yield f"o_{axis.index} = {lanes}" if start == "0" else f"o_{axis.index} = {start} + {lanes}"
