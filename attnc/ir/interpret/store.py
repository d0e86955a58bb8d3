"""Between values with named axes and tensors in memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from attnc.ir.cascade import Input, Type
from attnc.ir.interpret.context import Context, Eval
from attnc.ir.interpret.stored import Stored, aligned
from attnc.ir.interpret.value import Array, Value, joined


def kind_of(type: Type, context: Context) -> torch.dtype:
    """The element type in which values of a language type are held."""
    return {"bool": torch.bool, "int": torch.int64, "real": context.dtype}[type]


def stored_input(item: Input, given: torch.Tensor | float | None, context: Context, value_of: Eval) -> Stored:
    """An input in memory: as given, a number over all its axes, or its default."""
    base = tuple(_start(index, context) for index in item.indices)
    if isinstance(given, torch.Tensor):
        return Stored(context.recorded(item.name, given.to(kind_of(item.type, context))), base)
    if given is None:
        assert item.default is not None, f"input {item.name} is missing"
        value = value_of(item.default, context)
    else:
        value = context.constant(given)
    data = spread(value.array, item.indices, context).to(kind_of(item.type, context))
    return Stored(context.recorded(item.name, data), base)


def _start(index: str, context: Context) -> int:
    """Where an axis starts; 0 where no given tensor fixes the extents that say it."""
    try:
        return context.range(index)[0]
    except KeyError:
        return 0


def spread(array: Array, indices: Sequence[str], context: Context) -> torch.Tensor:
    """The array over exactly these axes, at their full extents."""
    shape = [context.extent(index) for index in indices]
    return array.over(indices).expand(shape)


def presented(name: str, context: Context) -> torch.Tensor:
    """A tensor as a caller sees it: 0, false or -1 where it is absent."""
    stored = context.tensors[name]
    data = stored.data
    for mask, axes in stored.when:
        data = torch.where(aligned(mask, axes, range(data.dim())), data, _absent(data))
    return data


def presented_value(value: Value, indices: Sequence[str], type: Type, context: Context) -> torch.Tensor:
    """A value over these axes as a caller sees it."""
    data = spread(value.array, indices, context).to(kind_of(type, context))
    test = joined(value.when)
    return data if test is None else torch.where(test.over(indices), data, _absent(data))


def _absent(data: torch.Tensor) -> torch.Tensor:
    value = False if data.dtype == torch.bool else 0.0 if data.is_floating_point() else -1
    return torch.tensor(value, dtype=data.dtype, device=data.device)
