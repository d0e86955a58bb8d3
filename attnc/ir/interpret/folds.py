"""Reductions over named axes under a mask, with the language's values where nothing is folded."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from attnc.ir.interpret.derivatives import shared
from attnc.ir.interpret.value import Array, common, merged, pointwise

_IDENTITY = {"sum": 0, "prod": 1, "max": -torch.inf, "min": torch.inf, "any": False, "all": True}
_INT = torch.iinfo(torch.int64)


def fold(op: str, array: Array, over: Sequence[str], mask: Array | None, extents: Sequence[int]) -> Array:
    """The fold of the points where `mask` holds over the axes `over`, whose lengths are `extents`."""
    array, flat = flattened(array, over, mask, extents)
    logical = op in ("any", "all")
    data = array.data if logical or array.data.is_floating_point() else array.data.to(torch.int64)
    if op in ("argmax", "argmin"):
        return Array(_arg(op, data, flat), array.dims[:-1])
    if flat is not None:
        data = torch.where(flat, data, torch.tensor(_neutral(op, data), dtype=data.dtype, device=data.device))
    return Array(_reduce(op, data, flat), array.dims[:-1])


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
    data = data.expand([*data.shape[: len(dims)], *extents]).reshape([*data.shape[: len(dims)], length])
    flat = None
    if mask is not None:
        tests = mask.over(full)
        flat = tests.expand([*tests.shape[: len(dims)], *extents]).reshape([*tests.shape[: len(dims)], length])
        data, flat = common(data, flat)
    return Array(data, (*dims, "")), flat


def _neutral(op: str, data: torch.Tensor) -> float:
    if op in ("max", "min") and not data.is_floating_point():
        return _INT.min if op == "max" else _INT.max
    return _IDENTITY[op]


def _reduce(op: str, data: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    if data.shape[-1] == 0:
        nothing = torch.full(data.shape[:-1], _neutral(op, data), dtype=data.dtype, device=data.device)
        return nothing + data.sum(-1) if data.requires_grad else nothing
    match op:
        case "sum":
            return data.sum(-1)
        case "prod":
            return data.prod(-1)
        case "max" | "min":
            return _extreme(op, data, mask)
        case "any":
            return data.bool().any(-1)
        case _:
            return data.bool().all(-1)


def _extreme(op: str, data: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """The largest or smallest; its derivative is shared by all that are it."""
    best = data.amax(-1) if op == "max" else data.amin(-1)
    if not data.requires_grad:
        return best
    hits = (data == best.unsqueeze(-1)) | torch.isnan(data)
    return shared(data, best, hits if mask is None else hits & mask)


def _arg(op: str, data: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """The first position of the largest or smallest; NaN is passed over."""
    if data.shape[-1] == 0:
        return torch.zeros(data.shape[:-1], dtype=torch.int64, device=data.device)
    usable = ~torch.isnan(data) if mask is None else mask & ~torch.isnan(data)
    worst = _neutral("max" if op == "argmax" else "min", data)
    data = torch.where(usable, data, torch.tensor(worst, dtype=data.dtype, device=data.device))
    best = data.amax(-1, keepdim=True) if op == "argmax" else data.amin(-1, keepdim=True)
    return (usable & (data == best)).to(torch.int8).argmax(-1)


def contracted(factors: Sequence[Array], over: Sequence[str], mask: Array | None) -> Array | None:
    """The sum over `over` of the factors' product as one contraction; None where it would not be faithful.

    A masked point must not be read: with a factor that is not finite, or a product that may not be, it has to be
    formed and selected. The same holds where a derivative is taken, for a point from which nothing comes in.
    """
    covered = merged(*(item.dims for item in factors), mask.dims if mask is not None else ())
    real = all(factor.data.is_floating_point() for factor in factors)
    if len(factors) < 2 or not real or not set(over) <= set(covered):
        return None
    operands = list(factors)
    place = _carrier(operands, mask) if mask is not None else None
    others = [item for at, item in enumerate(operands) if at != place]
    if mask is not None and place is not None:
        zero = torch.zeros((), dtype=operands[place].data.dtype, device=mask.data.device)
        operands[place] = pointwise(lambda m, x: torch.where(m, x, zero), mask, operands[place])
    recorded = torch.is_grad_enabled() and any(item.data.requires_grad for item in operands)
    if not _moderate(operands if recorded else others if mask is not None else []):
        return None
    letters = {dim: chr(97 + k) if k < 26 else chr(39 + k) for k, dim in enumerate(covered)}
    kept = tuple(dim for dim in covered if dim not in over)
    spec = ",".join("".join(letters[dim] for dim in item.dims) for item in operands)
    data = torch.einsum(f"{spec}->{''.join(letters[dim] for dim in kept)}", *(item.data for item in operands))
    return Array(data, kept)


def _carrier(factors: Sequence[Array], mask: Array) -> int:
    """The factor that takes the mask: one that has all its axes, else the largest."""
    fits = [place for place, item in enumerate(factors) if set(mask.dims) <= set(item.dims)]
    return fits[0] if fits else max(range(len(factors)), key=lambda at: len(factors[at].dims))


def _moderate(factors: Sequence[Array]) -> bool:
    """Whether sums of products of these factors are far from overflowing."""
    size = 1.0
    for item in factors:
        size *= float(item.data.detach().abs().amax()) if item.data.numel() else 0.0
    return not factors or size < torch.finfo(factors[0].data.dtype).max ** 0.5  # false for NaN
