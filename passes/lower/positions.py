"""Differences of positions as real numbers, exact where the positions themselves would not be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnc.ir import kernel as k
from attnc.ir.cascade import Coord, Expr
from attnc.passes.lower.frame import whole
from attnc.passes.sums import linear_terms

if TYPE_CHECKING:
    from attnc.passes.lower.values import Values


def converted(values: Values, expr: Expr) -> k.Value | None:
    """A sum of positions along several axes: each axis counted from its tile's start, the starts as one scalar.

    Before   real(m - n)
    After    (real(m - m_first) + real(m_first - n_first)) - real(n - n_first)
    Holds    exactly below 2^24, and to one rounding beyond; no conversion is left for each pair.
    """
    scope = values.scope
    terms = linear_terms(expr)
    tiled = [term for term in terms if isinstance(term, Coord) and scope.tiled(term.index)]
    others = [term for term in terms if term not in tiled]
    if len(tiled) < 2 or any(scope.axes(values.of(term)) for term in others):
        return None
    tiled.sort(key=lambda term: scope.order.index(term.index))
    first: dict[Expr, k.Value] = {term: _first(values, term.index) for term in tiled}
    start: k.Value = whole(0)
    for term, factor in sorted(terms.items(), key=lambda item: -item[1]):
        place = values.make("mul", first.get(term) or values.of(term), whole(abs(factor)))
        start = values.make("add" if factor > 0 else "sub", start, place)
    total = values.real(start)
    for term in tiled:
        part = scope.let("at", values.real(values.make("sub", k.Coord(term.index), first[term])))
        factor = terms[term]
        times = k.Const(float(abs(factor)), values.frame.compute)
        scaled = part if abs(factor) == 1 else scope.let("at", values.make("mul", part, times))
        total = values.make("add" if factor > 0 else "sub", scope.let("base", total), scaled)
    return total


def _first(values: Values, index: str) -> k.Value:
    """The first position of a tile; an index that is whole inside it starts where its axis does."""
    return values.frame.axis(index).lo if index in values.frame.inner else k.First(index)
