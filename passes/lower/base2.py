"""Exponentials in base 2: the factor log2(e) is pushed to where it costs least."""

from __future__ import annotations

from math import log
from typing import cast

from attnc.ir.cascade import Const, Expr, Map, Reduce, Var
from attnc.ir.indices import free_indices
from attnc.ir.node import Node
from attnc.ir.walk import bottom_up

LOG2E = Const(1 / log(2))
BINARY = "/2"  # the suffix of a Var in base 2


def based(expr: Expr) -> Expr:
    """The expression with every exponential written as a power of two.

    Before   exp(2 * y + a * b)
    After    exp2(2 * y/2 + (a * 1.4427) * b)
    Holds    because exp(x) = exp2(x * log2(e)); y/2 is y * log2(e).
    """

    def rule(node: Node) -> Node | None:
        if isinstance(node, Map) and node.op == "exp":
            return Map("exp2", (scaled(node.args[0]),), span=node.span)
        return None

    return cast(Expr, bottom_up(expr, rule))


def scaled(expr: Expr) -> Expr:
    """The expression times log2(e)."""
    match expr:
        case Const(value) if not isinstance(value, bool):
            return Const(value / log(2))
        case Var(name):
            return Var(name + BINARY, span=expr.span)
        case Map("add" | "sub" as op, (a, b)):
            return Map(op, (scaled(a), scaled(b)), span=expr.span)
        case Map("neg", (a,)):
            return Map("neg", (scaled(a),), span=expr.span)
        case Map("mul", (a, b)):
            first = _weight(a) <= _weight(b)
            return Map("mul", (scaled(a), b) if first else (a, scaled(b)), span=expr.span)
        case Map("div", (a, b)) if free_indices(b):
            return Map("div", (scaled(a), b), span=expr.span)
        case Map("div", (a, b)):
            return Map("mul", (a, Map("div", (LOG2E, b))), span=expr.span)
        case Reduce("sum", over, body, when):
            return Reduce("sum", over, scaled(body), when, span=expr.span)
        case _:
            return Map("mul", (expr, LOG2E), span=expr.span)


def _weight(expr: Expr) -> tuple[int, int]:
    """Where a factor costs least: states first, then what varies over fewest indices."""
    return (0 if isinstance(expr, Var) else 1, len(free_indices(expr)))
