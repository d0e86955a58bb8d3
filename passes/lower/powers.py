"""Factors that are exponentials of a name."""

from __future__ import annotations

from attnc.ir.cascade import Expr, Map, Var
from attnc.ir.walk import walk


def mentions(expr: Expr, name: str) -> bool:
    """Whether an expression has a name in it."""
    return any(isinstance(node, Var) and node.name == name for node in walk(expr))


def exponential(factor: Expr, name: str) -> bool:
    """Whether a factor is exp of a positive multiple of a Var, or does not mention it."""
    if not mentions(factor, name):
        return True
    match factor:
        case Map("exp", (Var(),)):
            return True
        case Map("exp", (Map("mul", (a, b)),)):
            constants = [getattr(item, "value", None) for item in (a, b) if not isinstance(item, Var)]
            return len(constants) == 1 and isinstance(constants[0], int | float) and constants[0] > 0
        case _:
            return False
