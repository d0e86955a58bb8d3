"""Order operations: topk, argtopk, sort, argsort, kth; ties to the smaller index, NaN and absent points last."""

from __future__ import annotations

import torch

from attnc.ir.cascade import Order
from attnc.ir.interpret.context import Context
from attnc.ir.interpret.folds import flattened
from attnc.ir.interpret.reads import Eval
from attnc.ir.interpret.value import Array, Value, common, joined, merged, pointwise, total


def order(expr: Order, context: Context, value_of: Eval) -> Value:
    """The value of an order operation; slots that no point fills are absent."""
    value = value_of(expr.body, context)
    tests = (*value.when, *(total(value_of(test, context)) for test in expr.when))
    inner = [test for test in tests if set(test.dims) & set(expr.over)]
    outer = tuple(test for test in tests if not set(test.dims) & set(expr.over))
    extents = [context.extent(index) for index in expr.over]
    array, mask = flattened(value.array, expr.over, joined(inner), extents)
    usable = (
        ~torch.isnan(array.data) if array.data.is_floating_point() else torch.ones_like(array.data, dtype=torch.bool)
    )
    usable = usable if mask is None else usable & mask
    places = _permutation(array.data, usable, descending=expr.op in ("topk", "argtopk"))
    count = Array(usable.sum(-1), array.dims[:-1])
    match expr.op:
        case "topk":
            return _topk(expr, places, usable, array.dims[:-1], extents, outer, context, value_of)
        case "kth":
            return _kth(expr, array, places, count, outer, context, value_of)
        case _:
            return _slots(expr, array, places, count, outer, context)


def _permutation(data: torch.Tensor, usable: torch.Tensor, *, descending: bool) -> torch.Tensor:
    """Positions in order, usable ones first; stable, so that ties go to the smaller position."""
    order = torch.sort(data, dim=-1, descending=descending, stable=True).indices
    last = torch.gather(~usable, -1, order).to(torch.int8)
    return torch.gather(order, -1, torch.sort(last, dim=-1, stable=True).indices)


def _topk(
    expr: Order,
    places: torch.Tensor,
    usable: torch.Tensor,
    dims: tuple[str, ...],
    extents: list[int],
    outer: tuple[Array, ...],
    context: Context,
    value_of: Eval,
) -> Value:
    assert expr.k is not None
    k = value_of(expr.k, context).array
    length = places.shape[-1]
    rank = torch.empty_like(places).scatter_(-1, places, torch.arange(length, device=places.device).expand_as(places))
    kept = merged(dims, k.dims)
    ranks, limits = Array(rank, (*dims, "")), Array(k.data.unsqueeze(-1), (*k.dims, ""))
    chosen = pointwise(lambda r, u, n: u & (r < n), ranks, Array(usable, (*dims, "")), limits)
    data = chosen.over((*kept, ""))
    return Value(Array(data.reshape([*data.shape[:-1], *extents]), (*kept, *expr.over)), outer)


def _kth(
    expr: Order,
    array: Array,
    places: torch.Tensor,
    count: Array,
    outer: tuple[Array, ...],
    context: Context,
    value_of: Eval,
) -> Value:
    assert expr.k is not None
    ordered = Array(torch.gather(array.data, -1, places), array.dims)
    k = value_of(expr.k, context).array
    dims = merged(array.dims[:-1], k.dims)
    data = ordered.over((*dims, ""))
    rank = k.over(dims).unsqueeze(-1)
    if data.shape[-1] == 0:
        zero = torch.zeros([1] * len(dims), dtype=data.dtype, device=data.device)
        return Value(Array(zero, dims), (*outer, Array(zero > 0, dims)))
    data, rank = common(data, rank)
    found = torch.gather(data, -1, rank[..., :1].clamp(0, data.shape[-1] - 1)).squeeze(-1)
    return Value(Array(found, dims), (*outer, pointwise(lambda n, r: (r >= 0) & (r < n), count, k)))


def _slots(
    expr: Order, array: Array, places: torch.Tensor, count: Array, outer: tuple[Array, ...], context: Context
) -> Value:
    slot = expr.slots[0]
    extent, length = context.extent(slot), places.shape[-1]
    places = places[..., :extent]
    if extent > length:
        places = torch.nn.functional.pad(places, (0, extent - length))
    data = places if expr.op.startswith("arg") else _picked(array.data, places)
    filled = pointwise(torch.lt, context.coordinate(slot).array, count)
    return Value(Array(data, (*array.dims[:-1], slot)), (*outer, filled))


def _picked(data: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    if data.shape[-1] == 0:
        return torch.zeros(places.shape, dtype=data.dtype, device=data.device)
    return torch.gather(data, -1, places)
