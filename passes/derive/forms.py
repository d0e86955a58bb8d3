"""Sums in pieces: terms by coefficient, and the forms in which a phi is written with a reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

import sympy

from attnc.passes.derive.exponents import exponent_of, normal, without_exponent

# A phi per segment, 0 where the segment adds nothing.
Phis = tuple[Any, ...]


class Rows:
    """Terms of a sum by coefficient: for each its phis, segment by segment.

    Phis of one segment are added up only where their exponents agree, so that each row has one exponent a segment.
    """

    def __init__(self, segments: int) -> None:
        """Nothing yet, for this number of segments."""
        self._found: dict[Any, list[dict[Any, Any]]] = {}
        self._segments = segments

    def add(self, place: int, terms: Mapping[Any, Any]) -> None:
        """The terms of one segment: phis with their coefficients."""
        for phi, coefficient in terms.items():
            exponent = normal(exponent_of(phi))
            found = self._found.setdefault(normal(coefficient), [{} for _ in range(self._segments)])[place]
            found[exponent] = found.get(exponent, sympy.Integer(0)) + phi

    def __iter__(self) -> Iterator[tuple[Any, Phis]]:
        """Coefficients with phis, 0 where a segment adds nothing."""
        for coefficient, places in self._found.items():
            plain = [found.pop(sympy.Integer(0), sympy.Integer(0)) for found in places]
            if any(phi != 0 for phi in plain):
                yield coefficient, tuple(plain)
            for phis in zip_longest(*(found.values() for found in places), fillvalue=sympy.Integer(0)):
                yield coefficient, tuple(gathered(phi) for phi in phis)


def gathered(phi: Any) -> Any:
    """A sum of terms that share one exponential, as a sum times that exponential."""
    terms = sympy.Add.make_args(phi)
    return phi if len(terms) == 1 else sympy.Add(*map(without_exponent, terms)) * sympy.exp(exponent_of(terms[0]))


def rewritten(phi: Any, score: Any, value: Any) -> Any:
    """A phi with its score replaced by `value`: in exponents as multiples, in polynomials as it stands or by one
    symbol of it. Any other function of the score stays as it is.
    """
    argument = exponent_of(phi)
    if argument != 0:
        return rewritten(without_exponent(phi), score, value) * sympy.exp(ratio(argument, score) * value)
    return sympy.Mul(*(_moved(factor, score, value) for factor in sympy.Mul.make_args(phi)))


def _moved(factor: Any, score: Any, value: Any) -> Any:
    direct = factor.xreplace({score: value})
    if direct != factor:
        return direct if direct.is_polynomial(*value.free_symbols) else factor
    for symbol in sorted(score.free_symbols & factor.free_symbols, key=str):
        slope = sympy.diff(score, symbol)
        if slope.is_number and slope != 0 and factor.is_polynomial(symbol):
            return factor.subs(symbol, symbol + (value - score) / slope)
    return factor


def ratio(argument: Any, score: Any) -> Any:
    """The argument over the score, a number where one is a multiple of the other."""
    return sympy.Integer(1) if argument == score else sympy.simplify(normal(argument) / normal(score))


def apart(body: Any, done: set[Any]) -> tuple[Any, Any]:
    """A body as what knows no completed reduction plus what is only that."""
    if not body.free_symbols & done:
        return body, sympy.Integer(0)
    own, offset = sympy.Integer(0), sympy.Integer(0)
    opened = sympy.expand_log(body, force=True)
    for term in sympy.Add.make_args(opened if isinstance(opened, sympy.Add) else sympy.expand(opened)):
        if term.free_symbols & done:
            offset += term
        else:
            own += term
    return own, offset


def power_of(phi: Any, score: Any) -> bool:
    """Whether a phi is a power of a score and nothing else."""
    return score is not None and (phi == score or (isinstance(phi, sympy.Pow) and phi.args[0] == score))


def base_of(phi: Any) -> Any:
    """What a phi is a power of, the second or a higher one; else None."""
    return phi.args[0] if isinstance(phi, sympy.Pow) and phi.args[1].is_Integer and phi.args[1] > 1 else None
