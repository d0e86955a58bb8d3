"""Operations on constants, where Python computes what the language means."""

from __future__ import annotations

import math
from collections.abc import Callable

_FOLDED: dict[str, Callable[..., bool | int | float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "neg": lambda a: -a,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "and": lambda *args: all(args),
    "or": lambda *args: any(args),
    "not": lambda a: not a,
    "min": lambda *args: min(args),
    "max": lambda *args: max(args),
    "real": float,
    "int": int,
    "abs": abs,
}


def folded(op: str, values: tuple[bool | int | float, ...]) -> bool | int | float | None:
    """The operation on constants where Python's answer is the language's, else None."""
    if any(isinstance(value, float) and math.isnan(value) for value in values):
        return None
    match op, values:
        case "div", (a, b) if b != 0 and math.isfinite(a) and math.isfinite(b):
            return float(a) / float(b)
        case "floordiv" | "mod", (int() as a, int() as b) if b != 0:
            return a // b if op == "floordiv" else a % b
        case "pow", (int() as a, int() as b) if 0 <= b <= 64 and abs(a) <= 2**16 and abs(a**b) < 2**63:
            return int(a**b)
        case "sqrt", (a,) if a >= 0:
            return math.sqrt(a)
    rule = _FOLDED.get(op)
    if rule is None:
        return None
    arithmetic = op in ("add", "sub", "mul", "neg", "abs", "min", "max")
    numbers = (int(value) if arithmetic and isinstance(value, bool) else value for value in values)
    result = rule(*numbers)
    if isinstance(result, float) and not math.isfinite(result) and all(map(math.isfinite, values)):
        return None
    if arithmetic and any(isinstance(value, float) for value in values):
        result = float(result)
    return None if isinstance(result, int) and abs(result) >= 2**63 else result
