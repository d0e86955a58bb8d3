"""Folds along one axis, and what stands on lanes outside an axis or a condition: the fold's identity."""

from __future__ import annotations

import math

from attnc.ir import kernel as k
from attnc.ir.kernel import DType
from attnc.ir.tile_types import REALS
from attnc.passes.lower.values import Values
from attnc.source import Span

NAMES = {"sum": "sum", "max": "top", "min": "low"}  # what reductions are called


class NotLoweredError(Exception):
    """A stage has an operation that kernels do not have."""


def identity(op: str, dtype: DType) -> k.Const:
    """What a fold by `op` starts from."""
    real = dtype in REALS
    least = {"int32": -(1 << 31), "int64": -(1 << 63)}.get(dtype, 0)
    match op:
        case "sum":
            return k.Const(0.0 if real else 0, dtype)
        case "prod":
            return k.Const(1.0 if real else 1, dtype)
        case "max":
            return k.Const(-math.inf if real else least, dtype)
        case "min":
            return k.Const(math.inf if real else -1 - least, dtype)
        case "any" | "all":
            return k.Const(op == "all", "bool")
        case _:
            raise NotLoweredError(f"a reduction by {op}")


def along(values: Values, value: k.Value, index: str, op: str, span: Span) -> k.Value:
    """A reduction along one axis of a tile."""
    row = k.Reduce(op, lanes(values, value, index, op), index, span=span)
    return values.scope.let(NAMES.get(op, "fold"), row, span)


def selected(values: Values, value: k.Value, test: k.Value, op: str) -> k.Value:
    """The value where the test holds, the fold's identity elsewhere."""
    dtype = values.dtype(value)
    if dtype in REALS:
        value, dtype = values.real(value), values.frame.compute
    elif dtype == "bool" and op not in ("any", "all"):
        value, dtype = values.whole(value), "int32"
    neutral = identity(op, dtype)
    axes = values.scope.axes(k.Map("select", (test, value, neutral)))
    level = values.scope.depth(k.Map("and", (test, value)))
    arguments = (test, values.settled(value, axes, level), neutral)
    return k.Map("select", arguments, span=value.span)


def lanes(values: Values, value: k.Value, index: str, op: str) -> k.Value:
    """A value about to be reduced along an inner axis: the identity on lanes outside that axis."""
    if not values.frame.padded(index) or not values.scope.tiled(index):
        return value
    if op == "sum" and zero_outside(values, value, index):
        return value
    return selected(values, value, k.Inside(index), op)


def zero_outside(values: Values, value: k.Value, index: str) -> bool:
    """Whether a value is 0 on lanes outside an inner axis because it is read there, or a product of such."""
    match value:
        case k.Use(name) if name in values.scope.loads:
            return index in values.scope.axes(value)
        case k.Use(name) if name in values.scope.meaning:
            return zero_outside(values, values.scope.meaning[name], index)
        case k.Map("mul", args):
            along = [arg for arg in args if index in values.scope.axes(arg)]
            return bool(along) and all(zero_outside(values, arg, index) for arg in along)
        case k.Map("select", (k.Inside(inside), _, k.Const(other))):
            return inside == index and other == 0
        case k.Map(op, (x,)) if op.startswith("cast:") or op == "neg":
            return zero_outside(values, x, index)
        case _:
            return False
