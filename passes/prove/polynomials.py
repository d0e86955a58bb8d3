"""Polynomials with whole coefficients over numbered atoms."""

from __future__ import annotations

from typing import TypeAlias

Monomial: TypeAlias = tuple[int, ...]  # the atoms of a product in ascending order; () is 1
Polynomial: TypeAlias = dict[Monomial, int]
Frozen: TypeAlias = tuple[tuple[Monomial, int], ...]

UNIT: Monomial = ()


def constant(value: int) -> Polynomial:
    """A number."""
    return {UNIT: value} if value else {}


def plus(a: Polynomial, b: Polynomial, factor: int = 1) -> Polynomial:
    """a + factor * b."""
    total = dict(a)
    for monomial, number in b.items():
        rest = total.get(monomial, 0) + factor * number
        if rest:
            total[monomial] = rest
        else:
            total.pop(monomial, None)
    return total


def minus(a: Polynomial, b: Polynomial) -> Polynomial:
    """a - b."""
    return plus(a, b, -1)


def scaled(a: Polynomial, factor: int) -> Polynomial:
    """factor * a."""
    return plus({}, a, factor)


def times(a: Polynomial, b: Polynomial) -> Polynomial:
    """a * b."""
    total: Polynomial = {}
    for one, first in a.items():
        for two, second in b.items():
            total = plus(total, {tuple(sorted(one + two)): first * second})
    return total


def number(a: Polynomial) -> int | None:
    """The value of a polynomial without atoms."""
    return a.get(UNIT, 0) if not a.keys() - {UNIT} else None


def frozen(a: Polynomial) -> Frozen:
    """The polynomial as a key."""
    return tuple(sorted(a.items()))


def atoms_of(a: Polynomial) -> set[int]:
    """The atoms that occur."""
    return {atom for monomial in a for atom in monomial}


def without(whole: Monomial, part: Monomial) -> Monomial | None:
    """whole / part; None where part does not divide it."""
    rest = list(whole)
    for atom in part:
        if atom not in rest:
            return None
        rest.remove(atom)
    return tuple(rest)
