"""Inequalities under refutation, with all that is known about the atoms in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from attnc.ir.cascade import Const, Coord, Expr, Map, Range, Size
from attnc.passes.prove.atoms import Atoms, Chosen, Largest, Named, Quotient
from attnc.passes.prove.elimination import Effort, impossible
from attnc.passes.prove.literals import UNKNOWN, Alternatives, Rows, alternatives, both
from attnc.passes.prove.polynomials import Polynomial, atoms_of, constant, frozen, minus, number, scaled, times
from attnc.passes.prove.products import products

Ranges = Callable[[str], Range]


@dataclass(frozen=True)
class System:
    """What is known at a point. `busy` are the quotients whose insides are being decided, `inner` what was found."""

    atoms: Atoms
    ranges: Ranges
    facts: tuple[Alternatives, ...]
    inner: dict[object, bool] = field(default_factory=dict)
    effort: Effort = field(default_factory=Effort)
    busy: frozenset[int] = frozenset()

    def refutes(self, claim: Rows) -> bool:
        """Whether no point satisfies the claim."""
        if impossible([*claim, *self._plain(claim)], Effort()):
            return True
        facts, mentioned = self._near(claim)
        if not self.effort.spend(len(mentioned)):
            return False
        positions = tuple(atom for atom in mentioned if self._is_position(atom))
        known = [*facts, *(item for atom in mentioned for item in self._about(atom, positions))]
        certain = [row for item in known if len(item) == 1 for row in item[0]]
        cases = both([item for item in known if len(item) != 1])
        return all(impossible(products(_relevant(claim, [*certain, *case])), self.effort) for case in cases)

    def _plain(self, claim: Rows) -> Iterator[Polynomial]:
        """What is known about the atoms of a claim without looking into quotients."""
        for atom in sorted({atom for row in claim for atom in atoms_of(row)}):
            if not isinstance(self.atoms[atom], Quotient):
                yield from (row for item in self._about(atom, ()) if len(item) == 1 for row in item[0])

    def _near(self, claim: Rows) -> tuple[list[Alternatives], list[int]]:
        """The facts that have to do with a claim, and all atoms in them."""
        found = self._within([(claim,)])
        near: list[Alternatives] = []
        others = [(item, self._within([item])) for item in self.facts]
        while linked := [pair for pair in others if not found.isdisjoint(pair[1])]:
            near += [item for item, _ in linked]
            others = [pair for pair in others if found.isdisjoint(pair[1])]
            found = found.union(*(atoms for _, atoms in linked))
        return near, sorted(found)

    def _within(self, sets: Iterable[Alternatives]) -> set[int]:
        """The atoms of these statements, and those that occur in atoms."""
        queue = [atom for item in sets for rows in item for row in rows for atom in atoms_of(row)]
        found: set[int] = set()
        while queue:
            atom = queue.pop()
            if atom not in found:
                found.add(atom)
                queue += [inner for row in self._inside(atom) for inner in atoms_of(row)]
        return found

    def _inside(self, atom: int) -> Iterator[Polynomial]:
        """The polynomials that an atom is made of, or bounded by."""
        match self.atoms[atom]:
            case Quotient(x, d):
                yield from (dict(x), dict(d))
            case Largest(args):
                yield from map(dict, args)
            case Chosen(test, then, other):
                yield from (dict(then), dict(other))
                for holds in (True, False):
                    yield from (row for rows in alternatives(self.atoms, test, holds, observed=True) for row in rows)
            case Named(Coord(index)):
                yield from map(self.atoms.of, (self.ranges(index).lo, self.ranges(index).hi))

    def _is_position(self, atom: int) -> bool:
        named = self.atoms[atom]
        return isinstance(named, Named) and isinstance(named.expr, Coord)

    def _about(self, atom: int, positions: tuple[int, ...]) -> Iterator[Alternatives]:
        """What is known about one atom."""
        own: Polynomial = {(atom,): 1}
        match self.atoms[atom]:
            case Quotient(x, d):
                yield self._quotient(atom, dict(x), dict(d), positions)
            case Largest(args):
                yield (tuple(minus(own, dict(arg)) for arg in args),)
                yield tuple((minus(dict(arg), own),) for arg in args)
            case Chosen(test, then, other):
                taken = alternatives(self.atoms, test, observed=True), _equal(own, dict(then))
                left = alternatives(self.atoms, test, False, observed=True), _equal(own, dict(other))
                yield (*both(taken), *both(left))
            case Named(expr):
                yield (tuple(self._named(expr, own)),)

    def _named(self, expr: Expr, own: Polynomial) -> Iterator[Polynomial]:
        match expr:
            case Coord(index):
                lo, hi = self.atoms.of(self.ranges(index).lo), self.atoms.of(self.ranges(index).hi)
                yield from (minus(own, lo), minus(minus(hi, constant(1)), own))
            case Size():
                yield own
            case Map("pow", (Const(int() as base), _)) if base > 0:
                yield own
            case _ if self.atoms.kind(expr) == "bool":  # in arithmetic 0 or 1
                yield from (own, minus(constant(1), own))

    def _quotient(self, atom: int, x: Polynomial, d: Polynomial, positions: tuple[int, ...]) -> Alternatives:
        """d * q <= x <= d * q + d - 1 for a positive divisor; q >= 0 for x >= 0."""
        if not self._positive(atom, d, positions):
            return UNKNOWN
        own: Polynomial = {(atom,): 1}
        left = minus(x, times(d, own))
        rows: Rows = (left, minus(minus(d, constant(1)), left))
        if number(d) is None and self._refutes(atom, minus(constant(-1), x), positions):
            rows = (*rows, own)
        return (rows,)

    def _positive(self, atom: int, d: Polynomial, positions: tuple[int, ...]) -> bool:
        value = number(d)
        return self._refutes(atom, scaled(d, -1), positions) if value is None else value > 0

    def _refutes(self, atom: int, claim: Polynomial, positions: tuple[int, ...]) -> bool:
        """Whether a claim about the inside of a quotient fails at every point with these positions."""
        if atom in self.busy:
            return False
        key = (frozen(claim), positions, self.busy)
        if key not in self.inner:
            here = tuple(item for position in positions for item in self._about(position, ()))
            system = replace(self, facts=(*self.facts, *here), busy=self.busy | {atom})
            self.inner[key] = system.refutes((claim,))
        return self.inner[key]


def _equal(a: Polynomial, b: Polynomial) -> Alternatives:
    return ((minus(a, b), minus(b, a)),)


def _relevant(claim: Rows, rows: list[Polynomial]) -> list[Polynomial]:
    """The claim, and the rows that share atoms with it, directly or through others."""
    reached = {atom for row in claim for atom in atoms_of(row)}
    found, others = list(claim), rows
    while True:
        near = [row for row in others if not reached.isdisjoint(atoms_of(row))]
        if not near:
            return found
        found += near
        others = [row for row in others if reached.isdisjoint(atoms_of(row))]
        reached |= {atom for row in near for atom in atoms_of(row)}
