"""The loops of a segment: which tiles are visited, and which of them are whole."""

from __future__ import annotations

from dataclasses import dataclass

from attnc.ir import kernel as k
from attnc.ir.cascade import Expr
from attnc.ir.stage import Segment
from attnc.passes.lower.stretches import Ends, Stretch, apart
from attnc.passes.lower.values import Values
from attnc.passes.masks import solve


@dataclass(frozen=True)
class Piece:
    """A loop to be: positions lo .. hi in tiles; `cut` where conditions must be tested."""

    lo: k.Value
    hi: k.Value
    cut: bool


def pieces(values: Values, segment: Segment, when: tuple[Expr, ...], step: int) -> list[Piece]:
    """The loops that conditions on places shared by all lifts of a segment leave, in order.

    Runtime order: lo <= full <= edge <= hi. Tiles of [lo, full) and [edge, hi) are cut, those of [full, edge)
    lie inside every one of these conditions for every row. One without closed form makes every tile a cut one.
    """
    assert segment.index is not None
    branches = solve(when, segment.index, values.frame.kind)
    ends = Ends(values, segment, step)
    stretches = apart(ends, [ends.stretch(branch) for branch in branches])
    found = []
    for stretch in stretches:
        found += _pieces(ends, stretch)
    return [piece for piece in found if piece.lo != piece.hi]


def whole_tile(values: Values, segment: Segment, when: tuple[Expr, ...], step: int) -> k.Value | None:
    """Whether every row sees all of the tile at hand, by conditions in closed form; None where these do not say."""
    assert segment.index is not None
    branches = solve(when, segment.index, values.frame.kind)
    if len(branches) != 1 or branches[0].gaps or step == 1:
        return None
    ends, first = Ends(values, segment, step), k.First(segment.index)
    stretch = ends.stretch(branches[0])
    assert stretch.full is not None
    assert stretch.edge is not None
    before = k.Map("lt", (first, ends.named("edge", stretch.edge)))
    if stretch.full == ends.start:
        return before
    return k.Map("and", (k.Map("le", (ends.named("full", stretch.full), first)), before))


def opening(values: Values, segment: Segment, when: tuple[Expr, ...]) -> k.Value | None:
    """Whether some row sees some column of the program's tile, by conditions in closed form; None where all do."""
    ends = Ends(values, segment, 1)
    tests = [ends.holds(branch.gates, some=True) for branch in solve(when, "", values.frame.kind)]
    known = [test for test in tests if test is not None]
    if len(known) < len(tests):
        return None
    return k.Map("or", tuple(known)) if len(known) > 1 else known[0] if known else k.Const(False, "bool")


def _pieces(ends: Ends, stretch: Stretch) -> list[Piece]:
    lo, hi = ends.named("lo", stretch.lo), ends.named("hi", stretch.hi)
    if stretch.full is None or stretch.edge is None:
        return [Piece(lo, hi, True)]
    full = lo
    if stretch.full != stretch.lo:
        full = ends.named("full", ends.largest([lo, ends.smallest([stretch.full, hi])]))
    edge = ends.named("edge", ends.largest([full, ends.smallest([stretch.edge, hi])]))
    return [Piece(lo, full, True), Piece(full, edge, False), Piece(edge, hi, True)]
