"""Where the points of a part lie: a line of positions along each axis of its tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from attnc.ir.cascade import Expr
from attnc.ir.indices import free_indices
from attnc.ir.interpret.context import Context, Eval
from attnc.ir.interpret.store import spread
from attnc.ir.interpret.value import Array


@dataclass(frozen=True)
class Line:
    """The positions that a left subscript takes along its axis, over its indices (row-major).

    `inside` says which of them lie on the axis, None where all do; `places` are those, from the axis' start.
    """

    indices: tuple[str, ...]
    length: int
    inside: torch.Tensor | None
    places: slice | torch.Tensor
    full: bool  # every position of the axis, in order


def line(sub: Expr, start: int, extent: int, context: Context, value_of: Eval) -> Line:
    """The line of a left subscript along an axis of this extent."""
    indices = tuple(sorted(free_indices(sub) - set(context.fixed)))
    positions = spread(value_of(sub, context).array, indices, context).reshape(-1) - start
    inside = (positions >= 0) & (positions < extent)
    kept = positions if bool(inside.all()) else positions[inside]
    stretch = _stretch(kept)
    full = stretch is not None and len(kept) == len(positions) == extent
    return Line(
        indices, len(positions), None if kept is positions else inside, kept if stretch is None else stretch, full
    )


def _stretch(positions: torch.Tensor) -> slice | None:
    """The positions as a slice, if they are one."""
    if len(positions) < 2:
        first = int(positions[0]) if len(positions) else 0
        return slice(first, first + len(positions))
    first, step = int(positions[0]), int(positions[1] - positions[0])
    if step < 1:
        return None
    even = torch.arange(first, first + step * len(positions), step, device=positions.device)
    return slice(first, int(positions[-1]) + 1, step) if torch.equal(even, positions) else None


def placed(canvas: torch.Tensor, lines: Sequence[Line], array: Array, context: Context) -> torch.Tensor:
    """The canvas with the array at the positions of the lines; it may be written to."""
    data = spread(array, [index for line in lines for index in line.indices], context).to(canvas.dtype)
    data = data.reshape([line.length for line in lines])
    if all(line.full for line in lines):
        return data
    for axis, line in enumerate(lines):
        if line.inside is not None:
            data = data[(slice(None),) * axis + (line.inside,)]
    if not data.numel():
        return canvas
    stretches = tuple(line.places for line in lines if isinstance(line.places, slice))
    if len(stretches) == len(lines):
        canvas[stretches] = data
        return canvas
    return canvas.index_put(_mesh(canvas, lines), data)


def _mesh(canvas: torch.Tensor, lines: Sequence[Line]) -> tuple[torch.Tensor, ...]:
    """The positions of every axis, each along an axis of its own."""
    mesh = []
    for axis, line in enumerate(lines):
        every = torch.arange(canvas.shape[axis], device=canvas.device)
        places = every[line.places] if isinstance(line.places, slice) else line.places
        mesh.append(places.view([-1 if place == axis else 1 for place in range(len(lines))]))
    return tuple(mesh)
