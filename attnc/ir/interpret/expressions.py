"""The meaning of every expression, as a value with named axes and conditions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import assert_never

import torch

from attnc.ir.cascade import (
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
    Uniform,
    Var,
    Where,
)
from attnc.ir.interpret import maps
from attnc.ir.interpret.context import Context, Eval
from attnc.ir.interpret.derivatives import elementwise
from attnc.ir.interpret.gradient import gradient
from attnc.ir.interpret.maps import promoted
from attnc.ir.interpret.order import order
from attnc.ir.interpret.randomness import uniform
from attnc.ir.interpret.reads import read
from attnc.ir.interpret.reductions import reduced, softmax
from attnc.ir.interpret.value import Array, Value, filled, joined, pointwise, total, union


def value_of(expr: Expr, context: Context) -> Value:
    """The value of an expression in a context."""
    return evaluated(expr, context, value_of)


def evaluated(expr: Expr, context: Context, value_of: Eval) -> Value:
    """The value of an expression whose parts have the values that `value_of` gives them."""
    match expr:
        case Const(value):
            return context.constant(value)
        case Size():
            return context.constant(context.number(expr))
        case Coord(index):
            return context.coordinate(index)
        case Read():
            return read(expr, context, value_of)
        case Map(op, args):
            return _map(op, [value_of(arg, context) for arg in args], context)
        case Choose(test, then, other):
            return _choose(value_of(test, context), value_of(then, context), value_of(other, context), context)
        case Where(x, test):
            masked = value_of(x, context)
            return Value(masked.array, (*masked.when, total(value_of(test, context))))
        case Default(x, other):
            return _default(value_of(x, context), value_of(other, context), context)
        case Exists(x):
            present = joined(value_of(x, context).when)
            return Value(present) if present is not None else context.constant(True)
        case Reduce(_, over):
            return _bound(over, context, lambda inside: reduced(expr, inside, value_of))
        case Softmax(over):
            return _bound(over, context, lambda inside: softmax(expr, inside, value_of))
        case Order(_, over, slots):
            return _bound((*over, *slots), context, lambda inside: order(expr, inside, value_of))
        case Uniform(coords, seed):
            return uniform([value_of(item, context) for item in coords], value_of(seed, context), context)
        case Grad():
            return gradient(expr, context, value_of)
        case Var():
            raise AssertionError(f"`{expr.name}` belongs to a derived state and has no value here")
        case _:
            assert_never(expr)


def _bound(indices: tuple[str, ...], context: Context, evaluate: Callable[[Context], Value]) -> Value:
    """The value of what binds these indices: they run there, also where a recurrence holds one of their names."""
    held = {index: context.fixed[index] - context.range(index)[0] for index in indices if index in context.fixed}
    value = evaluate(context.releasing(held) if held else context)
    for index, place in held.items():
        value = Value(_standing(value.array, index, place), tuple(_standing(test, index, place) for test in value.when))
    return value


def _standing(array: Array, index: str, place: int) -> Array:
    """The array at one place of an index, if it has it."""
    if index not in array.dims:
        return array
    return Array(array.data.select(array.dims.index(index), place), tuple(dim for dim in array.dims if dim != index))


def _map(op: str, args: list[Value], context: Context) -> Value:
    if op in maps.COMPARE:
        a, b = promoted(args, context)
        return Value(total(Value(pointwise(maps.COMPARE[op], a.array, b.array), union(a, b))))
    if op in maps.LOGIC:
        return Value(pointwise(maps.LOGIC[op], *(total(arg) for arg in args)))
    args = [Value(total(arg)) if arg.array.data.dtype == torch.bool else arg for arg in args]
    if op in maps.ROUNDING:
        (arg,) = promoted(args, context, real=True)
        return Value(Array(maps.ROUNDING[op](arg.array.data).to(torch.int64), arg.dims), arg.when)
    if op == "int":
        return Value(Array(args[0].array.data.to(torch.int64), args[0].dims), args[0].when)
    operands = promoted(args, context, real=op in maps.REAL)
    result = Value(pointwise(partial(elementwise, op), *(arg.array for arg in operands)), union(*operands))
    if op in ("floordiv", "mod"):
        by = operands[1].array
        if bool((by.data == 0).any()):
            return Value(result.array, (*result.when, Array(by.data != 0, by.dims)))
    return result


def _choose(test: Value, then: Value, other: Value, context: Context) -> Value:
    """One condition, made of the test and of the conditions of the branch that it takes."""
    decided = total(test)
    both_bool = then.array.data.dtype == other.array.data.dtype == torch.bool
    a, b = (then, other) if both_bool else promoted([then, other], context)
    array = pointwise(torch.where, decided, a.array, b.array)
    if not (a.when or b.when):
        return Value(array)
    true = Array(torch.ones((), dtype=torch.bool, device=context.device), ())
    exists = pointwise(torch.where, decided, joined(a.when) or true, joined(b.when) or true)
    return Value(array, (exists,))


def _default(x: Value, other: Value, context: Context) -> Value:
    """x where it exists, else the other; it exists where the other does."""
    both_bool = x.array.data.dtype == other.array.data.dtype == torch.bool
    wanted, spare = (x, other) if both_bool else promoted([x, other], context)
    return Value(filled(wanted, spare.array), other.when)
