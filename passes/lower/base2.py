"""Exponentials in base 2."""

from __future__ import annotations

from collections.abc import Collection
from math import isclose, log
from typing import cast

from attnc.ir.cascade import Const, Expr, Map, Var
from attnc.ir.node import Node
from attnc.ir.walk import bottom_up, walk

LN2, LOG2E = Const(log(2)), Const(1 / log(2))


def powers_of_two(expr: Expr) -> Expr:
    """The expression with every exponential relative to a reference written as a power of two.

    Before   exp(s - r), exp(r - q), exp(2 * (s - r)), exp(0.6931 * x)
    After    exp2(t), exp2(u), where t is (s - r) and u (r - q) in base 2; exp2(2.8854 * (s - r)), exp2(x)
    Holds    because exp(x) = exp2(x * log2(e)). Differences come first: scores may be large, and scaling them
             before would cost their low bits; for that reason exponentials of anything else stay as they are.
    """

    def rule(node: Node) -> Node | None:
        match node:
            case Map("exp", (Map("mul", (Const(factor), x) | (x, Const(factor))),)) if _is_log_2(factor):
                return Map("exp2", (x,), span=node.span)
            case Map("exp", (Var(name),)) if _is_relative(name):
                return Map("exp2", (Var(in_base_2(name)),), span=node.span)
            case Map("exp", (x,)) if any(isinstance(item, Var) and _is_relative(item.name) for item in walk(x)):
                return Map("exp2", (_scaled(x),), span=node.span)
            case _:
                return None

    return cast(Expr, bottom_up(expr, rule))


def in_base_2(name: str) -> str:
    """What a score or a reference less a reference is called in base 2."""
    return f"{name}.base2"


def only_in_powers(expr: Expr, names: Collection[str]) -> bool:
    """Whether a Var of these names is nowhere but alone in an exponential."""
    found = [node for node in walk(expr) if isinstance(node, Var) and node.name in names]
    powers = [node.args[0] for node in walk(expr) if isinstance(node, Map) and node.op == "exp"]
    return len(found) == sum(isinstance(power, Var) and power.name in names for power in powers)


def _is_log_2(factor: bool | int | float) -> bool:
    return isclose(factor, log(2), rel_tol=1e-15)


def _is_relative(name: str) -> bool:
    """Whether a Var is a score or a reference less a reference."""
    return name.endswith((".shifted", ".shift"))


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
