"""What is known of an expression while it is written: its type, and its value where only options enter it."""

from __future__ import annotations

import operator
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["bool", "int", "real"]
Known: TypeAlias = bool | int | float

_WIDTH: dict[Kind, int] = {"bool": 0, "int": 1, "real": 2}
_PYTHON: dict[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}

LOOKED_AT: ContextVar[bool] = ContextVar("LOOKED_AT", default=False)
"""Whether Python has asked for the value of an option: what it then writes holds for that value alone."""


def joined(*kinds: Kind | None) -> Kind | None:
    """The type of arithmetic on these: the widest, at least int; None where one is not known."""
    found: Kind = "int"
    for kind in kinds:
        if kind is None:
            return None
        found = kind if _WIDTH[kind] > _WIDTH[found] else found
    return found


def known_by(op: str, a: Known | None, b: Known | None) -> Known | None:
    """What an operator gives of two known values; None where one is not known, or Python has no answer."""
    if a is None or b is None:
        return None
    try:
        found = _PYTHON[op](a, b)
    except (ArithmeticError, ValueError):
        return None
    return found if isinstance(found, bool | int | float) else None
