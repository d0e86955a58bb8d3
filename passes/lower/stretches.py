"""The stretches of the stream that conditions leave, as positions: what is visited, and what of it is whole."""

from __future__ import annotations

from dataclasses import dataclass

from attnc.ir import kernel as k
from attnc.ir.cascade import Expr
from attnc.ir.indices import free_indices
from attnc.ir.stage import Segment
from attnc.passes.lower.frame import whole
from attnc.passes.lower.values import Values
from attnc.passes.masks import Branch, trend


@dataclass(frozen=True)
class Stretch:
    """What one alternative of the conditions leaves: visited from lo to hi, of which full .. edge is whole.

    lo, full and edge lie on tile boundaries. `starts` and `ends` say whether it reaches the ends of the axis.
    """

    lo: k.Value
    hi: k.Value
    full: k.Value | None
    edge: k.Value | None
    starts: bool
    ends: bool


@dataclass
class Ends:
    """Loop ends of one segment as kernel values, in tiles counted from the start of its axis."""

    values: Values
    segment: Segment
    step: int

    def __post_init__(self) -> None:
        """The ends of the segment: those of its axis, or of the part of it that is the program's."""
        self.name = self.segment.index or ""
        self.start = self._end("start", self.segment.lo)
        self.end = self._end("stop", self.segment.hi)

    def _end(self, word: str, expr: Expr) -> k.Value:
        size = self.values.frame.size(expr)
        return self.named(word, self.values.cast(self.values.of(expr), "int32")) if size is None else size

    # ---- positions -------------------------------------------------------------------------

    def down(self, value: k.Value) -> k.Value:
        """The start of the tile that a position lies in."""
        make = self.values.make
        if self.step == 1 or value == self.start:
            return value
        away = make("sub", value, self.start) if self.start != whole(0) else value
        tiles = make("mul", make("floordiv", away, whole(self.step)), whole(self.step))
        return make("add", tiles, self.start)

    def up(self, value: k.Value) -> k.Value:
        """The start of the first tile at or after a position."""
        return self.down(self.values.make("add", value, whole(self.step - 1)))

    def named(self, word: str, value: k.Value) -> k.Value:
        """The position bound to a name in the setup."""
        return self.values.scope.let(f"{self.name}_{word}" if self.name else word, value)

    def largest(self, items: list[k.Value]) -> k.Value:
        """The largest of positions."""
        return self._joined("max", items)

    def smallest(self, items: list[k.Value]) -> k.Value:
        """The smallest of positions."""
        return self._joined("min", items)

    def _joined(self, op: str, items: list[k.Value]) -> k.Value:
        found = list(dict.fromkeys(items))
        return found[0] if len(found) == 1 else self.values.make(op, *found)

    # ---- extremes over rows ----------------------------------------------------------------

    def extreme(self, expr: Expr, *, highest: bool) -> k.Value:
        """The largest (or smallest) value of an integer expression over the rows, and columns, of the program."""
        values = self.values
        tiled = [index for index in values.frame.stream.tiled if index in free_indices(expr)]
        signs = {index: trend(expr, index) for index in tiled}
        if None in signs.values():
            return self._over_tile(values.of(expr), highest=highest)
        rising = (index for index, sign in signs.items() if sign is not None and (sign > 0) == highest)
        values.rows |= {index: k.First(index) for index in tiled} | {index: k.Last(index) for index in rising}
        value = values.of(expr)
        values.rows.clear()
        return value

    def _over_tile(self, value: k.Value, *, highest: bool) -> k.Value:
        """A bound that data give, over the rows and columns that exist."""
        scope, op = self.values.scope, "max" if highest else "min"
        value = self.values.cast(value, "int64")
        far = k.Const(-(1 << 62) if highest else 1 << 62, "int64")
        for index in scope.axes(value):
            inside = k.Map("select", (k.Inside(index), scope.let("bound", value), far))
            value = scope.let("bound", k.Reduce(op, inside, index))
        return value

    def holds(self, gates: tuple[Expr, ...], *, some: bool) -> k.Value | None:
        """Whether some row (or every row) satisfies conditions that do not mention the stream."""
        tests = [k.Map("ge", (self.extreme(gate, highest=some), whole(0))) for gate in gates]
        if not tests:
            return None
        return self.named("open", tests[0] if len(tests) == 1 else k.Map("and", tuple(tests)))

    # ---- stretches -------------------------------------------------------------------------

    def stretch(self, branch: Branch) -> Stretch:
        """One alternative as positions."""
        lows = [self.extreme(low, highest=False) for low in branch.lows]
        highs = [self.extreme(high, highest=True) for high in branch.highs]
        lo = self.down(self.largest([self.start, *lows])) if lows else self.start
        hi = self.smallest([self.end, *highs])
        test = self.holds(branch.gates, some=True)
        if test is not None and lows and not highs:
            lo = k.Map("select", (test, lo, hi))  # empty at the end of the axis, where it takes nothing from another
        elif test is not None:
            hi = k.Map("select", (test, hi, lo))
        if branch.gaps or self.step == 1:
            return Stretch(lo, hi, None, None, not lows, not highs)
        return Stretch(lo, hi, *self._whole_part(branch, lo), not lows, not highs)

    def _whole_part(self, branch: Branch, lo: k.Value) -> tuple[k.Value, k.Value]:
        lows = [self.extreme(low, highest=True) for low in branch.lows]
        highs = [self.extreme(high, highest=False) for high in branch.highs]
        full = self.up(self.largest([self.start, *lows])) if lows else lo
        edge = self.down(self.smallest([self.end, *highs]))
        every = self.holds(branch.gates, some=False)
        if every is not None:
            edge = k.Map("select", (every, edge, self.start))
        return full, edge


