"""Products with their exponentials gathered, and the normal form by which equal values are told."""

from __future__ import annotations

from typing import Any

import sympy


def normal(value: Any) -> Any:
    """The form by which equal values are told: a sum of products, logarithms opened, exponents gathered by sums."""
    value = sympy.expand_log(value, force=True)
    value = value.replace(sympy.exp, lambda arg: sympy.exp(sympy.expand(sympy.expand_log(arg, force=True))))
    value = sympy.expand(value, power_exp=False, power_base=True, log=False, force=True)
    return sympy.Add(*(combined(term) for term in sympy.Add.make_args(value)))


def combined(term: Any) -> Any:
    """A product with one exponential."""
    return without_exponent(term) * sympy.exp(exponent_of(term))


def exponent_of(phi: Any) -> Any:
    """The exponent of a phi, 0 if it has none."""
    found = [factor.args[0] for factor in sympy.Mul.make_args(phi) if isinstance(factor, sympy.exp)]
    return sum(found, sympy.Integer(0))


def without_exponent(phi: Any) -> Any:
    """What stands beside the exponentials of a phi."""
    return sympy.Mul(*(factor for factor in sympy.Mul.make_args(phi) if not isinstance(factor, sympy.exp)))
