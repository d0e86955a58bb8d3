"""Reads of tensors: rank, the part that is meant, and the axes of what is read."""

from __future__ import annotations

from attnc.diagnostics import error
from attnc.ir.cascade import Const, Coord, Expr, Map, Read
from attnc.ir.indices import at, free_indices
from attnc.passes.names.mistakes import counted
from attnc.passes.names.scope import Scope
from attnc.passes.sums import linear_terms, normal
from attnc.source import Span

Interval = tuple[Expr, Expr]
ONE = Const(1)


def read(scope: Scope, name: str, subs: tuple[Expr, ...], span: Span) -> Read:
    """The read of a tensor at these subscripts; that they lie on their axes is shown once all is known."""
    given = scope.inputs.get(name)
    rank = len(given.indices) if given is not None else len(scope.lefts[name][0])
    if len(subs) != rank:
        raise _wrong_rank(scope, name, rank, len(subs), span)
    return Read(name, subs, tuple(range(rank)), own_part(scope, name, subs), span=span)


def own_part(scope: Scope, name: str, subs: tuple[Expr, ...]) -> int | None:
    """The part that these subscripts are the left side of, where there are several."""
    lefts = scope.lefts.get(name, [])
    return lefts.index(subs) if len(lefts) > 1 and subs in lefts else None


def _wrong_rank(scope: Scope, name: str, rank: int, found: int, span: Span) -> Exception:
    given = scope.inputs.get(name)
    subscripts = "subscript is" if found == 1 else "subscripts are"
    clashes = ((given.span, "declared here"),) if given is not None else ()
    if given is None and scope.places.get(name):
        place = next(place for place in scope.places[name][0].places if place.name == name)
        clashes = ((place.span, "defined here"),)
    axes = counted(rank, "axis", "axes")
    return error("A105", f"`{name}` has {axes}, but {found} {subscripts} given", span, "here", clashes=clashes)


def axes_of(scope: Scope, name: str) -> list[Interval]:
    """The axes of an input or a tensor as half-open intervals."""
    given = scope.inputs.get(name)
    if given is not None:
        return [(scope.ranges[index].lo, scope.ranges[index].hi) for index in given.indices]
    return axes(scope, scope.lefts[name])


def axes(scope: Scope, lefts: list[tuple[Expr, ...]]) -> list[Interval]:
    """The axes of a tensor as intervals that hold every part's left side."""
    key = tuple(lefts)
    if key in scope.axes:
        return scope.axes[key]
    found = []
    for place in range(len(lefts[0])):
        intervals = [ends(scope, left[place]) for left in lefts]
        lows, highs = [lo for lo, _ in intervals], [hi for _, hi in intervals]
        found.append((_extreme(scope, lows, "min"), _extreme(scope, highs, "max")))
    scope.axes[key] = found
    return found


def ends(scope: Scope, left: Expr) -> Interval:
    """The interval in which an affine subscript lies: each index at the end of its range that is farthest."""
    if isinstance(left, Coord):
        return scope.ranges[left.index].lo, scope.ranges[left.index].hi
    low: dict[str, Expr] = {}
    high: dict[str, Expr] = {}
    for index in free_indices(left):
        item = scope.ranges[index]
        first, last = item.lo, normal(Map("sub", (item.hi, ONE)))
        low[index], high[index] = (first, last) if _grows(left, index) else (last, first)
    return normal(at(left, low)), normal(Map("add", (at(left, high), ONE)))


def _grows(left: Expr, index: str) -> bool:
    """Whether an affine subscript grows with an index."""
    return all(factor > 0 for term, factor in linear_terms(left).items() if index in free_indices(term))


def _extreme(scope: Scope, values: list[Expr], op: str) -> Expr:
    """The least or largest of several ends: one that provably is, else their minimum or maximum."""
    different = list(dict.fromkeys(normal(value) for value in values)) if len(values) > 1 else values
    if len(different) == 1:
        return values[0]
    facts, test = scope.facts(), "le" if op == "min" else "ge"
    for value in different:
        if all(facts.implies(Map(test, (value, other))) for other in different):
            return value
    return Map(op, tuple(different))
