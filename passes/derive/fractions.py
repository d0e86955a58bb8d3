"""Exponentials over sums of exponentials: what overflows above is cancelled with what overflows below."""

from __future__ import annotations

from typing import Any

import sympy

from attnc.passes.derive.exponents import combined, exponent_of, normal


def balanced(phi: Any) -> Any:
    """A product whose exponential is moved into a denominator that grows with it.

    Before   exp(S) / (1 + exp(S)),      exp(3 * S) / (1 + exp(S)) ** 2
    After    1 / (exp(-S) + 1),          exp(S) / (exp(-S) + 1) ** 2
    Holds    because exp(a) / D ** p = 1 / (D * exp(-a / p)) ** p; as much of the exponent goes as keeps every
             term of D positive and one of them constant, so that the fraction is bounded.
    """
    argument = normal(exponent_of(phi))
    if argument == 0:
        return phi
    for factor in sympy.Mul.make_args(phi):
        power = _denominator(factor)
        moved = _nearest(argument, _exponents(factor.args[0], power)) if power is not None else None
        if moved is not None and moved != 0:
            return combined(phi / factor * sympy.exp(-moved)) * _lowered(factor.args[0], moved, power)
    return phi


def in_range(value: Any) -> Any:
    """The same value with no exponential where it may overflow: above a sum, beside another one, in a logarithm.

    Before   A * exp(r) / (1 + B * exp(r)),      log(1 + B * exp(r))
    After    A / (exp(-r) + B),                  max(0, r) + log(exp(-max(0, r)) + B * exp(r - max(0, r)))
    Holds    as above. Where exp(-r) overflows the quotient is 0, as it should be.
    """
    if not value.has(sympy.exp):
        return value
    changed = value.func(*map(in_range, value.args))
    if isinstance(changed, sympy.Mul):
        return sympy.Add(*(_lowered_product(term) for term in sympy.Add.make_args(_distributed(changed))))
    return _logarithm(changed.args[0]) if isinstance(changed, sympy.log) else changed


def _distributed(product: Any) -> Any:
    """A fraction of a sum with exponentials as a sum of fractions."""
    factors = sympy.Mul.make_args(product)
    sums = any(isinstance(factor, sympy.Add) and factor.has(sympy.exp) for factor in factors)
    below = any(_denominator(factor) is not None for factor in factors)
    return sympy.expand_mul(product, deep=False) if sums and below else product


def _lowered_product(product: Any) -> Any:
    """A product without an exponential above the bar, if a sum with exponentials stands below."""
    argument = exponent_of(product)
    for factor in sympy.Mul.make_args(product) if argument != 0 else ():
        power = _denominator(factor)
        if power is not None and any(exponent_of(term) != 0 for term in factor.args[0].args):
            return combined(product / factor * sympy.exp(-argument)) * _lowered(factor.args[0], argument, power)
    return combined(product)


def _logarithm(total: Any) -> Any:
    """The logarithm of a sum of positive terms, the largest exponential taken out."""
    exponents = {exponent_of(term) for term in sympy.Add.make_args(total)}
    if len(exponents) < 2 or not all(term.is_positive for term in total.args):
        return sympy.log(total)
    top = sympy.Max(*exponents)
    return top + sympy.log(sympy.Add(*(combined(term * sympy.exp(-top)) for term in total.args)))


def _denominator(factor: Any) -> Any:
    """The power by which a product is divided by a sum; None for any other factor."""
    if not isinstance(factor, sympy.Pow) or not isinstance(factor.args[0], sympy.Add):
        return None
    return -factor.args[1] if factor.args[1].is_number and factor.args[1].is_negative else None


def _lowered(total: Any, argument: Any, power: Any) -> Any:
    scale = sympy.exp(-argument / power)
    return sympy.Add(*(combined(term * scale) for term in total.args)) ** -power


def _exponents(total: Any, power: Any) -> list[Any]:
    """The exponents of a sum of positive terms, times the power; none where a term may be negative."""
    if not all(term.is_positive for term in total.args):
        return []
    return [power * normal(exponent_of(term)) for term in total.args]


def _nearest(argument: Any, ends: list[Any]) -> Any:
    """The point nearest to an exponent on the line between others, where all lie on one line; else None."""
    line = next((end - ends[0] for end in ends if end != ends[0]), None)
    if line is None:
        return None
    places = [_ratio(end - ends[0], line) for end in (*ends, argument)]
    if not all(place.is_number for place in places):
        return None
    *others, own = places
    return ends[0] + min(max(own, min(others)), max(others)) * line


def _ratio(a: Any, b: Any) -> Any:
    return sympy.cancel(sympy.expand(a) / sympy.expand(b))