# ---- several alternatives -------------------------------------------------------------------


def apart(ends: Ends, stretches: list[Stretch]) -> list[Stretch]:
    """The stretches made disjoint: those from the start first, those to the end last, the others between as one.

    A stretch that gives way to the next one ends on a tile boundary, so that no tile is visited twice.
    """
    if len(stretches) < 2:
        return stretches
    if any(item.starts and item.ends for item in stretches):
        return [_hull(ends, stretches)]
    first = [item for item in stretches if item.starts]
    last = [item for item in stretches if item.ends and not item.starts]
    middle = [item for item in stretches if item not in first and item not in last]
    groups = [_hull(ends, group) for group in (first, middle, last) if group]
    found: list[Stretch] = []
    for place, item in enumerate(groups):
        lo = item.lo
        if found and not item.ends:
            lo = ends.named("lo", ends.largest([lo, found[-1].hi]))
        hi = item.hi
        if place + 1 < len(groups):
            hi = ends.smallest([ends.up(hi), ends.end])
            if groups[-1].ends:  # which takes all from where it begins
                hi = ends.smallest([hi, groups[-1].lo])
        found.append(_clipped(ends, item, lo, ends.named("hi", hi)))
    return found


def _clipped(ends: Ends, item: Stretch, lo: k.Value, hi: k.Value) -> Stretch:
    full, edge = item.full, item.edge
    if full is not None and lo != item.lo:
        full = ends.largest([full, lo])
    return Stretch(lo, hi, full, edge, item.starts, item.ends)


def _hull(ends: Ends, group: list[Stretch]) -> Stretch:
    """The smallest stretch around several; what is whole in one is whole, where they begin or end alike."""
    if len(group) == 1:
        return group[0]
    lo = ends.smallest([item.lo for item in group])
    hi = ends.largest([item.hi for item in group])
    starts, last = all(item.starts for item in group), all(item.ends for item in group)
    full: k.Value | None = None
    edge: k.Value | None = None
    known = [item for item in group if item.full is not None and item.edge is not None]
    if known and (starts or last):
        full, edge = known[0].full, known[0].edge
    return Stretch(lo, hi, full, edge, starts, last)
