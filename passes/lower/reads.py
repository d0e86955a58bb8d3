"""Reads of tensors as loads, with the tests that keep an address inside its tensor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from attnc.ir import kernel as k
from attnc.ir.cascade import Const, Coord, Expr, Map, Read, Size
from attnc.ir.indices import free_indices
from attnc.ir.walk import walk
from attnc.passes.expand.facts import decided
from attnc.passes.simplify import TRUE

if TYPE_CHECKING:
    from attnc.passes.lower.values import Values


def read(values: Values, expr: Read) -> k.Value:
    """A read as a load; what lies along the stream is masked by the conditions on it.

    On a GPU a condition that the loop has to compute first masks what was loaded: loads are ahead of the loop.
    """
    subs = tuple(_subscript(values, sub) for sub in expr.subs)
    along = any(values.scope.level(index) for index in free_indices(expr) if index in values.frame.streams)
    bounds = zip(expr.subs, values.frame.bounds(expr.tensor), strict=True)
    inside = tuple(place for place, (sub, axis) in enumerate(bounds) if _wraps(sub, axis))
    masks, dtype = values.masks if along else (), values.frame.dtypes[expr.tensor]
    late = [mask for mask in masks if values.frame.target.kind != "cpu" and values.scope.folds(mask)]
    when = (*(mask for mask in masks if mask not in late), *_in_range(values, expr, subs, inside))
    load = k.Load("", expr.tensor, subs, when, inside, span=expr.span)
    found: k.Value = values.scope.load(f"{expr.tensor}", load, dtype)
    nothing = k.Const(False if dtype == "bool" else 0, dtype)
    for mask in late:
        found = values.scope.let(expr.tensor, k.Map("select", (mask, found, nothing)), expr.span)
    return found


def _subscript(values: Values, sub: Expr) -> k.Value:
    value = values.of(sub)
    gathered = any(isinstance(node, Read) for node in walk(sub))
    scalar = isinstance(value, k.Map) and not values.scope.axes(value)
    return values.scope.let("at", value, sub.span) if gathered or scalar else value


def _wraps(sub: Expr, axis: tuple[Expr, Expr]) -> bool:
    """Whether this is a remainder of the axis' length, as in x[e = (e + 1) % E], at a point that shows it is not 0."""
    match sub:
        case Map("mod", (inner, Size(index) as length)):
            return axis == (Const(0), length) and index in free_indices(inner)
        case _:
            return False


def _in_range(values: Values, read: Read, subs: tuple[k.Value, ...], inside: tuple[int, ...]) -> Iterator[k.Value]:
    """The tests that keep an address inside its tensor where the ranges of indices alone do not."""
    bounds = values.frame.bounds(read.tensor)
    for place, (expr, sub) in enumerate(zip(read.subs, subs, strict=True)):
        free = free_indices(expr)
        if place in inside:
            continue
        if isinstance(expr, Coord) and expr.index not in values.rows and _spans(values, expr.index, bounds[place]):
            continue
        if place not in read.tested and free.isdisjoint(values.frame.conditioned | values.rows.keys()):
            continue
        lo, hi = bounds[place]
        ranges = values.frame.cascade.range
        if decided(Map("le", (lo, expr)), ranges) != TRUE:
            yield values.scope.let("valid", k.Map("le", (values.frame.plain_size(lo), sub)))
        if decided(Map("lt", (expr, hi)), ranges) != TRUE:
            yield values.scope.let("valid", k.Map("lt", (sub, values.frame.plain_size(hi))))


def _spans(values: Values, index: str, axis: tuple[Expr, Expr]) -> bool:
    item = values.frame.cascade.range(index)
    return (item.lo, item.hi) == axis
