"""How Triton writes operators, functions and types."""

from __future__ import annotations

# Precedence of Python's operators: an operand that binds less tightly than its place wants stands in parentheses.
ANY, COMPARED, JOINED, MET, ADDED, MULTIPLIED, ATOM = 0, 30, 40, 45, 60, 70, 100
INFIX = {"add": ("+", ADDED), "sub": ("-", ADDED), "mul": ("*", MULTIPLIED), "div": ("/", MULTIPLIED)}
INFIX |= {"lt": ("<", COMPARED), "le": ("<=", COMPARED), "gt": (">", COMPARED), "ge": (">=", COMPARED)}
INFIX |= {"eq": ("==", COMPARED), "ne": ("!=", COMPARED), "and": ("&", MET), "or": ("|", JOINED)}
# Calls whose arguments stand between commas.
CALLS = {
    "exp": "exp({0})",
    "exp2": "tl.exp2({0})",
    "log": "tl.log({0})",
    "log2": "tl.log2({0})",
    "sqrt": "tl.sqrt({0})",
    "abs": "tl.abs({0})",
    "expm1": "expm1({0})",
    "floordiv": "floordiv({0}, {1})",
    "log1p": "log1p({0})",
    "mod": "mod({0}, {1})",
    "tanh": "tanh({0})",
    "uniform": "uniform({0}, {1}, {2}, {3}, {4})",
    "sigmoid": "tl.sigmoid({0})",
    "relu": "tl.maximum({0}, 0)",
    "erf": "tl.erf({0})",
    "sin": "tl.sin({0})",
    "cos": "tl.cos({0})",
    "clamp": "tl.minimum(tl.maximum({0}, {1}), {2})",
    "floor": "tl.floor({0}).to(tl.int64)",
    "ceil": "tl.ceil({0}).to(tl.int64)",
}
# Expressions in which the arguments stand beside operators.
FORMS = {
    "rsqrt": "(1.0 / tl.sqrt({0}))",
    "sign": "tl.where({0} > 0, 1, tl.where({0} < 0, -1, 0))",
    "softplus": "(tl.maximum({0}, 0.0) + log1p(tl.exp(-tl.abs({0}))))",
    "silu": "({0} * tl.sigmoid({0}))",
    "gelu": "(0.5 * {0} * (1.0 + tl.erf({0} * 0.7071067811865476)))",
    "xlogx": "tl.where({0} == 0, 0.0, {0} * tl.log(tl.where({0} == 0, 1.0, {0})))",
    "round": "(tl.floor({0}) + tl.where(_above({0}), 1.0, 0.0)).to(tl.int64)".replace(
        "_above({0})",
        "({0} - tl.floor({0}) > 0.5) | (({0} - tl.floor({0}) == 0.5) & (tl.floor({0} * 0.5) * 2.0 != tl.floor({0})))",
    ),
    "not": "({0} == 0)",
    "neg": "(-{0})",
}
# Functions of the generated module that an operator calls.
NEEDED = {name: {name} for name in ("exp", "expm1", "floordiv", "log1p", "mod", "tanh")}
NEEDED |= {"softplus": {"log1p"}, "uniform": {"uniform", "word32"}}
IDENTITY = {"sum": "0", "prod": "1", "max": 'float("-inf")', "min": 'float("inf")', "any": "0", "all": "1"}
DTYPES = {
    "bool": "tl.int1",
    "int32": "tl.int32",
    "int64": "tl.int64",
    "float16": "tl.float16",
    "bfloat16": "tl.bfloat16",
}
DTYPES |= {"float32": "tl.float32", "float64": "tl.float64"}
