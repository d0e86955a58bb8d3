"""Definitions: a value over a part's indices becomes a stretch of its tensor."""

from __future__ import annotations

import torch

from attnc.ir.cascade import Coord, Part, Tensor
from attnc.ir.interpret.context import Context, Stored
from attnc.ir.interpret.reads import Eval
from attnc.ir.interpret.store import kind_of, spread
from attnc.ir.interpret.value import Array, Value, joined, total

Conditions = tuple[tuple[torch.Tensor, tuple[int, ...]], ...]


def part_value(part: Part, context: Context, value_of: Eval) -> Value:
    """A part's value with all its conditions."""
    value = value_of(part.value, context)
    return Value(value.array, (*value.when, *(total(value_of(test, context)) for test in part.when)))


def bounds(tensor: Tensor, context: Context) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where each axis starts, and its extent."""
    base = tuple(int(context.number(lo)) for lo, _ in tensor.axes)
    shape = tuple(max(0, int(context.number(hi)) - lo) for (_, hi), lo in zip(tensor.axes, base, strict=True))
    return base, shape


def define(tensor: Tensor, context: Context, value_of: Eval) -> Stored:
    """The tensor in memory."""
    base, shape = bounds(tensor, context)
    if len(tensor.parts) == 1 and _walks_all(tensor.parts[0], base, shape, context):
        return _whole(tensor, base, context, value_of)
    kind = kind_of(tensor.type, context)
    stored = Stored(torch.zeros(shape, dtype=kind, device=context.device), base)
    present = torch.zeros(shape, dtype=torch.bool, device=context.device)
    for number, part in enumerate(tensor.parts):
        place(stored, present, number, part, part_value(part, context, value_of), context, value_of)
    settle(stored, present)
    return stored


def _walks_all(part: Part, base: tuple[int, ...], shape: tuple[int, ...], context: Context) -> bool:
    for left, lo, extent in zip(part.left, base, shape, strict=True):
        if not isinstance(left, Coord) or left.index in context.fixed or context.range(left.index) != (lo, lo + extent):
            return False
    return True


def _whole(tensor: Tensor, base: tuple[int, ...], context: Context, value_of: Eval) -> Stored:
    (part,) = tensor.parts
    names = tuple(left.index for left in part.left if isinstance(left, Coord))
    value = part_value(part, context, value_of)
    data = spread(value.array, names, context).to(kind_of(tensor.type, context))
    when = tuple((test.data, tuple(names.index(dim) for dim in test.dims)) for test in value.when)
    return Stored(data, base, when)


def place(
    stored: Stored, present: torch.Tensor, number: int, part: Part, value: Value, context: Context, value_of: Eval
) -> None:
    """Write a part's points into the tensor and mark which of them exist."""
    free = tuple(index for index in part.indices if index not in context.fixed)
    positions = []
    for left, lo in zip(part.left, stored.base, strict=True):
        positions.append(value_of(left, context).array.over(free) - lo)
    shape = [context.extent(index) for index in free]
    spots = tuple(position.expand(shape) for position in positions)
    data = spread(value.array, free, context).to(stored.data.dtype)
    test = joined(value.when)
    true = Array(torch.ones((), dtype=torch.bool, device=context.device), ())
    exists = spread(test or true, free, context)
    inside = torch.ones(shape, dtype=torch.bool, device=context.device)
    for position, extent in zip(spots, stored.data.shape, strict=True):
        inside = inside & (position >= 0) & (position < extent)
    if not spots:
        stored.data, present_now = data, exists
        present.copy_(present_now)
        return
    spots = tuple(position[inside] for position in spots)
    stored.data = stored.data.index_put(spots, data[inside])
    present.index_put_(spots, exists[inside])
    if test is not None:
        own = torch.zeros_like(present)
        own.index_put_(spots, exists[inside])
        earlier = stored.parts.get(number, ())
        merged_own = own | earlier[0][0] if earlier else own
        stored.parts[number] = ((merged_own, tuple(range(present.dim()))),)
    else:
        stored.parts.setdefault(number, ())


def settle(stored: Stored, present: torch.Tensor) -> None:
    """Keep the condition of the whole only where some point is absent, over the axes along which it varies."""
    if bool(present.all()):
        return
    axes = tuple(axis for axis in range(present.dim()) if not _constant(present, axis))
    mask = present
    for axis in sorted(set(range(present.dim())) - set(axes), reverse=True):
        mask = mask.select(axis, 0)
    stored.when = ((mask, axes),)


def _constant(mask: torch.Tensor, axis: int) -> bool:
    return mask.shape[axis] > 0 and bool((mask == mask.narrow(axis, 0, 1)).all())
