"""The loops of a segment: which tiles are visited, and which of them are whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnc.ir import kernel as k
from attnc.ir.cascade import Expr
from attnc.passes.masks import Bound, solve

if TYPE_CHECKING:
    from attnc.passes.lower.build import Lowering

ZERO = k.Const(0, "int64")


@dataclass(frozen=True)
class Limits:
    """The loops in order: lower end, upper end, whether tiles are cut."""

    loops: tuple[tuple[k.Value, k.Value, bool], ...]


def limits(lowering: Lowering, number: int, step: int) -> Limits:
    """The loops that the conditions shared by all lifts of a segment leave.

    Runtime order: lo <= full <= edge <= hi. Tiles of [lo, full) and [edge, hi) are cut, those of [full, edge)
    lie inside every condition for every row. A condition without closed form makes every tile a cut one.
    """
    segment = lowering.monoid.segments[number]
    assert segment.index is not None
    shared, others = _shared(lowering, number)
    solved = solve(shared, segment.index, lowering.stream.parallel, frozenset(lowering.stream.grid))
    start, end = lowering.values.of(segment.lo), lowering.values.of(segment.hi)
    ends = _Ends(lowering, start, end, step)
    lo = ends.named(f"{segment.index}_lo", ends.down(ends.lowest(solved.bounds, best=True)))
    hi = ends.named(f"{segment.index}_hi", ends.highest(solved.bounds, best=True))
    if others or solved.opaque or step == 1:
        return Limits(((lo, hi, True),))
    bounded_below = any(bound.lower for bound in solved.bounds)
    edge = ends.named(f"{segment.index}_edge", ends.down(ends.highest(solved.bounds, best=False)))
    if not bounded_below:
        edge = ends.named(f"{segment.index}_end", ends.at_least(edge, lo))
        return Limits(((lo, edge, False), (edge, hi, True)))
    full = ends.up(ends.lowest(solved.bounds, best=False))
    full = ends.named(f"{segment.index}_full", ends.at_least(ends.at_most(full, hi), lo))
    edge = ends.named(f"{segment.index}_end", ends.at_least(edge, full))
    return Limits(((lo, full, True), (full, edge, False), (edge, hi, True)))


def _shared(lowering: Lowering, number: int) -> tuple[tuple[Expr, ...], bool]:
    """The conditions that every lift of the segment has, and whether some lift has more."""
    whens = [lift.when for item in lowering.monoid.parts for lift in item.lifts if lift.segment == number]
    if not whens:
        return (), False
    shared = tuple(test for test in whens[0] if all(test in when for when in whens))
    return shared, any(len(when) > len(shared) for when in whens)


@dataclass
class _Ends:
    """Loop ends as kernel values, aligned to tiles counted from the segment's start."""

    lowering: Lowering
    start: k.Value
    end: k.Value
    step: int

    def lowest(self, bounds: tuple[Bound, ...], *, best: bool) -> k.Value:
        """The first position that some row sees (best), or that every row sees."""
        found = [self._at(bound, lowest=best) for bound in bounds if bound.lower]
        return k.Map("max", (self.start, *found)) if found else self.start

    def highest(self, bounds: tuple[Bound, ...], *, best: bool) -> k.Value:
        """One past the last position that some row sees (best), or that every row sees."""
        found = [self._at(bound, lowest=not best) for bound in bounds if not bound.lower]
        return k.Map("min", (self.end, *found)) if found else self.end

    def _at(self, bound: Bound, *, lowest: bool) -> k.Value:
        """A bound at the row of the tile that makes it smallest or largest."""
        parallel = self.lowering.stream.parallel
        if parallel is not None and bound.sign:
            first = (bound.sign > 0) == lowest
            self.lowering.values.rows[parallel] = k.First(parallel) if first else k.Last(parallel)
        value = self.lowering.values.of(bound.value)
        self.lowering.values.rows.clear()
        return value

    def down(self, value: k.Value) -> k.Value:
        """The start of the tile that a position lies in."""
        if self.step == 1 or value == self.start:
            return value
        tiles = k.Map("mul", (k.Map("floordiv", (self._away(value), self._step())), self._step()))
        return tiles if self.start == ZERO else k.Map("add", (self.start, tiles))

    def up(self, value: k.Value) -> k.Value:
        """The start of the first tile at or after a position."""
        return self.down(k.Map("add", (value, k.Const(self.step - 1, "int64"))))

    def _away(self, value: k.Value) -> k.Value:
        return value if self.start == ZERO else k.Map("sub", (value, self.start))

    def _step(self) -> k.Value:
        return k.Const(self.step, "int64")

    def at_least(self, value: k.Value, low: k.Value) -> k.Value:
        """The larger of two ends."""
        return k.Map("max", (value, low))

    def at_most(self, value: k.Value, high: k.Value) -> k.Value:
        """The smaller of two ends."""
        return k.Map("min", (value, high))

    def named(self, name: str, value: k.Value) -> k.Value:
        """The end bound to a name in the setup."""
        if isinstance(value, k.Const | k.Size):
            return value
        return self.lowering.scope.let(name, value)
