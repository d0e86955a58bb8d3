"""Exponentials in base 2."""

from __future__ import annotations

from math import log
from typing import cast

from attnc.ir.cascade import Const, Expr, Map
from attnc.ir.node import Node
from attnc.ir.walk import bottom_up

LOG2E = Const(1 / log(2))


def powers_of_two(expr: Expr) -> Expr:
    """The expression with every exponential written as a power of two.

    Before   exp(s - r), exp(2 * y)
    After    exp2((s - r) * 1.4427), exp2(2.8854 * y)
    Holds    because exp(x) = exp2(x * log2(e)). Differences come first: scores may be large, and scaling them
             before would cost their low bits.
    """

    def rule(node: Node) -> Node | None:
        if isinstance(node, Map) and node.op == "exp":
            return Map("exp2", (_scaled(node.args[0]),), span=node.span)
        return None

    return cast(Expr, bottom_up(expr, rule))


def _scaled(expr: Expr) -> Expr:
    """The expression times log2(e), into a constant factor where it has one."""
    match expr:
        case Const(value) if not isinstance(value, bool):
            return Const(value / log(2), span=expr.span)
        case Map("neg", (a,)):
            return Map("neg", (_scaled(a),), span=expr.span)
        case Map("mul", (Const() as a, b)) | Map("mul", (b, Const() as a)):
            return Map("mul", (_scaled(a), b), span=expr.span)
        case _:
            return Map("mul", (expr, LOG2E), span=expr.span)
