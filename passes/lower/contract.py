"""Reductions over tile axes: matrix products, row reductions, and loops where a factor carries both sides."""

from __future__ import annotations

from attnc.ir import kernel as k
from attnc.ir.cascade import Expr, Reduce
from attnc.ir.indices import free_indices
from attnc.passes.lower.eliminate import eliminated, is_contraction
from attnc.passes.lower.inner import CHUNK, NeedsPointsError, chunk, completed, looped, stepping, walks_tiles
from attnc.passes.lower.lanes import NAMES, along, identity, selected
from attnc.passes.lower.products import Product, axes_of, factors, multiplied
from attnc.passes.lower.values import Values


def reduced(values: Values, expr: Reduce) -> k.Value:
    """A reduction over inner indices, bound to a name."""
    result = total(values, expr.over, expr.body, expr.when, expr) if expr.op == "sum" else folded(values, expr)
    return (
        values.scope.let("dot" if isinstance(result, k.Dot) else NAMES.get(expr.op, "fold"), result, expr.span)
        if is_contraction(result)
        else result
    )


# ---- products and sums ----------------------------------------------------------------------


def total(values: Values, over: tuple[str, ...], body: Expr, when: tuple[Expr, ...], source: Expr) -> k.Value:
    """sum of the body over tile axes, where the conditions hold.

    Before   sum[e](Q[m,e] * K[n,e] / sqrt(E));  sum[e](tanh(Q[m,e] + K[n,e]))
    After    dot[e](Q, K) * (1 / sqrt(E));       a loop over e that adds a tile [m,n] each turn
    Holds    because a factor without e multiplies afterwards, and sums commute.
    """
    if any(values.frame.extent(index) == 0 for index in over if index in values.frame.inner):
        return identity("sum", values.frame.compute)
    product = factors(body)
    over, product, when = _opened(values, over, product, when)
    parts = (*product.above, *product.below, *when)
    heavy = any(len(axes_of(values, part)) > 2 for part in parts)
    walked = stepping(values, over, parts)
    chunked = None if heavy else chunk(values, over, product)
    index = walked or chunked
    if index is not None:
        rest = over if chunked else tuple(item for item in over if item != index)
        step = 1 if walked else CHUNK if values.frame.extent(index) % CHUNK == 0 else CHUNK // 2
        inner, *tests = completed(values, index, (multiplied(product), *when))
        return looped(
            values,
            "sum",
            index,
            step,
            lambda: total(values, rest, inner, tuple(tests), source),
            (inner, *tests),
            source,
        )
    if heavy and walks_tiles(values):
        raise NeedsPointsError
    return eliminated(values, over, product, when, source)


def _opened(
    values: Values, over: tuple[str, ...], product: Product, when: tuple[Expr, ...]
) -> tuple[tuple[str, ...], Product, tuple[Expr, ...]]:
    """A sum inside the product whose value would carry three axes joins the outer sum: sums commute."""
    for place, factor in enumerate(product.above):
        beside = (*product.above[:place], *product.above[place + 1 :], *product.below, *when)
        free = frozenset[str]().union(*map(free_indices, beside))
        alone = isinstance(factor, Reduce) and free.isdisjoint(factor.over)  # no factor means another index by it
        if alone and isinstance(factor, Reduce) and factor.op == "sum" and len(axes_of(values, factor)) > 2:
            inner = factors(factor.body)
            above = [*product.above[:place], *inner.above, *product.above[place + 1 :]]
            joined = Product(above, product.below + inner.below)
            return _opened(values, (*factor.over, *over), joined, (*when, *factor.when))
    return over, product, when


# ---- the other folds ------------------------------------------------------------------------


def folded(values: Values, expr: Reduce) -> k.Value:
    """max, min, prod, any or all over inner indices, one index after another."""
    parts = (expr.body, *expr.when)
    heavy = any(len(axes_of(values, part)) > 2 for part in parts)
    step = stepping(values, expr.over, parts)
    if step is not None:
        rest = tuple(index for index in expr.over if index != step)
        body, *tests = completed(values, step, parts)
        inner = Reduce(expr.op, rest, body, tuple(tests), span=expr.span)
        return looped(values, expr.op, step, 1, lambda: folded(values, inner), (body, *tests), expr)
    if heavy and walks_tiles(values):
        raise NeedsPointsError
    value = values.of(expr.body)
    value = value if expr.op in ("any", "all") else values.real_of(expr.body) if values.is_real(value) else value
    seen = [values.of(test) for test in expr.when]
    if seen:
        joint = seen[0] if len(seen) == 1 else values.scope.let("seen", k.Map("and", tuple(seen)))
        value = selected(values, value, joint, expr.op)
    for index in expr.over:
        if index in values.scope.axes(value):
            value = along(values, value, index, expr.op, expr.span)
        elif expr.op == "prod" and values.scope.tiled(index):
            value = values.make("pow", value, values.constant(float(values.frame.extent(index))))
    return value
