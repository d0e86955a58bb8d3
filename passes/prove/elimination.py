"""Whether linear inequalities over the integers have no solution: Fourier-Motzkin elimination.

A row is a polynomial that is at least 0; its monomials count as independent unknowns. Rational elimination
with rows tightened to whole numbers is sound for integers: a contradiction found is one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import gcd

from attnc.passes.prove.polynomials import UNIT, Frozen, Monomial, Polynomial, frozen, plus, scaled


@dataclass
class Effort:
    """How much work a proof may still take, counted in rows: the same everywhere, unlike a time limit."""

    left: int = 3000

    def spend(self, rows: int) -> bool:
        """Whether there is that much left."""
        self.left -= rows
        return self.left >= 0


def impossible(rows: Iterable[Polynomial], effort: Effort) -> bool:
    """Whether the rows contradict each other; no, where finding out takes more than the effort."""
    system = _Rows()
    for row in solved(list(rows)):
        if not effort.spend(1):
            return False
        if not system.add(row):
            return True
    while (unknown := system.cheapest()) is not None:
        up, down = system.take(unknown)
        if not effort.spend(len(up) * len(down)):
            return False
        for a in up:
            for b in down:
                if not system.add(_combined(a, b, unknown)):
                    return True
    return False


def solved(rows: list[Polynomial]) -> list[Polynomial]:
    """The rows with every unknown that an equation gives put in its place; tightening then loses nothing to it."""
    given: set[Frozen] = {frozen(row) for row in rows}
    done: set[Monomial] = set()
    while True:
        equation = next(filter(None, (_equation(row, given, done) for row in rows)), None)
        if equation is None:
            return rows
        unknown, row = equation
        done.add(unknown)
        rows = [plus(other, row, -other.get(unknown, 0) * row[unknown]) for other in rows]
        given = {frozen(row) for row in rows}


def _equation(row: Polynomial, given: set[Frozen], done: set[Monomial]) -> tuple[Monomial, Polynomial] | None:
    """A row that is 0, for its negation is a row too, with an unknown that it gives."""
    if not row or frozen(scaled(row, -1)) not in given:
        return None
    units = [term for term, value in row.items() if term and abs(value) == 1 and term not in done]
    return (min(units, key=lambda term: (len(term), term)), row) if units else None


def _combined(a: Polynomial, b: Polynomial, unknown: Monomial) -> Polynomial:
    """The consequence of both in which the unknown no longer occurs."""
    return plus(scaled(a, -b[unknown]), b, a[unknown])


def tightened(row: Polynomial) -> Polynomial:
    """The strongest row with the same whole solutions: 2n - 1 >= 0 is n - 1 >= 0."""
    divisor = gcd(*(value for monomial, value in row.items() if monomial))
    if divisor < 2:
        return row
    return {monomial: value // divisor for monomial, value in row.items() if monomial or value // divisor}


class _Rows:
    """Rows by their unknowns, of several that differ in the constant alone the strongest."""

    def __init__(self) -> None:
        self.rows: dict[frozenset[tuple[Monomial, int]], Polynomial] = {}

    def add(self, row: Polynomial) -> bool:
        """Enter a row; False where it can never hold."""
        row = tightened(row)
        key = frozenset((monomial, value) for monomial, value in row.items() if monomial)
        if not key:
            return row.get(UNIT, 0) >= 0
        old = self.rows.get(key)
        if old is None or row.get(UNIT, 0) < old.get(UNIT, 0):
            self.rows[key] = row
        return True

    def cheapest(self) -> Monomial | None:
        """The unknown whose elimination leaves the fewest rows."""
        signs: dict[Monomial, list[int]] = {}
        for row in self.rows.values():
            for monomial, value in row.items():
                if monomial:
                    signs.setdefault(monomial, [0, 0])[value < 0] += 1
        cost = {unknown: up * down - up - down for unknown, (up, down) in signs.items()}
        return min(cost, key=lambda unknown: (cost[unknown], unknown), default=None)

    def take(self, unknown: Monomial) -> tuple[list[Polynomial], list[Polynomial]]:
        """Remove the rows with this unknown: those that bound it from below, and from above."""
        with_it = {key: row for key, row in self.rows.items() if unknown in row}
        for key in with_it:
            del self.rows[key]
        found = list(with_it.values())
        return [row for row in found if row[unknown] > 0], [row for row in found if row[unknown] < 0]
