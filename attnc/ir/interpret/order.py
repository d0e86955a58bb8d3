"""Order operations: topk, argtopk, sort, argsort, kth; ties to the smaller index, NaN and absent points last."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from attnc.ir.cascade import Order
from attnc.ir.interpret.context import Context, Eval
from attnc.ir.interpret.derivatives import shared
from attnc.ir.interpret.folds import flattened
from attnc.ir.interpret.reductions import split
from attnc.ir.interpret.value import Array, Value, common, merged, pointwise, total


def order(expr: Order, context: Context, value_of: Eval) -> Value:
    """The value of an order operation; slots that no point fills are absent."""
    value = value_of(expr.body, context)
    tests = (*value.when, *(total(value_of(test, context)) for test in expr.when))
    mask, outer = split(tests, expr.over)
    extents = [context.extent(index) for index in expr.over]
    array, flat = flattened(value.array, expr.over, mask, extents)
    usable = ~torch.isnan(array.data)
    usable = usable if flat is None else usable & flat
    line = _Line(array, usable, _permutation(array.data, usable, descending=expr.op in ("topk", "argtopk")))
    if expr.op in ("topk", "kth"):
        assert expr.k is not None
        k = value_of(expr.k, context)
        found = _topk(expr, line, k, extents) if expr.op == "topk" else _kth(line, k)
        return Value(found.array, (*outer, *k.when, *found.when))
    found = _slots(expr, line, context)
    return Value(found.array, (*outer, *found.when))


@dataclass(frozen=True)
class _Line:
    """What is ordered, along the last axis: the values, which of them count, and their places in order."""

    array: Array
    usable: torch.Tensor
    places: torch.Tensor

    @property
    def dims(self) -> tuple[str, ...]:
        """The other axes."""
        return self.array.dims[:-1]

    @property
    def count(self) -> Array:
        """How many values count."""
        return Array(self.usable.sum(-1), self.dims)


def _permutation(data: torch.Tensor, usable: torch.Tensor, *, descending: bool) -> torch.Tensor:
    """Positions in order, usable ones first; stable, so that ties go to the smaller position."""
    order = torch.sort(data, dim=-1, descending=descending, stable=True).indices
    last = torch.gather(~usable, -1, order).to(torch.int8)
    return torch.gather(order, -1, torch.sort(last, dim=-1, stable=True).indices)


def _topk(expr: Order, line: _Line, k: Value, extents: list[int]) -> Value:
    length = line.places.shape[-1]
    numbers = torch.arange(length, device=line.places.device).expand_as(line.places)
    rank = torch.empty_like(line.places).scatter_(-1, line.places, numbers)
    limits = Array(k.array.data.unsqueeze(-1), (*k.dims, ""))
    chosen = pointwise(
        lambda r, u, n: u & (r < n), Array(rank, (*line.dims, "")), Array(line.usable, (*line.dims, "")), limits
    )
    kept = merged(line.dims, k.dims)
    data = chosen.over((*kept, ""))
    return Value(Array(data.reshape([*data.shape[:-1], *extents]), (*kept, *expr.over)))


def _kth(line: _Line, k: Value) -> Value:
    """The value of rank k, counted from 0; its derivative is shared by all that have it."""
    exists = pointwise(lambda n, r: (r >= 0) & (r < n), line.count, k.array)
    dims = merged(line.dims, k.dims)
    values = Array(line.array.data, (*line.dims, "")).over((*dims, ""))
    if values.shape[-1] == 0:
        return Value(Array(values.sum(-1), dims), (exists,))
    rank = k.array.over(dims).unsqueeze(-1)
    places = Array(line.places, (*line.dims, "")).over((*dims, ""))
    values, places, rank = common(values, places, rank)
    place = torch.gather(places, -1, rank[..., :1].clamp(0, values.shape[-1] - 1))
    found = torch.gather(values.detach(), -1, place)
    hits = Array(line.usable, (*line.dims, "")).over((*dims, "")) & (values == found)
    return Value(Array(shared(values, found.squeeze(-1), hits), dims), (exists,))


def _slots(expr: Order, line: _Line, context: Context) -> Value:
    """The first of the order in the slots; places are positions (of several axes, numbers in row-major order)."""
    slot = expr.slots[0]
    (first, _), extent, length = context.range(slot), context.extent(slot), line.places.shape[-1]
    places = torch.nn.functional.pad(line.places[..., :extent], (0, max(0, extent - length)))
    if not expr.op.startswith("arg"):
        data = torch.gather(line.array.data, -1, places) if length else places.to(line.array.data.dtype)
    else:
        data = places + (context.range(expr.over[0])[0] if len(expr.over) == 1 else 0)
    filled = pointwise(lambda rank, n: rank - first < n, context.coordinate(slot).array, line.count)
    return Value(Array(data, (*line.dims, slot)), (filled,))
