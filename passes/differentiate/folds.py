"""What comes in at the points of a fold over the segments of a stream, given what comes in at its result."""

from __future__ import annotations

import math
from collections.abc import Iterator

from attnc.ir.cascade import Choose, Const, Expr, Map, Reduce
from attnc.ir.stage import Lift, Segment
from attnc.passes.differentiate.extrema import at_points, shared_roots
from attnc.passes.differentiate.pullback import ONE, ZERO, div, mul
from attnc.passes.differentiate.reverse import Root, Term
from attnc.passes.differentiate.writer import Writer
from attnc.passes.simplify import conjunction

NOTHING = {"sum": 0.0, "prod": 1.0, "max": -math.inf, "min": math.inf}


def folded_roots(
    writer: Writer, op: str, name: str, axes: tuple[str, ...], lifts: tuple[Lift, ...], term: Term
) -> Iterator[Root]:
    """The lifts with what comes in at each of their points.

    sum: the same at all. max and min: an equal share at those that have the value.
    prod: times the product of all others.
    """
    if op == "sum":
        for lift in lifts:
            yield Root(lift.body, at_points(writer, axes, lift, term))
    elif op in ("max", "min"):
        yield from shared_roots(writer, op, name, axes, lifts, term)
    elif op == "prod":
        yield from _of_product(writer, name, axes, lifts, term)


def _total(segments: tuple[Segment, ...], op: str, lifts: tuple[Lift, ...]) -> Expr:
    """The fold of lifts over all segments."""
    total: Expr | None = None
    for lift in lifts:
        index = segments[lift.segment].index
        if index is not None:
            value: Expr = Reduce(op, (index,), lift.body, lift.when)
        else:
            value = Choose(conjunction(lift.when), lift.body, Const(NOTHING[op])) if lift.when else lift.body
        joined = {"sum": "add", "prod": "mul"}.get(op, op)
        total = value if total is None else Map(joined, (total, value))
    assert total is not None
    return total


def _of_product(
    writer: Writer, name: str, axes: tuple[str, ...], lifts: tuple[Lift, ...], term: Term
) -> Iterator[Root]:
    segments = writer.stream.monoid.segments
    zero = tuple(Lift(item.segment, ONE, (*item.when, Map("eq", (item.body, ZERO)))) for item in lifts)
    other = tuple(Lift(item.segment, item.body, (*item.when, Map("ne", (item.body, ZERO)))) for item in lifts)
    zeros = writer.tensor(f"{name}_zeros", axes, _total(segments, "sum", zero))
    rest = writer.tensor(f"{name}_rest", axes, _total(segments, "prod", other))
    alone = Choose(Map("eq", (zeros, ONE)), rest, ZERO)
    for lift in lifts:
        beside = Choose(Map("eq", (zeros, ZERO)), div(rest, lift.body), ZERO)
        others = Choose(Map("eq", (lift.body, ZERO)), alone, beside)
        yield Root(lift.body, at_points(writer, axes, lift, Term(mul(term.value, others), term.scope, term.when)))
