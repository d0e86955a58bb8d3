"""Products of inequalities: what makes linear elimination decide sums over products of sizes and positions.

Before   r * q <= h <= H - 1, H = G * r, q >= G
After    and r * q >= r * G, for r is not negative
Holds    because a row that is at least 0 stays so times what is not negative.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from attnc.passes.prove.polynomials import UNIT, Monomial, Polynomial, times, without

MOST = 60


def products(rows: list[Polynomial]) -> list[Polynomial]:
    """The rows, the signs of atoms, and what products with those give for the products among the terms."""
    signs = _signs(rows)
    known: list[Polynomial] = [{(atom,): sign} for atom, sign in sorted(signs.items())]
    nonlinear = {monomial for row in rows for monomial in row if len(monomial) > 1}
    return [*rows, *known, *_products(rows, nonlinear, signs)] if nonlinear else rows + known


def _products(rows: list[Polynomial], nonlinear: set[Monomial], signs: dict[int, int]) -> list[Polynomial]:
    made: list[Polynomial] = [{term: sign} for term in sorted(nonlinear) if (sign := _sign(term, signs))]
    for row in rows:
        for factor in _factors(row, nonlinear):
            if sign := _sign(factor, signs):
                made.append(times(row, {factor: sign}))
    known = sorted(made, key=lambda row: sum(len(monomial) > 1 and monomial not in nonlinear for monomial in row))
    return known[:MOST]


def _factors(row: Polynomial, nonlinear: set[Monomial]) -> list[Monomial]:
    """What a row is multiplied by so that one of its terms becomes one of these products."""
    found = {without(product, term) for term in row if term for product in nonlinear}
    return sorted(factor for factor in found if factor)


def _sign(term: Monomial, signs: dict[int, int]) -> int:
    """1 for a product that is at least 0, -1 for one that is at most 0, 0 where that is not known."""
    return prod(signs.get(atom, 0) for atom in term)


def _signs(rows: list[Polynomial]) -> dict[int, int]:
    """The atoms that single rows show to be at least 0 (1), or at most 0 (-1)."""
    signs: dict[int, int] = {}
    while True:
        new = {atom: sign for row in rows for atom, sign in _bounded(row, signs) if atom not in signs}
        if not new:
            return signs
        signs |= new


def _bounded(row: Polynomial, signs: dict[int, int]) -> Iterator[tuple[int, int]]:
    """a, where the row is c * a + k + (what is at most 0) with k < |c|."""
    for term, factor in row.items():
        rest = [(other, value) for other, value in row.items() if other and other != term]
        near = len(term) == 1 and row.get(UNIT, 0) < abs(factor)
        if near and all(value * _sign(other, signs) < 0 for other, value in rest):
            yield term[0], 1 if factor > 0 else -1
