"""Comparisons that the ranges of indices decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from attnc.ir.cascade import Const, Coord, Expr, Map, Range, Size
from attnc.ir.node import Node
from attnc.ir.walk import bottom_up
from attnc.passes.simplify import FALSE, TRUE
from attnc.passes.sums import linear_terms

ONE: Expr = Const(1)
Ranges = Callable[[str], Range]


def decided(test: Expr, ranges: Ranges) -> Expr:
    """The condition with every comparison that holds, or fails, for all its indices written as such.

    Before   n < N and n <= m or n == N, where 0 <= n < N
    After    true and n <= m or false
    Holds    because every index lies in its range and every size is at least 0.
    """

    def rule(node: Node) -> Node | None:
        match node:
            case Map("lt" | "le" | "gt" | "ge" | "eq" | "ne" as op, (a, b)):
                return _comparison(op, a, b, ranges)
            case _:
                return None

    return cast(Expr, bottom_up(test, rule))


def _comparison(op: str, a: Expr, b: Expr, ranges: Ranges) -> Expr | None:
    if not _whole(a) or not _whole(b):
        return None
    less = _at_least(Map("sub", (b, a)), 1, ranges)  # a < b
    not_more = less or _at_least(Map("sub", (b, a)), 0, ranges)  # a <= b
    more = _at_least(Map("sub", (a, b)), 1, ranges)
    not_less = more or _at_least(Map("sub", (a, b)), 0, ranges)
    holds = {"lt": less, "le": not_more, "gt": more, "ge": not_less, "eq": not_more and not_less, "ne": less or more}
    fails = {"lt": not_less, "le": more, "gt": not_more, "ge": less, "eq": less or more, "ne": not_more and not_less}
    return TRUE if holds[op] else FALSE if fails[op] else None


def _whole(expr: Expr) -> bool:
    """Whether this is a sum of sizes, indices and whole numbers."""
    return all(_plain(term) for term in linear_terms(expr))


def _plain(term: Expr) -> bool:
    match term:
        case Const(int()) | Coord() | Size():
            return True
        case Map("mul" | "floordiv", (a, b)):
            return _plain(a) and _plain(b)
        case _:
            return False


def _at_least(expr: Expr, bound: int, ranges: Ranges) -> bool:
    """Whether expr >= bound at every point: each index is put to the end of its range that is worst."""
    lowest: Expr = Const(0)
    for term, factor in linear_terms(expr).items():
        if isinstance(term, Coord):
            item = ranges(term.index)
            term = item.lo if factor > 0 else Map("sub", (item.hi, ONE))
        lowest = Map("add", (lowest, Map("mul", (Const(factor), term))))
    terms = linear_terms(lowest)
    rest = terms.pop(ONE, 0)
    return rest >= bound and all(factor > 0 and _size(term) for term, factor in terms.items())


def _size(term: Expr) -> bool:
    match term:
        case Size():
            return True
        case Map("mul", (a, b)):
            return _size(a) and _size(b)
        case Map("floordiv", (a, Const(int() as divisor))):
            return _size(a) and divisor > 0
        case _:
            return False
