"""What comes in at an elementwise operation, handed on to its arguments.

Each rule divides by what a derivative divides by, in place of multiplying by a reciprocal: 0 / 0 is 0, so that
nothing comes of nothing also where a function has an infinite slope.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from attnc.ir.cascade import Choose, Const, Expr, Map
from attnc.ir.operators import COMPARISONS

Rule = Callable[[Expr, Expr, Expr], Expr]  # of what comes in, the argument and the value

ZERO, ONE, TWO = Const(0.0), Const(1.0), Const(2.0)
FLAT = frozenset((*COMPARISONS, "and", "or", "not", "floor", "ceil", "round", "sign", "floordiv", "stop", "int"))


def mul(a: Expr, b: Expr) -> Expr:
    """The product, a factor of 1 dropped."""
    return b if a == ONE else a if b == ONE else Map("mul", (a, b))


def div(a: Expr, b: Expr) -> Expr:
    """The quotient."""
    return Map("div", (a, b))


def neg(a: Expr) -> Expr:
    """The negative."""
    return a.args[0] if isinstance(a, Map) and a.op == "neg" else Map("neg", (a,))


def pulled(expr: Map, incoming: Expr) -> tuple[Expr | None, ...]:
    """For each argument what comes in times the operation's derivative there; None where it has none."""
    op, args = expr.op, expr.args
    if op in FLAT:
        return (None,) * len(args)
    if op in _RULES:
        return (_RULES[op](incoming, args[0], expr),)
    match op, args:
        case "add", _:
            return (incoming, incoming)
        case "sub", _:
            return (incoming, neg(incoming))
        case "shift", (x, _):
            unseen = Map("eq", (x, Const(-math.inf)))
            return (incoming, Choose(unseen, ZERO, neg(incoming)))
        case "mul", (a, b):
            return (mul(incoming, b), mul(incoming, a))
        case "div", (_, b):
            return (div(incoming, b), neg(div(mul(incoming, expr), b)))
        case "mod", (a, b):
            return (incoming, neg(mul(incoming, _real(Map("floor", (div(a, b),))))))
        case "pow", (a, b):
            return (_of_base(incoming, a, b), _of_power(incoming, a, b, expr))
        case "relu", (x,):
            return (Choose(Map("gt", (x, ZERO)), incoming, ZERO),)
        case "min" | "max", _:
            return _shared(expr, incoming)
        case "clamp", (x, lo, hi):
            return _clamped(x, lo, hi, incoming)
    raise AssertionError(f"no derivative for {op}")


def _real(x: Expr) -> Expr:
    return Map("real", (x,))


def _of_base(g: Expr, a: Expr, b: Expr) -> Expr:
    if isinstance(b, Const) and b.value == 2:
        return mul(mul(g, TWO), a)
    slope = mul(_real(b), Map("pow", (a, Map("sub", (b, Const(1))))))
    return mul(g, slope) if isinstance(b, Const) and b.value else Choose(Map("eq", (b, Const(0))), ZERO, mul(g, slope))


def _of_power(g: Expr, a: Expr, b: Expr, y: Expr) -> Expr:
    nothing = Map("and", (Map("eq", (a, ZERO)), Map("ge", (b, ZERO))))
    return Choose(nothing, ZERO, mul(g, mul(y, Map("log", (a,)))))


def _shared(expr: Map, g: Expr) -> tuple[Expr | None, ...]:
    """An equal share for each argument that has the value."""
    hits = tuple(Map("eq", (arg, expr)) for arg in expr.args)
    count: Expr = _real(hits[0])
    for hit in hits[1:]:
        count = Map("add", (count, _real(hit)))
    return tuple(Choose(hit, div(g, count), ZERO) for hit in hits)


def _clamped(x: Expr, lo: Expr, hi: Expr, g: Expr) -> tuple[Expr | None, ...]:
    """clamp(x, lo, hi) is min(max(x, lo), hi)."""
    inner = Map("max", (x, lo))
    within, above = _shared(Map("min", (inner, hi)), g)
    assert within is not None
    return (*_shared(inner, within), above)


def _gelu(g: Expr, x: Expr, y: Expr) -> Expr:
    half = mul(Const(0.5), Map("add", (ONE, Map("erf", (mul(x, Const(math.sqrt(0.5))),)))))
    bell = Map("exp", (mul(Const(-0.5), mul(x, x)),))
    return mul(g, Map("add", (half, mul(mul(x, bell), Const(1 / math.sqrt(2 * math.pi))))))


def _silu(g: Expr, x: Expr, y: Expr) -> Expr:
    gate = Map("sigmoid", (x,))
    return mul(g, mul(gate, Map("add", (ONE, mul(x, Map("sub", (ONE, gate)))))))


_LN2 = math.log(2)
_RULES: dict[str, Rule] = {
    "neg": lambda g, x, y: neg(g),
    "real": lambda g, x, y: g,
    "abs": lambda g, x, y: mul(g, _real(Map("sign", (x,)))),
    "exp": lambda g, x, y: mul(g, y),
    "exp2": lambda g, x, y: mul(mul(g, y), Const(_LN2)),
    "expm1": lambda g, x, y: mul(g, Map("add", (y, ONE))),
    "log": lambda g, x, y: div(g, x),
    "log2": lambda g, x, y: div(div(g, x), Const(_LN2)),
    "log1p": lambda g, x, y: div(g, Map("add", (ONE, x))),
    "sqrt": lambda g, x, y: Choose(Map("eq", (y, ZERO)), ZERO, div(g, mul(TWO, y))),
    "rsqrt": lambda g, x, y: neg(div(div(g, mul(TWO, x)), Map("sqrt", (x,)))),
    "tanh": lambda g, x, y: mul(g, Map("sub", (ONE, mul(y, y)))),
    "sigmoid": lambda g, x, y: mul(g, mul(y, Map("sub", (ONE, y)))),
    "softplus": lambda g, x, y: mul(g, Map("sigmoid", (x,))),
    "silu": _silu,
    "gelu": _gelu,
    "erf": lambda g, x, y: mul(mul(g, Const(2 / math.sqrt(math.pi))), Map("exp", (neg(mul(x, x)),))),
    "sin": lambda g, x, y: mul(g, Map("cos", (x,))),
    "cos": lambda g, x, y: neg(mul(g, Map("sin", (x,)))),
    "xlogx": lambda g, x, y: Choose(Map("eq", (x, ZERO)), ZERO, mul(g, Map("add", (Map("log", (x,)), ONE)))),
}
