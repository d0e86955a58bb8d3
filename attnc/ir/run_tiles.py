"""Tiles of a kernel that is run from the meaning of its nodes, and what is done with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from attnc.ir.interpret.maps import ARITHMETIC, COMPARE, LOGIC, REAL, ROUNDING
from attnc.ir.interpret.randomness import philox
from attnc.ir.kernel import DType, Kernel

TORCH: dict[DType, torch.dtype] = {
    "bool": torch.bool,
    "int32": torch.int64,
    "int64": torch.int64,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
}


@dataclass(frozen=True)
class Tile:
    """An array and the tile axis of each of its dimensions, in the kernel's order."""

    array: torch.Tensor
    axes: tuple[str, ...] = ()


@dataclass
class Program:
    """One program of the launch under way: where it stands and what is bound."""

    kernel: Kernel
    tensors: Mapping[str, torch.Tensor]
    sizes: Mapping[str, int]
    compute: torch.dtype
    order: tuple[str, ...] = ()
    scalars: dict[str, int] = field(default_factory=dict)  # grid and step indices
    first: dict[str, int] = field(default_factory=dict)
    width: dict[str, int] = field(default_factory=dict)
    end: dict[str, int] = field(default_factory=dict)
    names: dict[str, Tile] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)  # streams whose tiles lie inside their axis
    reach: dict[str, Tile] = field(default_factory=dict)  # of a stream the positions that rows reach


# ---- operations ------------------------------------------------------------------------------


def true() -> Tile:
    """A condition that holds everywhere."""
    return Tile(torch.tensor(True))


def here(program: Program, dtype: DType) -> torch.dtype:
    """The type that elements have in this run: real ones that are not narrow have that of its arithmetic."""
    wanted = TORCH[dtype]
    return program.compute if wanted.is_floating_point and wanted.itemsize >= 4 else wanted


def over_axes(program: Program, value: Tile, axes: tuple[str, ...]) -> torch.Tensor:
    """The array with one dimension per axis, of length 1 where the value lacks it."""
    shape = [program.width[axis] if axis in value.axes else 1 for axis in axes]
    array = value.array
    order = [value.axes.index(axis) for axis in axes if axis in value.axes]
    return array.permute(order).reshape(shape)


def _aligned(program: Program, values: list[Tile]) -> tuple[list[torch.Tensor], tuple[str, ...]]:
    axes = tuple(axis for axis in program.order if any(axis in value.axes for value in values))
    return [over_axes(program, value, axes) for value in values], axes


def mapped(program: Program, op: str, values: list[Tile]) -> Tile:
    """An operation on elements, along every axis that one of its operands has."""
    arrays, axes = _aligned(program, values)
    shape = [program.width[axis] for axis in axes]
    result = _applied(program, op, arrays)
    return Tile(result.expand(shape), axes)


def _applied(program: Program, op: str, arrays: list[torch.Tensor]) -> torch.Tensor:
    if op.startswith("cast:"):
        wanted = here(program, op.removeprefix("cast:"))  # type: ignore[arg-type]
        return arrays[0].to(wanted)
    if op == "select":
        test, then, other = arrays
        return torch.where(test, then, other)
    if op == "uniform":
        whole = sum(arrays, torch.zeros((), dtype=torch.int64))
        seed, *counter = [array.expand_as(whole) for array in arrays]
        word = philox([item & 0xFFFFFFFF for item in counter], (seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF))
        return (word >> 8).to(program.compute) * 2.0**-24
    if op in ROUNDING:
        return ROUNDING[op](arrays[0]).to(torch.int64)
    if op == "div":
        return arrays[0] / arrays[1]
    table = COMPARE if op in COMPARE else LOGIC if op in LOGIC else ARITHMETIC if op in ARITHMETIC else REAL
    kinds = {array.dtype for array in arrays}
    assert len(kinds) == 1, f"{op} of {kinds}"
    assert kinds == {torch.bool} or torch.bool not in kinds or op in LOGIC, f"{op} of booleans"
    assert op not in REAL or kinds == {program.compute}, f"{op} of {kinds}"
    return table[op](*arrays)


def dot(program: Program, a: Tile, b: Tile, over: str) -> Tile:
    """The product of two tiles, summed over an axis that both have."""
    shared = set(a.axes) & set(b.axes)
    assert shared == {over}, f"a product over {over} whose operands share {shared}"
    (x, y), axes = _aligned(program, [Tile(item.array.to(program.compute), item.axes) for item in (a, b)])
    return reduced(reached(program, Tile(x * y, axes), "sum", over), "sum", over)


def reached(program: Program, value: Tile, op: str, over: str) -> Tile:
    """The value about to be reduced, and the identity where a row does not reach."""
    inside = program.reach.get(over)
    if inside is None or not set(inside.axes) <= set(value.axes):
        return value
    kind = value.array.dtype
    whole = torch.iinfo(torch.int64)
    least, most = (-torch.inf, torch.inf) if kind.is_floating_point else (whole.min, whole.max)
    neutral = {"sum": 0, "prod": 1, "max": least, "min": most, "any": False, "all": True}[op]
    kept = torch.where(over_axes(program, inside, value.axes), value.array, torch.tensor(neutral, dtype=kind))
    return Tile(kept, value.axes)


_FOLDS: dict[str, Callable[[torch.Tensor, int], torch.Tensor]] = {
    "sum": lambda x, axis: x.sum(axis),
    "prod": lambda x, axis: x.prod(axis),
    "max": lambda x, axis: x.amax(axis),
    "min": lambda x, axis: x.amin(axis),
    "any": lambda x, axis: x.any(axis),
    "all": lambda x, axis: x.all(axis),
}


def reduced(value: Tile, op: str, over: str) -> Tile:
    """A tile folded along one of its axes."""
    assert over in value.axes, f"{op} over {over} of a value along {value.axes}"
    place = value.axes.index(over)
    result = _FOLDS[op](value.array, place)
    return Tile(result, tuple(axis for axis in value.axes if axis != over))
