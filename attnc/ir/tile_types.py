"""The axes and the element type of every kernel value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import assert_never

from attnc.ir.kernel import (
    Const,
    Coord,
    Dot,
    DType,
    First,
    Inside,
    Last,
    Map,
    Reduce,
    Size,
    TileType,
    Use,
    Value,
)
from attnc.ir.operators import COMPARISONS, OPERATORS

REALS: tuple[DType, ...] = ("float16", "bfloat16", "float32", "float64")
_RANK: dict[DType, int] = {"bool": 0, "int32": 1, "int64": 2, "float16": 3, "bfloat16": 3, "float32": 4, "float64": 5}


def tile_type(value: Value, named: Mapping[str, TileType], tiled: Callable[[str], bool], compute: DType) -> TileType:
    """The type of a value; `tiled` says whether an index is a tile axis here, `compute` is the type of arithmetic.

    Positions and sizes are int32: lengths stay below 2^25. Products of integers and integer data are int64.
    """
    match value:
        case Const(_, dtype):
            return TileType((), dtype)
        case Size() | First() | Last():
            return TileType((), "int32")
        case Coord(index):
            return TileType((index,) if tiled(index) else (), "int32")
        case Inside(index):
            return TileType((index,) if tiled(index) else (), "bool")
        case Use(name):
            return named[name]
        case Map(op, args):
            kinds = [tile_type(arg, named, tiled, compute) for arg in args]
            return TileType(_joined(kinds), _result(op, [kind.dtype for kind in kinds], compute))
        case Dot(a, b, over):
            kinds = [tile_type(item, named, tiled, compute) for item in (a, b)]
            return TileType(tuple(axis for axis in _joined(kinds) if axis != over), compute)
        case Reduce(op, x, over):
            kind = tile_type(x, named, tiled, compute)
            axes = tuple(axis for axis in kind.axes if axis != over)
            return TileType(axes, "bool" if op in ("any", "all") else kind.dtype)
        case _:
            assert_never(value)


def _joined(kinds: list[TileType]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(axis for kind in kinds for axis in kind.axes))


def _result(op: str, kinds: list[DType], compute: DType) -> DType:
    if op.startswith("cast:"):
        return op.removeprefix("cast:")  # type: ignore[return-value]
    if op == "select":
        return max(kinds[1:], key=_RANK.__getitem__)
    if op in COMPARISONS or op in ("and", "or", "not"):
        return "bool"
    if op in ("floor", "ceil", "round"):
        return "int64"
    if op == "uniform":
        return compute
    widest = max(kinds, key=_RANK.__getitem__)
    if OPERATORS[op].result == "real" or _RANK[widest] >= 3:
        return compute
    return "int32" if widest == "bool" else widest
