"""Scores less a reference, and their exponentials as powers of two."""

from __future__ import annotations

import math
from functools import reduce
from typing import TYPE_CHECKING

from attnc.ir import kernel as k
from attnc.ir.cascade import Expr, Map
from attnc.passes.lower.base2 import LOG2E

if TYPE_CHECKING:
    from attnc.passes.lower.values import Values

LARGEST = 3.4028234663852886e38  # of float32


def shift(values: Values, args: tuple[Expr, ...], expr: Expr) -> k.Value:
    """x - r, and -inf where x is -inf."""
    x, r = (values.real_of(arg) for arg in args)
    x = values.scope.let("x", x)
    low = values.constant(-math.inf)
    difference = values.built("sub", (x, r), expr)
    return values.built("select", (k.Map("eq", (x, low)), low, difference), expr)


def power_of_shift(values: Values, arg: Expr, expr: Expr) -> k.Value:
    """exp(x - r), and 0 where x is -inf: a power of two.

    Before   exp(shift(shift(x, a), b))
    After    exp2(x * log2(e) - (a + b) * log2(e)) with 16-bit inputs, else
             exp2((x - a) * log2(e) - b * log2(e))
    Holds    because the product is fused with the difference, and a reference of -inf, held finite, leaves
             -inf where x is -inf and inf elsewhere.
    """
    log2e, below = k.Const(LOG2E.value, values.frame.compute), []
    while isinstance(arg, Map) and arg.op == "shift":
        arg, reference = arg.args
        below.append(values.real_of(reference))
    if not values.frame.scales_first:
        return _power_of_rest(values, values.real_of(arg), below, expr)
    total = values.scope.let("ref", reduce(lambda a, b: k.Map("add", (a, b)), reversed(below)))
    ref = values.scope.let("ref2", k.Map("max", (k.Map("mul", (total, log2e)), values.constant(-LARGEST))))
    match values.real_of(arg):
        case k.Map("mul", (k.Const() as scale, x)):
            scaled = k.Map("mul", (x, values.make("mul", scale, log2e)))
        case x:
            scaled = k.Map("mul", (values.scope.let("x", x), log2e))
    return values.scope.let("p", values.built("exp2", (fused(values, scaled, ref),), expr), expr.span)


def fused(values: Values, product: k.Value, ref: k.Value) -> k.Value:
    """A product less a reference, rounded once: on a CPU sums alone are, for scores are compared."""
    return (
        k.Map("add", (product, k.Map("neg", (ref,))))
        if values.frame.target.kind == "cpu"
        else k.Map("sub", (product, ref))
    )


def _power_of_rest(values: Values, value: k.Value, below: list[k.Value], expr: Expr) -> k.Value:
    """exp of a value less references, the last in `below` first: what is large cancels before it is scaled."""
    log2e, least = k.Const(LOG2E.value, values.frame.compute), values.constant(-LARGEST)
    scaled: k.Value | None = None
    for place, reference in enumerate(reversed(below)):
        finite = values.scope.let("ref", k.Map("max", (reference, least)))
        if place == len(below) - 1 and place > 0:
            scaled = values.scope.let("ref2", k.Map("mul", (finite, log2e)))
        else:
            value = k.Map("sub", (value, finite))
    power = k.Map("mul", (value, log2e))
    whole = power if scaled is None else k.Map("sub", (power, scaled))
    return values.scope.let("p", values.built("exp2", (whole,), expr), expr.span)
