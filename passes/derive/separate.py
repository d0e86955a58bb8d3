"""A sum's body as sum of coefficient * phi: coefficients know completed reductions, phis the stream."""

from __future__ import annotations

from collections.abc import Iterator, Set
from itertools import product
from typing import Any

import sympy

from attnc.passes.derive.exponents import combined, exponent_of, normal, without_exponent
from attnc.passes.derive.fractions import balanced

LARGEST = 20  # a number in an exponent that may as well be a factor
MOST_POWER = 8  # higher powers of a mixed sum are not multiplied out
Term = tuple[Any, Any]  # phi, coefficient


class NotSeparableError(Exception):
    """A factor mixes the stream with a completed reduction; `factor` is the culprit."""

    def __init__(self, factor: Any) -> None:
        """Keeps the factor for the message."""
        super().__init__(str(factor))
        self.factor = factor


def separate(value: Any, full: Set[Any], done: Set[Any]) -> dict[Any, Any]:
    """The phis of a body, each with its coefficient; raises `NotSeparableError` with the factor that mixes.

    Before   exp(S - R) * (V + W) / D, with R and D completed
    After    {exp(S) * (V + W): exp(-R) / D}
    Holds    by distributing only where a completed reduction stands beside the stream: what belongs to the stream
             alone stays as it is written. Inside an exponent, what belongs to neither side stays with the stream:
             exp(S - L) is never split into exp(S) * exp(-L).
    """
    try:
        terms = list(_split(value, full, done))
    except NotSeparableError:
        terms = list(_split(normal(value), full, done))
    kept: dict[Any, Term] = {}
    for term, coefficient in terms:
        phi, factor = _without_number(balanced(term))
        key = normal(phi)
        first, sofar = kept.get(key, (phi, sympy.Integer(0)))
        kept[key] = first, sofar + factor * coefficient
    return {phi: coefficient for phi, coefficient in kept.values() if coefficient != 0}


def _without_number(phi: Any) -> Term:
    """A phi without the number in its exponent, if it is no large one, and the factor that it is."""
    number, rest = exponent_of(phi).as_coeff_Add()
    if number == 0 or not abs(number) <= LARGEST:
        return phi, sympy.Integer(1)
    return without_exponent(phi) * sympy.exp(rest), sympy.exp(number)


def _split(value: Any, full: Set[Any], done: Set[Any]) -> Iterator[Term]:
    """The terms of a value, stream beside coefficient."""
    if not value.free_symbols & done:
        yield from _pulled(value, full)
    elif not value.free_symbols & full:
        yield sympy.Integer(1), value
    elif isinstance(value, sympy.Add):
        alone, mixed = _sorted_out(value, done)
        if alone != 0:
            yield from _pulled(alone, full)
        for term in mixed:
            yield from _split(term, full, done)
    elif isinstance(value, sympy.Mul):
        alone, mixed = _sorted_out(value, done)
        yield from _products([list(_pulled(alone, full)), *(list(_split(factor, full, done)) for factor in mixed)])
    else:
        yield from _opened(value, full, done)


def _opened(value: Any, full: Set[Any], done: Set[Any]) -> Iterator[Term]:
    """The terms of a function of both sides: an exponential of a sum, a power of a sum, a logarithm of a product."""
    if isinstance(value, sympy.exp):
        stream, row = _exponents(value, full, done)
        if stream.free_symbols & full:
            yield sympy.exp(stream), sympy.exp(row)
        else:
            yield sympy.Integer(1), sympy.exp(stream) * sympy.exp(row)
        return
    if isinstance(value, sympy.Pow) and value.args[1] in range(2, MOST_POWER + 1):
        yield from _products([list(_split(value.args[0], full, done))] * int(value.args[1]))
        return
    wider = sympy.expand_power_base(sympy.expand_log(value, force=True), force=True)
    if wider == value:
        raise NotSeparableError(value)
    yield from _split(wider, full, done)


def _products(lists: list[list[Term]]) -> Iterator[Term]:
    for chosen in product(*lists):
        yield tuple(combined(sympy.Mul(*side)) for side in zip(*chosen, strict=True))


def _sorted_out(value: Any, done: Set[Any]) -> tuple[Any, list[Any]]:
    """The part of a sum or product that knows no completed reduction, and the terms that do."""
    alone = [arg for arg in value.args if not arg.free_symbols & done]
    return value.func(*alone), [arg for arg in value.args if arg.free_symbols & done]


def _pulled(value: Any, full: Set[Any]) -> Iterator[Term]:
    """Factors that do not vary along the stream stand before the rest; sums with exponentials are distributed."""
    factors = sympy.Mul.make_args(value)
    rest = [factor for factor in factors if factor.free_symbols & full]
    coefficient = sympy.Mul(*(factor for factor in factors if not factor.free_symbols & full))
    if not any(isinstance(factor, sympy.Add) and factor.has(sympy.exp) for factor in rest):
        yield sympy.Mul(*rest), coefficient
        return
    for term in sympy.Add.make_args(sympy.expand_mul(sympy.Mul(*rest))):
        inner = sympy.Mul.make_args(term)
        outside = sympy.Mul(*(factor for factor in inner if not factor.free_symbols & full))
        yield sympy.Mul(*(factor for factor in inner if factor.free_symbols & full)), coefficient * outside


def _exponents(factor: Any, full: Set[Any], done: Set[Any]) -> tuple[Any, Any]:
    """The exponent's part that stays with the stream, and the part of completed reductions."""
    argument = factor.args[0]
    stream, mixed = _sorted_out(argument, done) if isinstance(argument, sympy.Add) else (sympy.Integer(0), [argument])
    row = sympy.Integer(0)
    for term in sympy.Add.make_args(sympy.expand(sympy.Add(*mixed))):
        if not term.free_symbols & done:
            stream += term
        elif term.free_symbols & full:
            raise NotSeparableError(factor)
        else:
            row += term
    return stream, row
