"""The type of every expression: bool, int or real, by the table of operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from attnc.ir.cascade import (
    Cascade,
    Choose,
    Const,
    Coord,
    Default,
    Exists,
    Expr,
    Grad,
    Map,
    Order,
    Read,
    Reduce,
    Size,
    Softmax,
    Type,
    Uniform,
    Var,
    Where,
)
from attnc.ir.operators import OPERATORS

_WIDTH: dict[Type, int] = {"bool": 0, "int": 1, "real": 2}


def wider(a: Type, b: Type) -> Type:
    """The type that holds the values of both."""
    return a if _WIDTH[a] >= _WIDTH[b] else b


def types_of(cascade: Cascade) -> dict[str, Type]:
    """The type of every input and defined tensor."""
    inputs = {item.name: item.type for item in cascade.inputs}
    return inputs | {item.name: item.type for item in cascade.tensors}


def type_of(expr: Expr, tensors: Callable[[str], Type]) -> Type:
    """The type of an expression; `tensors` gives the types of what it reads."""
    match expr:
        case Const(value):
            return "bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "real"
        case Size() | Coord():
            return "int"
        case Var() | Softmax() | Uniform() | Grad():
            return "real"
        case Read(tensor):
            return tensors(tensor)
        case Exists():
            return "bool"
        case Choose(_, x, other) | Default(x, other):
            return wider(type_of(x, tensors), type_of(other, tensors))
        case Where(x):
            return type_of(x, tensors)
        case Map(op, args):
            return _of_map(op, args, tensors)
        case Reduce(op, _, body) | Order(op, _, _, _, body):
            return _of_reduction(op, type_of(body, tensors))
        case _:
            assert_never(expr)


def _of_map(op: str, args: tuple[Expr, ...], tensors: Callable[[str], Type]) -> Type:
    result = OPERATORS[op].result
    if result != "join":
        return result
    joined: Type = "int"
    for arg in args:
        joined = wider(joined, type_of(arg, tensors))
    return joined


def _of_reduction(op: str, body: Type) -> Type:
    match op:
        case "any" | "all" | "topk":
            return "bool"
        case "argmax" | "argmin" | "argtopk" | "argsort":
            return "int"
        case "mean" | "var" | "logsumexp":
            return "real"
        case "sum" | "prod":
            return wider(body, "int")
        case _:
            return body
