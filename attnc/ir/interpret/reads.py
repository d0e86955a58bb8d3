"""Reading an element of a tensor at integer subscripts: slices, gathers, and what lies outside."""

from __future__ import annotations

from collections.abc import Callable

import torch

from attnc.ir.cascade import Coord, Expr, Read
from attnc.ir.interpret.context import Context, Stored
from attnc.ir.interpret.value import Array, Value, common, merged, union

Eval = Callable[[Expr, Context], Value]


def read(expr: Read, context: Context, value_of: Eval) -> Value:
    """The element, existing where its subscripts are in range and the tensor exists."""
    stored = context.tensors[expr.tensor]
    conditions = stored.parts.get(expr.part, stored.when) if expr.part is not None else stored.when
    subs = [_subscript(sub, axis, stored, context, value_of) for axis, sub in enumerate(expr.subs)]
    array = _gather(stored.data, subs, context)
    tests = tuple(_gather(mask, [subs[axis] for axis in axes], context) for mask, axes in conditions)
    inside = tuple(
        _inside(subs[axis], stored.data.shape[axis], context)
        for axis in range(len(subs))
        if not isinstance(subs[axis], str)
    )
    operands = union(*(sub for sub in subs if isinstance(sub, Value)))
    return Value(array, (*operands, *(test for test in inside if test is not None), *tests))


def _subscript(sub: Expr, axis: int, stored: Stored, context: Context, value_of: Eval) -> str | Value:
    """An index name where the subscript walks the whole axis, else positions counted from the axis' start."""
    base = stored.base[axis]
    if isinstance(sub, Coord) and sub.index not in context.fixed:
        lo, hi = context.range(sub.index)
        if lo == base and hi - lo == stored.data.shape[axis]:
            return sub.index
    value = value_of(sub, context)
    return Value(Array(value.array.data - base, value.dims), value.when)


def _inside(sub: str | Value, extent: int, context: Context) -> Array | None:
    assert isinstance(sub, Value)
    data = sub.array.data
    test = (data >= 0) & (data < extent)
    return None if bool(test.all()) else Array(test, sub.dims)


def _gather(data: torch.Tensor, subs: list[str | Value], context: Context) -> Array:
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
            positions = Array(sub.array.data.clamp(0, data.shape[axis] - 1), sub.dims)
        places.append(positions.over(dims))
    return Array(data[tuple(common(*places))], dims) if places else Array(data, ())


def _one_axis(data: torch.Tensor, subs: list[str | Value]) -> Array | None:
    """One computed subscript over at most one index that no other subscript has: a selection along its axis."""
    computed = [axis for axis, sub in enumerate(subs) if not isinstance(sub, str)]
    names = [sub for sub in subs if isinstance(sub, str)]
    if len(computed) != 1 or len(set(names)) != len(names) or data.shape[computed[0]] == 0:
        return None
    axis = computed[0]
    sub = subs[axis]
    assert isinstance(sub, Value)
    if len(sub.dims) > 1 or set(sub.dims) & set(names):
        return None
    positions = sub.array.data.clamp(0, data.shape[axis] - 1)
    if not sub.dims:
        return Array(data.select(axis, int(positions)), tuple(names))
    dims = tuple(sub.dims[0] if not isinstance(name, str) else name for name in subs)
    return Array(data.index_select(axis, positions.reshape(-1)), dims)


def _nothing(data: torch.Tensor, dims: tuple[str, ...], context: Context) -> Array:
    shape = [1 if dim in context.fixed else context.extent(dim) for dim in dims]
    return Array(torch.zeros(shape, dtype=data.dtype, device=data.device), dims)
