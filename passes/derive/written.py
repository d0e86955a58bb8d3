"""Cascade expressions of sympy's: sums, products, fractions, powers, logarithms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy

from attnc.ir.cascade import Const, Expr, Map

LARGE = 2**53  # a whole number beyond is a real one in code
STEEP = sympy.Integer(2) ** 200  # exp of this times what is never above 0 is 1 at 0, and 0 below
FUNCTIONS = {sympy.exp: "exp", sympy.log: "log", sympy.Abs: "abs", sympy.Max: "max"}

Named = Mapping[Any, Expr]


class UnknownFormError(Exception):
    """A sympy form that has no cascade expression; the derivation treats it as opaque."""


def written(value: Any, named: Named) -> Expr:
    """The cascade expression of a sympy one; `named` gives what its symbols stand for."""
    match value:
        case sympy.Integer() if abs(value) < LARGE:
            return Const(int(value))
        case sympy.Expr() if value.is_number:
            return Const(float(value))
        case sympy.Symbol():
            return named[value]
        case sympy.Add():
            return _sum(value, named)
        case sympy.Mul():
            return _product(value, named)
        case sympy.Pow():
            return _power(value, named)
    if isinstance(value, sympy.exp) and value.args[0].atoms(sympy.Integer) and (found := _steep(value.args[0])):
        return _at_peak(*found, named)
    if value.func not in FUNCTIONS:
        raise UnknownFormError(str(value))
    args = sorted(value.args, key=sympy.default_sort_key)
    return Map(FUNCTIONS[value.func], tuple(written(arg, named) for arg in args))


def _steep(exponent: Any) -> tuple[Any, Any] | None:
    """An exponent in two parts: what is multiplied beyond all bounds, by what, and the rest; None without such."""
    terms = [(term.as_coeff_Mul(), term) for term in sympy.Add.make_args(exponent)]
    hard = sympy.Add(*(number * rest for (number, rest), _ in terms if abs(number) >= STEEP))
    return (hard / STEEP, exponent - hard) if hard != 0 else None


def _at_peak(distance: Any, rest: Any, named: Named) -> Expr:
    """1 where a score is its maximum, else 0, times what else there is."""
    hit = Map("real", (Map("eq", (written(distance, named), Const(0.0))),))
    return hit if rest == 0 else Map("mul", (hit, written(sympy.exp(rest), named)))


def _sum(value: Any, named: Named) -> Expr:
    terms = sorted(value.args, key=lambda term: (term.could_extract_minus_sign(), sympy.default_sort_key(term)))
    result = written(terms[0], named)
    for term in terms[1:]:
        negative = term.could_extract_minus_sign()
        result = Map("sub" if negative else "add", (result, written(-term if negative else term, named)))
    return result


def _product(value: Any, named: Named) -> Expr:
    if value.args[0] == -1:
        return Map("neg", (written(-value, named),))
    below = [factor for factor in value.args if _is_divisor(factor)]
    if below:
        above = sympy.Mul(*(factor for factor in value.args if not _is_divisor(factor)))
        over = sympy.Mul(*(1 / factor for factor in below))
        return Map("div", (written(above, named), written(over, named)))
    result, *factors = _factors(value, named)
    for factor in factors:
        result = Map("mul", (result, factor))
    return result


def _factors(value: Any, named: Named) -> list[Expr]:
    """The factors of a product; x * log(x) is one, 0 where x is."""
    rest = list(value.args)
    found = [item.args[0] for item in rest if isinstance(item, sympy.log) and item.args[0] in rest]
    for inside in found:
        rest.remove(inside)
        rest.remove(sympy.log(inside))
    return [written(item, named) for item in rest] + [Map("xlogx", (written(item, named),)) for item in found]


def _power(value: Any, named: Named) -> Expr:
    base, power = value.args
    if power == sympy.Rational(1, 2):
        return Map("sqrt", (written(base, named),))
    if power.is_negative:
        return Map("div", (Const(1.0), written(base**-power, named)))
    if power == 2:
        inner = written(base, named)
        return Map("mul", (inner, inner))
    return Map("pow", (written(base, named), written(power, named)))


def _is_divisor(factor: Any) -> bool:
    """Whether a factor stands under the bar: a negative power, or one over an integer."""
    if isinstance(factor, sympy.Pow):
        return bool(factor.args[1].is_negative)
    return isinstance(factor, sympy.Rational) and factor.p == 1 and 1 < factor.q < LARGE
