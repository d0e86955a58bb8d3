"""A sum's body as sum of coefficient * phi: coefficients know completed reductions, phis the stream."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import sympy


class NotSeparableError(Exception):
    """A factor mixes the stream with a completed reduction; `factor` is the culprit."""

    def __init__(self, factor: Any) -> None:
        """Keeps the factor for the message."""
        super().__init__(str(factor))
        self.factor = factor


def expanded(value: Any) -> Any:
    """The value as a sum of products, logarithms of products opened, exponents gathered by sums."""
    value = sympy.expand_log(value, force=True)
    value = value.replace(sympy.exp, lambda arg: sympy.exp(sympy.expand(sympy.expand_log(arg, force=True))))
    return sympy.expand(value, power_exp=False, power_base=True, log=False, force=True)


def separate(value: Any, full: Set[Any], done: Set[Any]) -> dict[Any, Any]:
    """The phis of a body, each with its coefficient; raises `NotSeparableError` with the factor that mixes.

    Inside an exponent, what belongs to neither side stays with the stream: exp(S - L) is never split into
    exp(S) * exp(-L).
    """
    terms: dict[Any, Any] = {}
    for term in sympy.Add.make_args(expanded(value)):
        phi, coefficient = _divided(term, full, done)
        terms[phi] = terms.get(phi, 0) + coefficient
    return {phi: coefficient for phi, coefficient in terms.items() if coefficient != 0}


def _divided(term: Any, full: Set[Any], done: Set[Any]) -> tuple[Any, Any]:
    phi, coefficient, exponent = sympy.Integer(1), sympy.Integer(1), sympy.Integer(0)
    for factor in sympy.Mul.make_args(term):
        if isinstance(factor, sympy.exp):
            stream, row = _exponents(factor, full, done)
            exponent += stream
            coefficient *= sympy.exp(row)
        elif not factor.free_symbols & full:
            coefficient *= factor
        elif factor.free_symbols & done:
            raise NotSeparableError(factor)
        else:
            phi *= factor
    if exponent != 0 and exponent.free_symbols & full:
        return phi * sympy.exp(exponent), coefficient
    return phi, coefficient * sympy.exp(exponent)


def _exponents(factor: Any, full: Set[Any], done: Set[Any]) -> tuple[Any, Any]:
    """The exponent's part that stays with the stream, and the part of completed reductions."""
    stream, row = sympy.Integer(0), sympy.Integer(0)
    for term in sympy.Add.make_args(sympy.expand(factor.args[0])):
        mixes = term.free_symbols & full and term.free_symbols & done
        if mixes:
            raise NotSeparableError(factor)
        if term.free_symbols & done:
            row += term
        else:
            stream += term
    return stream, row


def exponent_of(phi: Any) -> Any:
    """The exponent of a phi, 0 if it has none."""
    found = [factor.args[0] for factor in sympy.Mul.make_args(phi) if isinstance(factor, sympy.exp)]
    return sum(found, sympy.Integer(0))
