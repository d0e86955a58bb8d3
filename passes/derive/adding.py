"""One more reduction of a stage: separated, summed relative to the references that keep it in range."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import sympy

from attnc.ir.cascade import Const, Expr, Map, Size
from attnc.ir.indices import free_indices
from attnc.ir.stage import Segment
from attnc.ir.walk import walk
from attnc.passes.derive.bounds import facts, interval
from attnc.passes.derive.forms import Phis, Rows, apart, rewritten
from attnc.passes.derive.reductions import Streamed
from attnc.passes.derive.references import SAFE_EXPONENT, Reference, Score, Whens
from attnc.passes.derive.referring import exponents, extremum_inside, gauge_for, outside, varies, without
from attnc.passes.derive.separate import NotSeparableError, separate
from attnc.passes.derive.state import State
from attnc.passes.factor import factors, product


def add(state: State, item: Streamed) -> None:
    """One more reduction; raises `NotSeparableError` where it cannot be kept in the same pass."""
    state.maker = item.tensor
    bodies = {piece.segment: state.algebra.of(piece.body) for piece in item.pieces}
    when = tuple(next((p.when for p in item.pieces if p.segment == s), None) for s in state.segments)
    phis = tuple(bodies.get(segment) for segment in state.segments)
    if item.op == "sum":
        state.values[item.tensor] = _sum(state, phis, when, item)
    elif item.op in ("max", "min"):
        state.values[item.tensor] = _extremum(state, item, phis, when)
    else:
        state.values[item.tensor] = _plain(state, item, phis, when)


def _sum(state: State, bodies: Phis, when: Whens, item: Streamed) -> Any:
    if not any(body is not None and body.free_symbols & state.done for body in bodies) and _in_range(state, item):
        return _as_written(state, when, item)
    rows = Rows(len(bodies))
    for place, body in enumerate(bodies):
        if body is not None:
            point = state.segments[place].index is None
            rows.add(place, separate(body, body.free_symbols - state.done if point else state.algebra.full, state.done))
    total = sympy.Integer(0)
    for coefficient, phis in rows:
        _check_inner(state, coefficient, item)
        total += coefficient * _accumulated(state, phis, when, item.inner)
    return total


def _in_range(state: State, item: Streamed) -> bool:
    """Whether a sum has exponentials, and all of them are bounded: then it needs no reference."""
    found = [
        interval(node, facts(piece.when))[1]
        for piece in item.pieces
        for node in walk(state.algebra.opened(piece.body))
        if isinstance(node, Map) and node.op in ("exp", "exp2")
    ]
    return bool(found) and max(found) <= math.exp(SAFE_EXPONENT) and state.wish.one_sided


def _as_written(state: State, when: Whens, item: Streamed) -> Any:
    """The sum of a body that waits for nothing and stays in range: only what is the same at every point is taken out.

    Before   dQ = sum[n](P * (dP - delta) * K / sqrt(E)), where P is exp of what is never above 0
    After    one accumulator of P * (dP - delta) * K; dQ is that over sqrt(E)
    Holds    by distributivity; what is a difference in the body is not made a difference of sums.
    """
    coefficient = sympy.Integer(1)
    phis: list[Any] = []
    for segment in state.segments:
        piece = next((piece for piece in item.pieces if piece.segment == segment), None)
        above, below = factors(piece.body) if piece is not None else ([], [])
        if piece is not None and len(item.pieces) == 1:
            for side, power in ((above, 1), (below, -1)):
                for factor in [factor for factor in side if _is_row(state, factor, item.inner)]:
                    coefficient *= state.algebra.of(factor) ** power
                    side.remove(factor)
        phis.append(sympy.Integer(0) if piece is None else state.algebra.atom(product(above, below)))
    return coefficient * state.symbol("sum", tuple(phis), when, None, item.inner, one_sided=True)


def _is_row(state: State, factor: Expr, inner: tuple[str, ...]) -> bool:
    """Whether a factor is the same at every point of the stream."""
    return not state.algebra.is_full(factor) and free_indices(factor).isdisjoint(inner)


def _check_inner(state: State, coefficient: Any, item: Streamed) -> None:
    if varies(state, coefficient, item.inner):
        raise NotSeparableError(coefficient)


def _accumulated(state: State, phis: Phis, when: Whens, inner: tuple[str, ...]) -> Any:
    """A sum of phis by way of accumulators: each with the coefficient that its gauge brings."""
    if _counts(phis, when, inner):
        return _count(state, phis)
    phis = tuple(outside(state, phi, tests, inner) for phi, tests in zip(phis, when, strict=True))
    place = gauge_for(state, phis, tuple(without(tests, inner) for tests in when), inner)
    if place is None:
        return state.symbol("sum", phis, when, None, inner, one_sided=exponents(state, phis, when)[0] < -SAFE_EXPONENT)
    result = sympy.Integer(0)
    for coefficient, shifted in _in_gauge(state, phis, state.references[place]):
        known = _counts(shifted, when, inner)
        result += coefficient * (_count(state, shifted) if known else state.symbol("sum", shifted, when, place, inner))
    return result


def _counts(phis: Phis, when: Whens, inner: tuple[str, ...]) -> bool:
    """Whether a sum only counts points, all of them: it is known before the stream is read."""
    return not inner and all(phi.is_number and not test for phi, test in zip(phis, when, strict=True) if phi != 0)


def _count(state: State, phis: Phis) -> Any:
    extents = (_extent(state, segment) for segment in state.segments)
    return sum((phi * extent for phi, extent in zip(phis, extents, strict=True)), sympy.Integer(0))


def _extent(state: State, segment: Segment) -> Any:
    """How many points a segment has: what a sum of ones without a condition is."""
    if segment.index is None:
        return sympy.Integer(1)
    if segment.lo == Const(0) and isinstance(segment.hi, Size):
        return state.algebra.of(segment.hi)
    return state.algebra.of(Map("max", (Map("sub", (segment.hi, segment.lo)), Const(0))))


def _in_gauge(state: State, phis: Phis, reference: Reference) -> Rows:
    """The phis written with y = score - rho: coefficients of rho, each with its phis of y."""
    rows = Rows(len(phis))
    for place, phi in enumerate(phis):
        if phi == 0:
            continue
        shifted = rewritten(phi, reference.of.scores[place], reference.y + reference.rho)
        stream = (shifted.free_symbols - {reference.rho}) | {reference.y}
        rows.add(place, separate(shifted, stream, {reference.rho}))
    return rows


def _extremum(state: State, item: Streamed, bodies: Phis, when: Whens) -> Any:
    """max(a + g) = max(a) + g where g is completed; a maximum is kept as a gauge, for others may need it."""
    parts = [(None, sympy.Integer(0)) if body is None else apart(body, state.done) for body in bodies]
    offset = _one_offset([offset for body, (_, offset) in zip(bodies, parts, strict=True) if body is not None])
    if offset.free_symbols & state.algebra.full or varies(state, offset, item.inner):
        raise NotSeparableError(offset)
    scores = tuple(score for score, _ in parts)
    if item.inner:
        pairs = zip(scores, when, strict=True)
        scores = tuple(
            None if s is None else extremum_inside(state, item.op, s, tests, item.inner) for s, tests in pairs
        )
        when = tuple(without(tests, item.inner) for tests in when)
    if item.op == "min":
        return offset + state.symbol("min", _zeros(scores), when, None, ())
    own = state.wish.least_of(Score(scores, when))
    reference = state.references[state.reference(own)]
    times = reference.of.multiple(scores, when) or 1
    reference.reduction = reference.reduction or (item.tensor if times == 1 else None)
    return offset + times * reference.rho


def _one_offset(offsets: list[Any]) -> Any:
    """The offset that all segments share."""
    if len(set(offsets)) > 1:
        raise NotSeparableError(offsets[0])
    return offsets[0] if offsets else sympy.Integer(0)


def _plain(state: State, item: Streamed, bodies: Phis, when: Whens) -> Any:
    for body in bodies:
        if body is not None and body.free_symbols & state.done:
            raise NotSeparableError(body)
    return state.symbol(item.op, _zeros(bodies), when, None, item.inner)


def _zeros(phis: Iterable[Any]) -> Phis:
    return tuple(sympy.Integer(0) if phi is None else phi for phi in phis)
