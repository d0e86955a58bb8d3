"""Products of inequalities: what makes linear elimination decide sums over products of sizes and positions.

Before   r * q <= h <= H - 1, H = G * r, q >= G
After    and r * q >= r * G, for r is not negative
Holds    because a row that is at least 0 stays so times what is not negative.
"""

from __future__ import annotations

from attnc.passes.prove.polynomials import UNIT, Monomial, Polynomial, times, without

MOST = 60


def products(rows: list[Polynomial]) -> list[Polynomial]:
    """The rows, which atoms are not negative, and what products with those give for the products among the terms."""
    positive = _not_negative(rows)
    signs: list[Polynomial] = [{(atom,): 1} for atom in sorted(positive)]
    nonlinear = {monomial for row in rows for monomial in row if len(monomial) > 1}
    return [*rows, *signs, *_products(rows, nonlinear, positive)] if nonlinear else rows + signs


def _products(rows: list[Polynomial], nonlinear: set[Monomial], positive: set[int]) -> list[Polynomial]:
    made: list[Polynomial] = [{monomial: 1} for monomial in sorted(nonlinear) if positive.issuperset(monomial)]
    for row in rows:
        for factor in _factors(row, nonlinear):
            if positive.issuperset(factor):
                made.append(times(row, {factor: 1}))
    known = sorted(made, key=lambda row: sum(len(monomial) > 1 and monomial not in nonlinear for monomial in row))
    return known[:MOST]


def _factors(row: Polynomial, nonlinear: set[Monomial]) -> list[Monomial]:
    """What a row is multiplied by so that one of its terms becomes one of these products."""
    found = {without(product, term) for term in row if term for product in nonlinear}
    return sorted(factor for factor in found if factor)


def _not_negative(rows: list[Polynomial]) -> set[int]:
    """The atoms that single rows show to be at least 0."""
    positive: set[int] = set()
    while True:
        new = {atom for row in rows if (atom := _bounded(row, positive)) is not None} - positive
        if not new:
            return positive
        positive |= new


def _bounded(row: Polynomial, positive: set[int]) -> int | None:
    """a, where the row is c * a + k - (what is not negative) with k < c."""
    ahead = [term for term, value in row.items() if term and value > 0]
    if len(ahead) != 1 or len(ahead[0]) != 1 or row.get(UNIT, 0) >= row[ahead[0]]:
        return None
    rest = (term for term in row if term and term != ahead[0])
    return ahead[0][0] if all(positive.issuperset(term) for term in rest) else None
