"""Conditions on a streamed position as bounds of its loop, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

from attnc.ir.cascade import Const, Coord, Expr, Map
from attnc.ir.indices import free_indices
from attnc.passes.sums import from_terms, linear_terms


@dataclass(frozen=True)
class Bound:
    """stream >= value (`lower`) or stream < value, for the row at position `parallel` of the tile."""

    lower: bool
    value: Expr
    sign: int  # of the row's coefficient in value: 0 where every row has the same bound


@dataclass(frozen=True)
class Solved:
    """What conditions say about the streamed position: its bounds, and what has no closed form."""

    bounds: tuple[Bound, ...]
    opaque: tuple[Expr, ...]


def solve(tests: tuple[Expr, ...], stream: str, parallel: str | None, scalars: frozenset[str]) -> Solved:
    """The bounds that comparisons with coefficient +-1 of the stream give; the rest is opaque.

    Before   n <= m and m - n < W
    After    n < m + 1, n >= m - W + 1
    Holds    because each is the comparison solved for n. `scalars` are indices with one value in a program.
    """
    bounds: list[Bound] = []
    opaque: list[Expr] = []
    for test in tests:
        found = _bounds(test, stream, parallel, scalars)
        if found is None:
            opaque.append(test)
        else:
            bounds += found
    return Solved(tuple(bounds), tuple(opaque))


def _bounds(test: Expr, stream: str, parallel: str | None, scalars: frozenset[str]) -> list[Bound] | None:
    match test:
        case Map("le", (a, b)):
            spare = [(b, a, 0)]
        case Map("lt", (a, b)):
            spare = [(b, a, 1)]
        case Map("ge", (a, b)):
            spare = [(a, b, 0)]
        case Map("gt", (a, b)):
            spare = [(a, b, 1)]
        case Map("eq", (a, b)):
            spare = [(a, b, 0), (b, a, 0)]
        case _:
            return None
    found = [_bound(more, less, gap, stream, parallel, scalars) for more, less, gap in spare]
    return [item for item in found if item is not None] if None not in found else None


def _bound(
    more: Expr, less: Expr, gap: int, stream: str, parallel: str | None, scalars: frozenset[str]
) -> Bound | None:
    """The bound that more - less - gap >= 0 puts on the stream."""
    terms = linear_terms(Map("sub", (more, less)))
    factor = terms.pop(Coord(stream), 0)
    if abs(factor) != 1 or any(not _scalar(term, parallel, scalars) for term in terms):
        return None
    sign = terms.get(Coord(parallel), 0) if parallel is not None else 0
    terms[Const(1)] = terms.get(Const(1), 0) - gap
    if factor > 0:  # stream >= -rest
        return Bound(True, from_terms({term: -count for term, count in terms.items()}), -sign)
    terms[Const(1)] = terms[Const(1)] + 1  # stream < rest + 1
    return Bound(False, from_terms({term: count for term, count in terms.items() if count or term == Const(1)}), sign)


def _scalar(term: Expr, parallel: str | None, scalars: frozenset[str]) -> bool:
    return term == Coord(parallel or "") or free_indices(term) <= scalars
