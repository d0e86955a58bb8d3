"""Sums over several indices, summed one index at a time where that leaves less to do."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from attnc.ir.cascade import Cascade, Const, Expr, Map, Reduce
from attnc.ir.indices import free_indices
from attnc.ir.node import Node
from attnc.ir.walk import bottom_up


def factor(cascade: Cascade) -> Cascade:
    """The cascade with sums of products over several indices nested.

    Before   I[m] = sum[e,n](P[m,e] * L[n,e])
    After    I[m] = sum[e](P[m,e] * sum[n](L[n,e]))
    Holds    because a factor without an index leaves the sum over it; done only where the inner sum has fewer
             indices than the whole, so that no value for each pair of positions is left.
    """

    def rule(node: Node) -> Node | None:
        plain = isinstance(node, Reduce) and node.op == "sum" and len(node.over) > 1 and not node.when
        return _nested(cast(Reduce, node)) if plain else None

    return cast(Cascade, bottom_up(cascade, rule))


def _nested(reduce: Reduce) -> Expr | None:
    above, below = factors(reduce.body)
    whole = free_indices(reduce.body)
    for index in reduce.over:
        inner = [item for item in above if index in free_indices(item)]
        under = [item for item in below if index in free_indices(item)]
        own = frozenset[str]().union(*(free_indices(item) for item in (*inner, *under)))
        if not inner or not (whole - own):
            continue
        part = Reduce("sum", (index,), product(inner, under), span=reduce.span)
        rest = tuple(item for item in reduce.over if item != index)
        outside = [item for item in above if item not in inner], [item for item in below if item not in under]
        body = product([*outside[0], part], outside[1])
        nested = replace(reduce, over=rest, body=body)
        return _nested(nested) or nested if len(rest) > 1 else nested
    return None


def factors(body: Expr) -> tuple[list[Expr], list[Expr]]:
    """The factors above and below the line."""
    match body:
        case Map("mul", (a, b)):
            one, other = factors(a), factors(b)
            return one[0] + other[0], one[1] + other[1]
        case Map("div", (a, b)):
            one = factors(a)
            return one[0], [*one[1], b]
        case _:
            return [body], []


def product(above: list[Expr], below: list[Expr]) -> Expr:
    """The product of factors above and below the line."""
    value: Expr = above[0] if above else Const(1.0)
    for item in above[1:]:
        value = Map("mul", (value, item))
    for item in below:
        value = Map("div", (value, item))
    return value
