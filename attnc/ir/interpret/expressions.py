"""The meaning of every expression, as a value with named axes and conditions."""

from __future__ import annotations

from collections.abc import Sequence
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
from attnc.ir.interpret.context import Context
from attnc.ir.interpret.folds import contracted, fold
from attnc.ir.interpret.order import order
from attnc.ir.interpret.randomness import uniform
from attnc.ir.interpret.reads import read
from attnc.ir.interpret.value import Array, Value, filled, joined, pointwise, total, union


def value_of(expr: Expr, context: Context) -> Value:
    """The value of an expression in a context."""
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
            fallback = value_of(other, context)
            wanted, spare = _promoted([value_of(x, context), fallback], context)
            return Value(filled(wanted, spare.array), fallback.when)
        case Exists(x):
            present = joined(value_of(x, context).when)
            return Value(present) if present is not None else context.constant(True)
        case Reduce(op, over, body, when):
            return _reduce(op, over, body, when, context)
        case Softmax(over, body):
            return _softmax(over, value_of(body, context), context)
        case Order():
            return order(expr, context, value_of)
        case Uniform(coords, seed):
            return uniform([value_of(item, context) for item in coords], value_of(seed, context), context)
        case Grad(y, x):
            return _gradient(y, x, context)
        case Var():
            raise AssertionError(f"`{expr.name}` belongs to a derived state and has no value here")
        case _:
            assert_never(expr)


def _promoted(values: Sequence[Value], context: Context, *, real: bool = False) -> list[Value]:
    """The operands in one type: the widest, at least int; real where asked."""
    floats = real or any(value.array.data.is_floating_point() for value in values)
    kind = context.dtype if floats else torch.int64
    return [
        value if value.array.data.dtype == kind else Value(Array(value.array.data.to(kind), value.dims), value.when)
        for value in values
    ]


def _map(op: str, args: list[Value], context: Context) -> Value:
    if op in maps.COMPARE:
        a, b = _promoted(args, context)
        return Value(total(Value(pointwise(maps.COMPARE[op], a.array, b.array), union(a, b))))
    if op in maps.LOGIC:
        return Value(pointwise(maps.LOGIC[op], *(total(arg) for arg in args)))
    if op in maps.ROUNDING:
        (arg,) = _promoted(args, context, real=True)
        return Value(Array(maps.ROUNDING[op](arg.array.data).to(torch.int64), arg.dims), arg.when)
    if op == "int":
        return Value(Array(args[0].array.data.to(torch.int64), args[0].dims), args[0].when)
    operands = _promoted(args, context, real=op in maps.REAL)
    function = maps.REAL.get(op) or maps.ARITHMETIC[op]
    result = Value(pointwise(function, *(arg.array for arg in operands)), union(*operands))
    if op in ("floordiv", "mod"):
        by = operands[1].array
        if bool((by.data == 0).any()):
            return Value(result.array, (*result.when, Array(by.data != 0, by.dims)))
    return result


def _choose(test: Value, then: Value, other: Value, context: Context) -> Value:
    decided = total(test)
    both_bool = then.array.data.dtype == other.array.data.dtype == torch.bool
    a, b = (then, other) if both_bool else _promoted([then, other], context)
    array = pointwise(torch.where, decided, a.array, b.array)
    if not (a.when or b.when):
        return Value(array)
    true = Array(torch.ones((), dtype=torch.bool, device=context.device), ())
    exists = pointwise(torch.where, decided, joined(a.when) or true, joined(b.when) or true)
    return Value(array, (exists,))


def split(when: Sequence[Array], over: Sequence[str]) -> tuple[list[Array], tuple[Array, ...]]:
    """The conditions that mention one of the indices, and the others."""
    inner = [test for test in when if set(test.dims) & set(over)]
    return inner, tuple(test for test in when if not set(test.dims) & set(over))


