"""`grad(y, x)`: the indices that only y has are summed, the others stand at the statement's point."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

from attnc.ir.cascade import Expr, Grad, Order, Reduce, Softmax
from attnc.ir.indices import free_indices
from attnc.ir.node import Node
from attnc.ir.walk import rebuild


def closed(expr: Expr, scope: Iterable[str]) -> Expr:
    """The expression with the sums that its derivatives imply; `scope` are the indices of the statement.

    Before   W[b,e] - grad(loss[b,i], W[b,e])
    After    W[b,e] - grad(sum[i](loss[b,i]), W[b,e])
    Holds    because a derivative is that of the sum of y, and an index of the statement stands at one position.
    """
    return cast(Expr, _closed(expr, frozenset(scope)))


def _closed(node: Node, scope: frozenset[str]) -> Node:
    match node:
        case Grad(y, x):
            inside = scope | free_indices(x)
            value = cast(Expr, _closed(y, inside))
            over = tuple(sorted(free_indices(value) - inside))
            return replace(node, y=Reduce("sum", over, value, span=y.span) if over else value)
        case Reduce(_, over) | Softmax(over) | Order(_, over):
            return rebuild(node, lambda child: _closed(child, scope | frozenset(over)))
        case _:
            return rebuild(node, lambda child: _closed(child, scope))
