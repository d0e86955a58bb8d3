"""Reductions of values: a fold takes the points under the conditions that mention its indices, and keeps the others."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from attnc.ir.cascade import Const, Expr, Map, Reduce, Softmax
from attnc.ir.interpret.context import Context, Eval
from attnc.ir.interpret.derivatives import elementwise
from attnc.ir.interpret.folds import contracted, fold
from attnc.ir.interpret.maps import promoted
from attnc.ir.interpret.value import Array, Value, joined, pointwise, total, union


def reduced(expr: Reduce, context: Context, value_of: Eval) -> Value:
    """The value of a reduction."""
    match expr.op:
        case "logsumexp":
            return _logsumexp(expr.over, value_of(expr.body, context), context)
        case "mean" | "var":
            return _moment(expr.op, expr.over, value_of(expr.body, context), context)
        case "sum":
            return _sum(expr, context, value_of)
        case _:
            tests = tuple(total(value_of(test, context)) for test in expr.when)
            return _folded(expr.op, expr.over, value_of(expr.body, context), tests, context)


def split(when: Sequence[Array], over: Sequence[str]) -> tuple[Array | None, tuple[Array, ...]]:
    """The conjunction of the conditions that mention one of the indices, and the other conditions."""
    inner = [test for test in when if set(test.dims) & set(over)]
    return joined(inner), tuple(test for test in when if not set(test.dims) & set(over))


def _sum(expr: Reduce, context: Context, value_of: Eval) -> Value:
    """A sum: of a product by one contraction where that is the same."""
    tests = tuple(total(value_of(test, context)) for test in expr.when)
    items = factors_of(expr.body)
    factors = [value_of(item, context) for item in items]
    mask, outer = split((*union(*factors), *tests), expr.over)
    if all(context.extent(index) for index in expr.over) and not _by_zero(items, factors):
        array = contracted([item.array for item in factors], expr.over, mask)
        if array is not None:
            return Value(array, outer)
    del factors, mask
    return _folded("sum", expr.over, value_of(expr.body, context), tests, context)


def _by_zero(items: Sequence[Expr], factors: Sequence[Value]) -> bool:
    """Whether a divisor is 0 somewhere: 0 / 0 is 0, which a product with its inverse is not."""
    pairs = zip(items, factors, strict=True)
    inverses = (value.array.data for item, value in pairs if isinstance(item, Map) and item.op == "div")
    return any(bool(torch.isinf(data).any()) for data in inverses)


def factors_of(body: Expr) -> list[Expr]:
    """The factors of a product; a divisor is one as its inverse."""
    match body:
        case Map("mul", (a, b)):
            return factors_of(a) + factors_of(b)
        case Map("div", (a, b)):
            return [*factors_of(a), Map("div", (Const(1.0), b))]
        case _:
            return [body]


def _folded(op: str, over: tuple[str, ...], value: Value, tests: tuple[Array, ...], context: Context) -> Value:
    extents = [context.extent(index) for index in over]
    mask, outer = split((*value.when, *tests), over)
    result = fold(op, value.array, over, mask, extents)
    if op in ("argmax", "argmin") or (op in ("max", "min") and not value.array.data.is_floating_point()):
        true = Array(torch.ones((), dtype=torch.bool, device=context.device), ())
        outer = (*outer, fold("any", true, over, mask, extents))
    if op in ("argmax", "argmin") and len(over) == 1:  # a position; of several axes the number in row-major order
        result = Array(result.data + context.range(over[0])[0], result.dims)
    return Value(result, outer)


def _logsumexp(over: tuple[str, ...], value: Value, context: Context) -> Value:
    (value,) = promoted([value], context, real=True)
    mask, outer = split(value.when, over)
    top, _, total = _exponentials(over, value.array, mask, context)
    return Value(pointwise(lambda s, r: _added(elementwise("log", s), r), total, top), outer)


def _added(log: torch.Tensor, top: torch.Tensor) -> torch.Tensor:
    """log + top; -inf where nothing but -inf was folded."""
    return torch.where(top == -torch.inf, top, log + top)


def softmax(expr: Softmax, context: Context, value_of: Eval) -> Value:
    """exp(shift(x, max x)) / sum over the existing points."""
    (value,) = promoted([value_of(expr.body, context)], context, real=True)
    mask, _ = split(value.when, expr.over)
    _, weights, total = _exponentials(expr.over, value.array, mask, context)
    return Value(pointwise(lambda w, s: elementwise("div", w, s), weights, total), value.when)


def _exponentials(
    over: tuple[str, ...], scores: Array, mask: Array | None, context: Context
) -> tuple[Array, Array, Array]:
    """The largest score, exp(score - largest), and its sum; the largest is a gauge: nothing depends on it."""
    extents = [context.extent(index) for index in over]
    with torch.no_grad():
        top = fold("max", scores, over, mask, extents)
    weights = pointwise(lambda x, r: elementwise("exp", elementwise("shift", x, r)), scores, top)
    return top, weights, fold("sum", weights, over, mask, extents)


def _moment(op: str, over: tuple[str, ...], value: Value, context: Context) -> Value:
    (value,) = promoted([value], context, real=True)
    mask, outer = split(value.when, over)
    extents = [context.extent(index) for index in over]
    one = Array(torch.ones((), dtype=context.dtype, device=context.device), ())
    count = fold("sum", one, over, mask, extents)
    mean = _quotient(fold("sum", value.array, over, mask, extents), count)
    if op == "var":
        squares = pointwise(lambda x, c: elementwise("mul", x - c, x - c), value.array, mean)
        mean = _quotient(fold("sum", squares, over, mask, extents), count)
    return Value(mean, (*outer, Array(count.data > 0, count.dims)))


def _quotient(a: Array, b: Array) -> Array:
    return pointwise(lambda x, y: elementwise("div", x, y), a, b)
