"""The values that a check clause writes: numbers over sizes and positions, and literal tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import torch

from attnc.diagnostics import AttnError, error
from attnc.ir import syntax
from attnc.ir.cascade import Input
from attnc.ir.print_expression import capital
from attnc.ir.sizes import SCALAR

OPERATORS = {"+": "add", "-": "sub", "*": "mul", "/": "div", "//": "floordiv", "%": "mod", "**": "pow"}
COMPARISONS = {"<": "lt", "<=": "le", "==": "eq", "!=": "ne", ">": "gt", ">=": "ge"}
CONSTANTS = {"true": True, "false": False, "inf": float("inf"), "pi": 3.141592653589793}
KINDS = {"real": (int, float), "int": (int,), "bool": (bool,)}


def number(value: syntax.Expr, names: Mapping[str, Any]) -> Any:
    """The value of an expression over named numbers; error A634 where it has none."""
    try:
        return _number(value, names)
    except (ArithmeticError, ValueError, TypeError) as reason:
        raise _none(value, str(reason)) from None


def _number(value: syntax.Expr, names: Mapping[str, Any]) -> Any:
    match value:
        case syntax.Number(x):
            return x
        case syntax.Constant(name):
            return CONSTANTS[name]
        case syntax.Name(name) if name in names:
            return names[name]
        case syntax.Unary(op, x):
            inner = _number(x, names)
            return not inner if op == "not" else -inner if op == "-" else inner
        case syntax.Binary(op, a, b):
            return SCALAR[OPERATORS[op]](_number(a, names), _number(b, names))
        case syntax.Logic(op, args):
            return (all if op == "and" else any)(_number(arg, names) for arg in args)
        case syntax.Compare(ops, args):
            found = [_number(arg, names) for arg in args]
            pairs = zip(ops, found, found[1:], strict=False)
            return all(SCALAR[COMPARISONS[op]](a, b) for op, a, b in pairs)
        case syntax.Choose(then, test, other):
            return _number(then if _number(test, names) else other, names)
        case syntax.Apply(syntax.Name(f), args, ()) if f in SCALAR:
            return SCALAR[f](*(_number(arg, names) for arg in args))
        case syntax.Name(name):
            raise _none(value, f"`{name}` is no index or size of this input, and no option")
        case _:
            raise _none(value, "it is no arithmetic of numbers")


def _none(value: syntax.Expr, reason: str) -> AttnError:
    notes = ("a check binds numbers, literal lists, and arithmetic over indices, sizes and options",)
    return error("A634", f"this has no value in a check: {reason}", value.span, "bound here", notes=notes)


def literal(value: syntax.Expr) -> torch.Tensor:
    """A literal tensor: reals in float64, integers, or booleans."""
    numbers = _nested(value)
    try:
        tensor = torch.tensor(numbers)
    except (ValueError, TypeError, RuntimeError, OverflowError):
        raise _none(value, "its rows differ in length or kind") from None
    return torch.tensor(numbers, dtype=torch.float64) if tensor.is_floating_point() else tensor


def _nested(value: syntax.Expr) -> Any:
    return [_nested(item) for item in value.items] if isinstance(value, syntax.List) else number(value, {})


def literal_for(item: Input, value: syntax.Expr) -> torch.Tensor:
    """The literal of an input; missing leading axes have length 1."""
    tensor = literal(value)
    if tensor.dim() > len(item.indices):
        raise _none(value, f"`{item.name}` has {len(item.indices)} axes, the literal {tensor.dim()}")
    tensor = tensor.reshape((1,) * (len(item.indices) - tensor.dim()) + tuple(tensor.shape))
    return _typed(item, tensor, value)


def filled(
    item: Input, value: syntax.Expr, axes: Sequence[range], sizes: Mapping[str, int], options: Mapping[str, Any]
) -> torch.Tensor:
    """An expression over an input's own indices and sizes at every point of its axes."""
    names = {capital(index): extent for index, extent in sizes.items()} | dict(options)
    values = [number(value, names | dict(zip(item.indices, point, strict=True))) for point in product(*axes)]
    empty = torch.empty(0, dtype={"real": torch.float64, "int": torch.int64, "bool": torch.bool}[item.type])
    tensor = torch.tensor(values) if values else empty
    return _typed(item, tensor.reshape([len(axis) for axis in axes]), value)


def _typed(item: Input, tensor: torch.Tensor, value: syntax.Expr) -> torch.Tensor:
    kind = "real" if tensor.is_floating_point() else "bool" if tensor.dtype == torch.bool else "int"
    if kind != item.type and not (item.type == "real" and kind == "int") and tensor.numel():
        raise _none(value, f"`{item.name}` is {item.type}, and this is {kind}")
    return tensor.double() if item.type == "real" else tensor


def place(target: syntax.Expr) -> tuple[str, tuple[Any, ...]]:
    """A named tensor, or a part of it: `W[0,0,4,:]`."""
    match target:
        case syntax.Name(name):
            return name, ()
        case syntax.At(syntax.Name(name), subs, (), ()) if not any(isinstance(sub, syntax.Reindex) for sub in subs):
            return name, tuple(slice(None) if isinstance(sub, syntax.All) else _position(sub) for sub in subs)
        case _:
            raise error("A632", "a check names a tensor here, or a part of one", target.span, "this is neither")


def _position(sub: Any) -> int:
    found = number(sub, {})
    if isinstance(found, bool) or not isinstance(found, int):
        raise _none(sub, "a position is a whole number")
    return found
