"""The elementwise operators: one row each. Types, laws and printing elsewhere read this table.

`result` is the result type: a type, "join" (the wider of the arguments' types, at least int) or
"same" (as "join", but for real functions the arguments are taken as real). `written` is how the
language spells it: an infix sign, or a function name, or None for operators only the IR has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Operator:
    """One elementwise operator."""

    name: str
    arity: tuple[int, int | None]
    result: Literal["bool", "int", "real", "join"]
    written: str | None
    increasing: bool = False  # strictly monotone increasing in its only argument, on its whole domain
    bounds: tuple[float, float] | None = None  # range of the result


_ROWS = (
    # arithmetic
    Operator("add", (2, 2), "join", "+"),
    Operator("sub", (2, 2), "join", "-"),
    Operator("mul", (2, 2), "join", "*"),
    Operator("div", (2, 2), "real", "/"),
    Operator("floordiv", (2, 2), "join", "//"),
    Operator("mod", (2, 2), "join", "%"),
    Operator("pow", (2, 2), "join", "**"),
    Operator("neg", (1, 1), "join", "-"),
    # comparisons and logic
    Operator("eq", (2, 2), "bool", "=="),
    Operator("ne", (2, 2), "bool", "!="),
    Operator("lt", (2, 2), "bool", "<"),
    Operator("le", (2, 2), "bool", "<="),
    Operator("gt", (2, 2), "bool", ">"),
    Operator("ge", (2, 2), "bool", ">="),
    Operator("and", (2, None), "bool", "and"),
    Operator("or", (2, None), "bool", "or"),
    Operator("not", (1, 1), "bool", "not"),
    # functions
    Operator("exp", (1, 1), "real", "exp", True, (0.0, float("inf"))),
    Operator("exp2", (1, 1), "real", "exp2", True, (0.0, float("inf"))),
    Operator("log", (1, 1), "real", "log", True),
    Operator("log2", (1, 1), "real", "log2", True),
    Operator("log1p", (1, 1), "real", "log1p", True),
    Operator("expm1", (1, 1), "real", "expm1", True, (-1.0, float("inf"))),
    Operator("sqrt", (1, 1), "real", "sqrt", True, (0.0, float("inf"))),
    Operator("rsqrt", (1, 1), "real", "rsqrt", False, (0.0, float("inf"))),
    Operator("abs", (1, 1), "join", "abs", False, (0.0, float("inf"))),
    Operator("sign", (1, 1), "join", "sign", False, (-1.0, 1.0)),
    Operator("floor", (1, 1), "int", "floor"),
    Operator("ceil", (1, 1), "int", "ceil"),
    Operator("round", (1, 1), "int", "round"),
    Operator("tanh", (1, 1), "real", "tanh", True, (-1.0, 1.0)),
    Operator("sigmoid", (1, 1), "real", "sigmoid", True, (0.0, 1.0)),
    Operator("softplus", (1, 1), "real", "softplus", True, (0.0, float("inf"))),
    Operator("relu", (1, 1), "join", "relu", False, (0.0, float("inf"))),
    Operator("silu", (1, 1), "real", "silu"),
    Operator("gelu", (1, 1), "real", "gelu"),
    Operator("erf", (1, 1), "real", "erf", True, (-1.0, 1.0)),
    Operator("sin", (1, 1), "real", "sin", False, (-1.0, 1.0)),
    Operator("cos", (1, 1), "real", "cos", False, (-1.0, 1.0)),
    Operator("min", (1, None), "join", "min"),
    Operator("max", (1, None), "join", "max"),
    Operator("clamp", (3, 3), "join", "clamp"),
    Operator("xlogx", (1, 1), "real", "xlogx"),
    Operator("stop", (1, 1), "join", "stop"),
    # of the IR alone
    Operator("shift", (2, 2), "real", None),  # x - r, and -inf where x is -inf
    Operator("real", (1, 1), "real", None),  # an integer or boolean as a real
    Operator("int", (1, 1), "int", None),  # a boolean as an integer
)

OPERATORS = {row.name: row for row in _ROWS}
FUNCTIONS = {row.written: row for row in _ROWS if row.written and row.written.isidentifier()}
INFIX = {row.written: row for row in _ROWS if row.written and not row.written.isidentifier()}
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
REDUCTIONS = ("sum", "prod", "max", "min", "any", "all", "argmax", "argmin")
SUGARED_REDUCTIONS = ("mean", "var", "logsumexp", "softmax", "kth")
ORDERINGS = ("topk", "argtopk", "sort", "argsort")
