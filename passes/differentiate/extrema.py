"""Where a maximum over a stream is reached, and what each of those points gets of what comes in at it.

A point is told by its place, which the pass that finds the maximum finds with it: to compute the score again and
compare would hang on last bits, in which two kernels may differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from attnc.ir.cascade import Choose, Const, Expr, Map, Read, Reduce
from attnc.ir.indices import free_indices
from attnc.ir.stage import Lift
from attnc.passes.differentiate.pullback import ONE, ZERO, div, mul, neg
from attnc.passes.differentiate.reverse import Root, Term, plus
from attnc.passes.differentiate.writer import Writer
from attnc.passes.simplify import conjunction

CLOSE = Const(1e-5)  # scores that tie are equal to this part of them, wherever they are computed


@dataclass(frozen=True)
class Peak:
    """The maximum over one segment: its value, how many points have it, and whether a point is one of them."""

    top: Expr
    ties: Expr
    hit: tuple[Expr, ...]


def at_points(writer: Writer, axes: tuple[str, ...], lift: Lift, term: Term) -> Term:
    """What comes in at the result, at every point that a lift has."""
    index = writer.stream.monoid.segments[lift.segment].index
    scope = frozenset((*axes, index)) if index is not None else frozenset(axes)
    return Term(term.value, scope, term.when).where(*lift.when)


def shared_roots(
    writer: Writer, op: str, name: str, axes: tuple[str, ...], lifts: tuple[Lift, ...], term: Term
) -> Iterator[Root]:
    """An equal share at each point that has the value: a minimum is the maximum of the negatives.

    Before   what comes in at top[m] = max[n](S), over m
    After    that over ties[m], at n = place[m]; where several tie, at each S that is equal to top
    Holds    by the definition of the derivative.
    """
    scores = lifts if op == "max" else tuple(replace(lift, body=neg(lift.body)) for lift in lifts)
    peaks = [_peak(writer, name, axes, lift) for lift in scores]
    ties, highest = _joined(writer, name, axes, peaks)
    share = Term(div(term.value, ties), term.scope, term.when)
    for lift, peak in zip(lifts, peaks, strict=True):
        tests = () if highest is None else (Map("eq", (peak.top, highest)),)
        yield Root(lift.body, at_points(writer, axes, replace(lift, when=(*lift.when, *tests, *peak.hit)), share))


def _peak(writer: Writer, name: str, axes: tuple[str, ...], lift: Lift) -> Peak:
    segment = writer.stream.monoid.segments[lift.segment]
    if segment.index is None:
        value = Choose(conjunction(lift.when), lift.body, Const(-math.inf)) if lift.when else lift.body
        top = writer.tensor(f"{name}_one", axes, value)
        writer.rows.append(top.tensor)
        return Peak(top, ONE, ())
    score = writer.tensor(f"{name}_of", writer.ordered(free_indices(lift.body)), lift.body)
    top = writer.tensor(f"{name}_top", axes, Reduce("max", (segment.index,), score, lift.when))
    reached, place = (*lift.when, Map("eq", (score, top))), Map("real", (segment.at,))
    ties = writer.tensor(f"{name}_ties", axes, Reduce("sum", (segment.index,), ONE, reached))
    places = writer.tensor(f"{name}_place", axes, Reduce("sum", (segment.index,), place, reached))
    alone = Map("and", (Map("eq", (ties, ONE)), Map("eq", (place, places))))
    return Peak(top, ties, (Map("or", (alone, _tied(ties, score, top))),))


def _tied(ties: Read, score: Read, top: Read) -> Expr:
    apart = Map("abs", (Map("sub", (score, top)),))
    return Map("and", (Map("gt", (ties, ONE)), Map("le", (apart, mul(CLOSE, Map("abs", (top,)))))))


def _joined(writer: Writer, name: str, axes: tuple[str, ...], peaks: list[Peak]) -> tuple[Expr, Expr | None]:
    """How many points tie over all segments, and the highest value where there are several segments."""
    if len(peaks) == 1:
        return peaks[0].ties, None
    value = peaks[0].top
    for peak in peaks[1:]:
        value = Map("max", (value, peak.top))
    highest = writer.tensor(f"{name}_again", axes, value)
    writer.rows.append(highest.tensor)
    total: Expr | None = None
    for peak in peaks:
        own = Choose(Map("eq", (peak.top, highest)), peak.ties, ZERO)
        total = own if total is None else plus(total, own)
    assert total is not None
    return total, highest
