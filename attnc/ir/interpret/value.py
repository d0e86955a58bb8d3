"""Values with named axes and existence conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

Dims = tuple[str, ...]


@dataclass(frozen=True)
class Array:
    """A tensor whose axes carry index names, in any order."""

    data: torch.Tensor
    dims: Dims

    def over(self, dims: Sequence[str]) -> torch.Tensor:
        """The tensor with these axes in this order; axes it lacks have length 1."""
        order = [self.dims.index(dim) for dim in dims if dim in self.dims]
        data = self.data.permute(order) if order != list(range(len(order))) else self.data
        for axis, dim in enumerate(dims):
            if dim not in self.dims:
                data = data.unsqueeze(axis)
        return data


@dataclass(frozen=True)
class Value:
    """An array and the conditions under which its points exist; each mentions just some axes."""

    array: Array
    when: tuple[Array, ...] = ()

    @property
    def dims(self) -> Dims:
        """The index names of the array's axes."""
        return self.array.dims


def common(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The tensors expanded to one shape."""
    shape = torch.broadcast_shapes(*(tensor.shape for tensor in tensors))  # type: ignore[no-untyped-call]
    return tuple(tensor.expand(shape) for tensor in tensors)


def merged(*groups: Iterable[str]) -> Dims:
    """All names once, in the order they first occur."""
    return tuple(dict.fromkeys(name for group in groups for name in group))


def pointwise(function: Callable[..., torch.Tensor], *arrays: Array) -> Array:
    """The function applied to arrays brought to common axes."""
    dims = merged(*(array.dims for array in arrays))
    return Array(function(*(array.over(dims) for array in arrays)), dims)


def joined(arrays: Sequence[Array]) -> Array | None:
    """The conjunction of conditions; None where there are none."""
    if not arrays:
        return None
    result = arrays[0]
    for array in arrays[1:]:
        result = pointwise(torch.logical_and, result, array)
    return result


def union(*values: Value) -> tuple[Array, ...]:
    """The conditions of several operands, each array once."""
    return tuple({id(array.data): array for value in values for array in value.when}.values())


def total(value: Value) -> Array:
    """A boolean that is false where it is absent."""
    test = joined(value.when)
    array = Array(value.array.data.bool(), value.dims)
    return array if test is None else pointwise(torch.logical_and, array, test)


def filled(value: Value, fill: Array) -> Array:
    """The value where it exists, the fill elsewhere."""
    test = joined(value.when)
    return value.array if test is None else pointwise(torch.where, test, value.array, fill)
