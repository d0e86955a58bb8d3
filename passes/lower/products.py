"""Expressions as products, and the tile axes that they carry."""

from __future__ import annotations

from dataclasses import dataclass

from attnc.ir.cascade import Const, Expr, Map, Var
from attnc.ir.indices import free_indices
from attnc.ir.walk import walk
from attnc.passes.lower.values import Values


@dataclass
class Product:
    """Factors above and below the line."""

    above: list[Expr]
    below: list[Expr]


def factors(body: Expr) -> Product:
    """A body as a product."""
    match body:
        case Map("mul", (a, b)):
            one, other = factors(a), factors(b)
            return Product(one.above + other.above, one.below + other.below)
        case Map("div", (a, b)):
            one = factors(a)
            return Product(one.above, [*one.below, b])
        case Map("neg", (a,)):
            one = factors(a)
            return Product([Const(-1.0), *one.above], one.below)
        case Map("real", (a,)):
            return factors(a)
        case _:
            return Product([body], [])


def axes_of(values: Values, expr: Expr) -> frozenset[str]:
    """The tile axes that an expression's value would carry here."""
    found = {index for index in free_indices(expr) if values.scope.tiled(index) and index not in values.rows}
    for node in walk(expr):
        if isinstance(node, Var):
            found |= set(values.scope.axes(values.bound[node.name]))
    return frozenset(found)


def multiplied(product: Product) -> Expr:
    """The product as one expression."""
    result: Expr = product.above[0] if product.above else Const(1.0)
    for factor in product.above[1:]:
        result = Map("mul", (result, factor))
    for divisor in product.below:
        result = Map("div", (result, divisor))
    return result
