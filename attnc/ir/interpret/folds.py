"""Reductions over named axes under a mask, with the language's values where nothing is folded."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from attnc.ir.interpret.value import Array, common, merged, pointwise

_IDENTITY = {"sum": 0, "prod": 1, "max": -torch.inf, "min": torch.inf, "any": False, "all": True}


def fold(op: str, array: Array, over: Sequence[str], mask: Array | None, extents: Sequence[int]) -> Array:
    """The fold of the points where `mask` holds over the axes `over`, whose lengths are `extents`."""
    array, flat = flattened(array, over, mask, extents)
    kept = array.dims[:-1]
    if op in ("argmax", "argmin"):
        return Array(_arg(op, array.data, flat), kept)
    data = array.data.to(torch.int64) if op in ("sum", "prod") and not array.data.is_floating_point() else array.data
    if flat is not None:
        data = torch.where(flat, data, torch.tensor(_neutral(op, data), dtype=data.dtype, device=data.device))
    return Array(_reduce(op, data), kept)


def flattened(
    array: Array, over: Sequence[str], mask: Array | None, extents: Sequence[int]
) -> tuple[Array, torch.Tensor | None]:
    """The array with the axes `over` joined into one last axis (row-major), and the mask likewise."""
    seen = merged(array.dims, mask.dims if mask is not None else ())
    dims = tuple(dim for dim in seen if dim not in over)
    full = (*dims, *over)
    length = 1
    for extent in extents:
        length *= extent
    data = array.over(full)
    shape = [*data.shape[: len(dims)], *extents]
    data = data.expand([*shape[: len(dims)], *extents]).reshape([*shape[: len(dims)], length])
    flat = None
    if mask is not None:
        tests = mask.over(full)
        tests = tests.expand([*tests.shape[: len(dims)], *extents])
        flat = tests.reshape([*tests.shape[: len(dims)], length])
        data, flat = common(data, flat)
    return Array(data, (*dims, "")), flat


def _neutral(op: str, data: torch.Tensor) -> float:
    if op in ("max", "min") and not data.is_floating_point():
        info = torch.iinfo(torch.int64)
        return info.min if op == "max" else info.max
    return _IDENTITY[op]


def _reduce(op: str, data: torch.Tensor) -> torch.Tensor:
    if data.shape[-1] == 0:
        shape = data.shape[:-1]
        return torch.full(shape, _neutral(op, data), dtype=data.dtype, device=data.device)
    match op:
        case "sum":
            return data.sum(-1)
        case "prod":
            return data.prod(-1)
        case "max" | "min":
            return data.amax(-1) if op == "max" else data.amin(-1)
        case "any":
            return data.bool().any(-1)
        case _:
            return data.bool().all(-1)


def _arg(op: str, data: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    if data.shape[-1] == 0:
        return torch.zeros(data.shape[:-1], dtype=torch.int64, device=data.device)
    real = data.to(torch.float64) if not data.is_floating_point() else data
    worst = -torch.inf if op == "argmax" else torch.inf
    usable = ~torch.isnan(real) if mask is None else mask & ~torch.isnan(real)
    real = torch.where(usable, real, worst)
    best = real.amax(-1, keepdim=True) if op == "argmax" else real.amin(-1, keepdim=True)
    hits = usable & (real == best)
    return hits.to(torch.int8).argmax(-1)  # the first of equals


def contracted(factors: Sequence[Array], over: Sequence[str], mask: Array | None) -> Array | None:
    """The sum over `over` of the factors' product as one contraction; None where it would not be faithful.

    A masked point must not be read: with a non-finite factor the product has to be formed and selected.
    """
    real = [factor for factor in factors if factor.data.is_floating_point()]
    if len(factors) < 2 or len(real) != len(factors):
        return None
    operands = list(factors)
    if mask is not None:
        fits = [place for place, item in enumerate(operands) if set(mask.dims) <= set(item.dims)]
        place = fits[0] if fits else max(range(len(operands)), key=lambda at: len(operands[at].dims))
        others = (item for at, item in enumerate(operands) if at != place)
        if not all(bool(torch.isfinite(item.data).all()) for item in others):
            return None
        zero = torch.zeros((), dtype=operands[place].data.dtype, device=mask.data.device)
        operands[place] = pointwise(lambda m, x: torch.where(m, x, zero), mask, operands[place])
    covered = merged(*(item.dims for item in operands))
    if not set(over) <= set(covered):
        return None
    letters = {dim: chr(97 + k) if k < 26 else chr(39 + k) for k, dim in enumerate(covered)}
    kept = tuple(dim for dim in covered if dim not in over)
    spec = ",".join("".join(letters[dim] for dim in item.dims) for item in operands)
    data = torch.einsum(f"{spec}->{''.join(letters[dim] for dim in kept)}", *(item.data for item in operands))
    return Array(data, kept)
