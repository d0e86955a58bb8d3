"""Which indices an expression mentions, and an expression at other indices."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import cast

from attnc.ir.cascade import Coord, Expr, Order, Reduce, Softmax
from attnc.ir.node import Node
from attnc.ir.walk import children, rebuild, walk


@lru_cache(maxsize=65536)
def free_indices(expr: Node) -> frozenset[str]:
    """The indices that an expression's value depends on.

    Reductions bind theirs; softmax and topk keep theirs, and the other order operations have slots instead.
    """
    below = frozenset[str]().union(*(free_indices(child) for child in children(expr)))
    match expr:
        case Coord(index):
            return frozenset((index,))
        case Reduce(_, over):
            return below - frozenset(over)
        case Softmax(over):
            return below | frozenset(over)
        case Order("topk", over):
            return below | frozenset(over)
        case Order(_, over, slots):
            return (below - frozenset(over)) | frozenset(slots)
        case _:
            return below


def at(expr: Expr, values: Mapping[str, Expr]) -> Expr:
    """The expression with each free index replaced by its value, all at once.

    An index that a reduction binds is left alone there; no value may mention one (names are unique
    where an expression is re-indexed, which the verifier asserts).
    """
    if not values or free_indices(expr).isdisjoint(values):
        return expr
    return cast(Expr, _at(expr, values))


def captures(expr: Expr, values: Mapping[str, Expr]) -> bool:
    """Whether re-indexing would put an index under a reduction that binds it."""
    for node in walk(expr):
        if isinstance(node, Reduce | Order | Softmax):
            inner = {index for index in free_indices(node) if index in values}
            brought = frozenset[str]().union(*(free_indices(values[index]) for index in inner))
            if brought & frozenset(node.over):
                return True
    return False


def _at(node: Node, values: Mapping[str, Expr]) -> Node:
    match node:
        case Coord(index):
            return values.get(index, node)
        case Reduce(_, over) | Order(_, over) | Softmax(over):
            inner = {index: value for index, value in values.items() if index not in over}
            clash = frozenset(over).intersection(*(free_indices(value) for value in inner.values())) if inner else ()
            assert not clash, f"re-indexing would capture {sorted(clash)}"
            return rebuild(node, lambda child: _at(child, inner))
        case _:
            return rebuild(node, lambda child: _at(child, values))
