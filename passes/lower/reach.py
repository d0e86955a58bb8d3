"""What each row of a tile takes of the stream, in closed form: what lies outside need not be computed."""

from __future__ import annotations

from attnc.ir import kernel as k
from attnc.ir.cascade import Expr
from attnc.ir.stage import Segment
from attnc.passes.lower.frame import whole
from attnc.passes.lower.stretches import Ends
from attnc.passes.lower.values import Values
from attnc.passes.masks import solve
from attnc.passes.sums import linear_terms


def reach(values: Values, segment: Segment, when: tuple[Expr, ...]) -> k.Reach | None:
    """The ends of what a row sees, by conditions that every lift has; None where they are the same for all rows.

    Before   m - n < W and n <= m;  n <= m or n < len
    After    m - W + 1 .. m + 1;  the start .. max(m + 1, len)
    Holds    because a position outside every alternative is seen by none of them.
    """
    branches, ends = solve(when, segment.index or "", values.frame.kind), Ends(values, segment, 1)
    low = _end(ends, [branch.lows for branch in branches], highest=False)
    high = _end(ends, [branch.highs for branch in branches], highest=True)
    if segment.index is None or not any(values.scope.axes(end) for end in (low, high)):
        return None
    return k.Reach(segment.index, ends.named("low", low), ends.named("high", high))


def _end(ends: Ends, alternatives: list[tuple[Expr, ...]], *, highest: bool) -> k.Value:
    """The nearest bound of an alternative, the farthest of alternatives; the end of the axis where one has none."""
    if not all(alternatives):
        return ends.end if highest else ends.start
    near, far = (ends.smallest, ends.largest) if highest else (ends.largest, ends.smallest)
    return far([near([_summed(ends.values, bound) for bound in bounds]) for bounds in alternatives])


def _summed(values: Values, bound: Expr) -> k.Value:
    """A bound in 64 bits: what is added to a position may be as large as 32 bits allow."""
    total: k.Value = whole(0)
    for term, factor in linear_terms(bound).items():
        scaled = values.make("mul", values.cast(values.of(term), "int64"), whole(factor))
        total = values.make("add", total, scaled)
    return total