def _reduce(op: str, over: tuple[str, ...], body: Expr, when: tuple[Expr, ...], context: Context) -> Value:
    if op == "logsumexp":
        return _logsumexp(over, value_of(body, context), context)
    if op in ("mean", "var"):
        return _moments(op, over, value_of(body, context), context)
    tests = tuple(total(value_of(test, context)) for test in when)
    extents = [context.extent(index) for index in over]
    if op == "sum":
        factors = [value_of(item, context) for item in _factors(body)]
        inner, outer = split((*union(*factors), *tests), over)
        array = contracted([item.array for item in factors], over, joined(inner)) if 0 not in extents else None
        if array is not None:
            return Value(array, outer)
        del factors
    value = value_of(body, context)
    inner, outer = split((*value.when, *tests), over)
    mask = joined(inner)
    result = fold(op, value.array, over, mask, extents)
    if op in ("argmax", "argmin") or (op in ("max", "min") and not value.array.data.is_floating_point()):
        some = fold("any", Array(torch.ones((), dtype=torch.bool), ()), over, mask, extents)
        outer = (*outer, some)
    return Value(result, outer)


def _factors(body: Expr) -> list[Expr]:
    match body:
        case Map("mul", (a, b)):
            return _factors(a) + _factors(b)
        case Map("div", (a, b)):
            return [*_factors(a), Map("div", (Const(1.0), b))]
        case _:
            return [body]


def _logsumexp(over: tuple[str, ...], value: Value, context: Context) -> Value:
    (value,) = _promoted([value], context, real=True)
    inner, outer = split(value.when, over)
    extents, mask = [context.extent(index) for index in over], joined(inner)
    top = fold("max", value.array, over, mask, extents)
    shifted = pointwise(maps.shift, value.array, top)
    sums = fold("sum", Array(shifted.data.exp(), shifted.dims), over, mask, extents)
    return Value(pointwise(lambda s, r: torch.where(torch.isinf(r) & (r < 0), r, s.log() + r), sums, top), outer)


def _moments(op: str, over: tuple[str, ...], value: Value, context: Context) -> Value:
    (value,) = _promoted([value], context, real=True)
    inner, outer = split(value.when, over)
    extents, mask = [context.extent(index) for index in over], joined(inner)
    ones = Array(torch.ones((), dtype=context.dtype, device=context.device), ())
    count = fold("sum", ones, over, mask, extents)
    centre = pointwise(maps.divide, fold("sum", value.array, over, mask, extents), count)
    if op == "var":
        squares = pointwise(lambda x, c: (x - c) ** 2, value.array, centre)
        centre = pointwise(maps.divide, fold("sum", squares, over, mask, extents), count)
    return Value(centre, (*outer, Array(count.data > 0, count.dims)))


def _softmax(over: tuple[str, ...], value: Value, context: Context) -> Value:
    (value,) = _promoted([value], context, real=True)
    inner, _ = split(value.when, over)
    extents, mask = [context.extent(index) for index in over], joined(inner)
    top = fold("max", value.array, over, mask, extents)
    weights = pointwise(lambda x, r: maps.shift(x, r).exp(), value.array, top)
    sums = fold("sum", weights, over, mask, extents)
    return Value(pointwise(maps.divide, weights, sums), value.when)


def _gradient(y: Expr, x: Read, context: Context) -> Value:
    """The derivative of the sum of y with respect to the element x, over x's own axes."""
    stored = context.tensors[x.tensor]
    with torch.enable_grad():
        leaf = stored.data.detach().requires_grad_(True)
        inner = {**context.tensors, x.tensor: type(stored)(leaf, stored.base, stored.when, stored.parts)}
        result = value_of(
            y, Context(context.cascade, context.sizes, context.dtype, context.device, inner, context.fixed)
        )
        kept = filled(result, context.constant(0.0).array)
        (found,) = torch.autograd.grad(kept.data.sum(), leaf, allow_unused=True)
    data = torch.zeros_like(leaf) if found is None else found
    place = {**context.tensors, x.tensor: type(stored)(data.detach(), stored.base, stored.when, stored.parts)}
    return read(
        x, Context(context.cascade, context.sizes, context.dtype, context.device, place, context.fixed), value_of
    )
