"""Expressions of sizes as numbers, and the extents that a call's shapes fix."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attnc.diagnostics import error
from attnc.ir.cascade import Cascade, Choose, Const, Expr, Map, Size

Number = bool | int | float


def evaluate(expr: Expr, sizes: Mapping[str, int]) -> Any:
    """The value of an expression over sizes and constants, with the language's `//` and `%`."""
    match expr:
        case Const(value):
            return value
        case Size(index):
            return sizes[index]
        case Choose(test, then, other):
            return evaluate(then if evaluate(test, sizes) else other, sizes)
        case Map(op, args):
            return SCALAR[op](*(evaluate(arg, sizes) for arg in args))
        case _:
            raise AssertionError(f"not an expression of sizes: {expr}")


def bind(cascade: Cascade, shapes: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """The extent of every index that the given inputs carry; error A601 where two disagree."""
    sizes: dict[str, int] = {}
    for item in cascade.inputs:
        for index, extent in zip(item.indices, shapes.get(item.name, ()), strict=False):
            if sizes.setdefault(index, extent) != extent:
                found = f"index `{index}` has extent {sizes[index]} in one input but {extent} in `{item.name}`"
                raise error("A601", found, item.span, f"here `{index}` is {extent}")
    return sizes


def _log(base: Callable[[float], float]) -> Callable[[float], float]:
    return lambda x: base(x) if x > 0 else -math.inf if x == 0 else math.nan


def _divide(a: Number, b: Number) -> float:
    if b == 0:
        return 0.0 if a == 0 else math.copysign(math.inf, a)
    return a / b


def _power(a: Number, b: Number) -> Number:
    if isinstance(a, int) and isinstance(b, int) and b < 0:
        return float(a) ** b
    return a**b


SCALAR: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": _divide,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "pow": _power,
    "neg": operator.neg,
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "and": lambda *args: all(args),
    "or": lambda *args: any(args),
    "not": operator.not_,
    "exp": math.exp,
    "exp2": lambda x: 2.0**x,
    "log": _log(math.log),
    "log2": _log(math.log2),
    "log1p": math.log1p,
    "expm1": math.expm1,
    "sqrt": math.sqrt,
    "rsqrt": lambda x: _divide(1.0, math.sqrt(x)),
    "abs": abs,
    "sign": lambda x: (x > 0) - (x < 0),
    "floor": math.floor,
    "ceil": math.ceil,
    "round": round,
    "tanh": math.tanh,
    "sin": math.sin,
    "cos": math.cos,
    "erf": math.erf,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "softplus": lambda x: math.log1p(math.exp(x)),
    "relu": lambda x: max(x, 0),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "gelu": lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
    "min": min,
    "max": max,
    "clamp": lambda x, lo, hi: min(max(x, lo), hi),
    "xlogx": lambda x: x * math.log(x) if x else 0.0,
    "stop": lambda x: x,
    "shift": lambda x, r: -math.inf if x == -math.inf else x - r,
    "real": float,
    "int": int,
}
