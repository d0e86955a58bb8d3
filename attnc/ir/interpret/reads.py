"""Reading an element of a tensor at integer subscripts: slices, gathers, and what lies outside."""

from __future__ import annotations

from typing import TypeAlias

import torch

from attnc.ir.cascade import Coord, Read
from attnc.ir.interpret.context import Context, Eval
from attnc.ir.interpret.stored import Growing, Stored
from attnc.ir.interpret.value import Array, Value, common, merged, union

Sub: TypeAlias = str | Value  # an index that walks the whole axis, or positions
Along: TypeAlias = str | Array  # the same, positions counted from the axis' start


def read(expr: Read, context: Context, value_of: Eval) -> Value:
    """The element, existing where its subscripts are in range and the tensor exists."""
    return element(expr, context.at_hand(expr.tensor), context, value_of)


def element(expr: Read, tensor: Stored | Growing, context: Context, value_of: Eval) -> Value:
    """The element of this tensor that an expression reads."""
    subs = subscripts(expr, context, value_of)
    operands = union(*(sub for sub in subs if isinstance(sub, Value)))
    stored, subs = _resting(tensor, subs)
    conditions = stored.parts.get(expr.part, stored.when) if expr.part is not None else stored.when
    stored, along = _walked(Stored(stored.data, stored.base, conditions), subs, context)
    array = _gather(stored.data, along, context)
    tests = tuple(_gather(mask, [along[axis] for axis in axes], context) for mask, axes in stored.when)
    inside = (_inside(sub, stored.data.shape[axis]) for axis, sub in enumerate(along) if isinstance(sub, Array))
    return Value(array, (*operands, *(test for test in inside if test is not None), *tests))


def subscripts(expr: Read, context: Context, value_of: Eval) -> list[Sub]:
    """What a read walks, and where it stands."""
    fixed = context.fixed
    return [
        sub.index if isinstance(sub, Coord) and sub.index not in fixed else value_of(sub, context) for sub in expr.subs
    ]


def _resting(tensor: Stored | Growing, subs: list[Sub]) -> tuple[Stored, list[Sub]]:
    """The tensor that the subscripts read: of one that grows, the position that they stand at, if they do."""
    if not isinstance(tensor, Growing):
        return tensor, subs
    position = standing(tensor, subs)
    if position is None:
        return tensor.whole(), subs
    return tensor.at(position), subs[: tensor.axis] + subs[tensor.axis + 1 :]


def standing(tensor: Growing, subs: list[Sub]) -> int | None:
    """The one position along the axis of the recurrence at which these subscripts stand."""
    sub = subs[tensor.axis]
    return None if isinstance(sub, str) or sub.array.data.dim() else int(sub.array.data)


def _walked(stored: Stored, subs: list[Sub], context: Context) -> tuple[Stored, list[Along]]:
    """The stretch of the tensor that its bare subscripts walk, and the subscripts along it."""
    data, when, along = stored.data, stored.when, list[Along]()
    for axis, sub in enumerate(subs):
        base, extent = stored.base[axis], stored.data.shape[axis]
        if isinstance(sub, Value):
            along.append(Array(sub.array.data - base, sub.dims))
            continue
        lo, hi = context.range(sub)
        if base <= lo and hi <= base + extent:
            data = data.narrow(axis, lo - base, hi - lo)
            when = tuple(_narrowed(mask, axes, axis, lo - base, hi - lo) for mask, axes in when)
            along.append(sub)
        else:
            along.append(Array(torch.arange(lo - base, hi - base, device=data.device), (sub,)))
    return Stored(data, stored.base, when), along


def _narrowed(
    mask: torch.Tensor, axes: tuple[int, ...], axis: int, start: int, length: int
) -> tuple[torch.Tensor, tuple[int, ...]]:
    return (mask.narrow(axes.index(axis), start, length) if axis in axes else mask), axes


def _inside(sub: Array, extent: int) -> Array | None:
    test = (sub.data >= 0) & (sub.data < extent)
    return None if bool(test.all()) else Array(test, sub.dims)


def _gather(data: torch.Tensor, subs: list[Along], context: Context) -> Array:
    """The elements at the subscripts, over the union of their axes."""
    names = [sub for sub in subs if isinstance(sub, str)]
    if len(names) == len(subs) and len(set(names)) == len(names):
        return Array(data, tuple(names))
    simple = _one_axis(data, subs)
    if simple is not None:
        return simple
    dims = merged(*((sub,) if isinstance(sub, str) else sub.dims for sub in subs))
    if 0 in data.shape:
        return _nothing(data, dims, context)
    places = []
    for axis, sub in enumerate(subs):
        if isinstance(sub, str):
            positions = Array(torch.arange(data.shape[axis], device=data.device), (sub,))
        else:
            positions = Array(sub.data.clamp(0, data.shape[axis] - 1), sub.dims)
        places.append(positions.over(dims))
    return Array(data[tuple(common(*places))], dims)


def _one_axis(data: torch.Tensor, subs: list[Along]) -> Array | None:
    """One computed subscript over indices that no other subscript has: a selection along its axis."""
    computed = [axis for axis, sub in enumerate(subs) if not isinstance(sub, str)]
    names = [sub for sub in subs if isinstance(sub, str)]
    if len(computed) != 1 or len(set(names)) != len(names) or data.shape[computed[0]] == 0:
        return None
    axis = computed[0]
    sub = subs[axis]
    assert isinstance(sub, Array)
    if set(sub.dims) & set(names):
        return None
    positions, own = _rising(Array(sub.data.clamp(0, data.shape[axis] - 1), sub.dims))
    found = _selected(data, axis, positions.reshape(-1))
    shape = (*data.shape[:axis], *positions.shape, *data.shape[axis + 1 :])
    return Array(found.reshape(shape), (*names[:axis], *own, *names[axis:]))


def _rising(sub: Array) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Positions with the axis of the longest steps first: along h = g * R + r they follow one another then."""
    if not sub.data.numel():
        return sub.data, sub.dims
    order = sorted(range(sub.data.dim()), key=lambda axis: -_step(sub.data, axis))
    return sub.data.permute(order), tuple(sub.dims[axis] for axis in order)


def _step(positions: torch.Tensor, axis: int) -> int:
    """How far the first two positions along an axis lie apart."""
    line = positions.movedim(axis, -1).reshape(-1, positions.shape[axis])[0]
    return int(line[:2][-1] - line[0])


def _selected(data: torch.Tensor, axis: int, positions: torch.Tensor) -> torch.Tensor:
    """The elements at positions along an axis: a part of the tensor itself where they follow one another."""
    first, number = int(positions[0]) if len(positions) else 0, len(positions)
    if torch.equal(positions, torch.arange(first, first + number, device=data.device, dtype=positions.dtype)):
        return data.narrow(axis, first, number)
    return data.index_select(axis, positions)


def _nothing(data: torch.Tensor, dims: tuple[str, ...], context: Context) -> Array:
    shape = [1 if dim in context.fixed else context.extent(dim) for dim in dims]
    nothing = torch.zeros(shape, dtype=data.dtype, device=data.device)
    return Array(nothing + data.sum() if data.requires_grad else nothing, dims)
