"""Reads of tensors: rank, the part that is meant, and which subscripts must be tested at run time."""

from __future__ import annotations

from attnc.diagnostics import error
from attnc.ir.cascade import Const, Coord, Expr, Map, Range, Read
from attnc.ir.indices import at, free_indices
from attnc.passes.expand.facts import decided
from attnc.passes.names.scope import Scope
from attnc.passes.sums import normal
from attnc.source import Span

TRUE = Const(True)


def read(scope: Scope, name: str, subs: tuple[Expr, ...], span: Span) -> Read:
    """The read of a tensor at these subscripts."""
    given = scope.inputs.get(name)
    rank = len(given.indices) if given is not None else len(scope.lefts[name][0])
    if len(subs) != rank:
        raise error("A105", f"`{name}` has {rank} axes, but {len(subs)} subscripts are given", span, "here")
    if given is not None:
        ranges = [scope.ranges[index] for index in given.indices]
        return Read(name, subs, _tested(scope, subs, ranges), span=span)
    lefts = scope.lefts[name]
    for number, left in enumerate(lefts):
        if len(lefts) > 1 and left == subs:
            return Read(name, subs, (), number, span=span)
    ranges = [Range("", lo, hi) for lo, hi in axes(scope, lefts)]
    return Read(name, subs, _tested(scope, subs, ranges), span=span)


def _tested(scope: Scope, subs: tuple[Expr, ...], ranges: list[Range]) -> tuple[int, ...]:
    return tuple(
        axis for axis, (sub, item) in enumerate(zip(subs, ranges, strict=True)) if not _inside(scope, sub, item)
    )


def _inside(scope: Scope, sub: Expr, item: Range) -> bool:
    """Whether a subscript provably lies on its axis."""
    if isinstance(sub, Coord):
        own = scope.ranges[sub.index]
        if sub.index == item.index or (normal(own.lo), normal(own.hi)) == (normal(item.lo), normal(item.hi)):
            return True
    if _shared_head(sub, item):
        return True
    tests = (Map("le", (item.lo, sub)), Map("lt", (sub, item.hi)))
    return all(decided(test, scope.ranges.__getitem__) == TRUE for test in tests)


def _shared_head(sub: Expr, item: Range) -> bool:
    """h // (H // G) lies below G, for h < H and H % G == 0."""
    match sub:
        case Map("floordiv", (Coord(), Map("floordiv", (_, hi)))):
            return hi == item.hi and item.lo == Const(0)
        case _:
            return False


def axes(scope: Scope, lefts: list[tuple[Expr, ...]]) -> list[tuple[Expr, Expr]]:
    """The axes of a tensor as intervals that hold every part's left side."""
    found = []
    for place in range(len(lefts[0])):
        intervals = [ends(scope, left[place]) for left in lefts]
        found.append((_least([lo for lo, _ in intervals]), _largest(scope, [hi for _, hi in intervals])))
    return found


def ends(scope: Scope, left: Expr) -> tuple[Expr, Expr]:
    """The interval in which a subscript lies."""
    indices = free_indices(left)
    lows: dict[str, Expr] = {index: scope.ranges[index].lo for index in indices}
    highs: dict[str, Expr] = {index: Map("sub", (scope.ranges[index].hi, Const(1))) for index in indices}
    if isinstance(left, Coord):
        return scope.ranges[left.index].lo, scope.ranges[left.index].hi
    return normal(at(left, lows)), normal(Map("add", (at(left, highs), Const(1))))


def _least(values: list[Expr]) -> Expr:
    different = list(dict.fromkeys(values))
    return Const(0) if len(different) > 1 and Const(0) in different else different[0]


def _largest(scope: Scope, values: list[Expr]) -> Expr:
    """The largest end: one that provably is, else their maximum."""
    different = list(dict.fromkeys(normal(value) for value in values))
    if len(different) == 1:
        return values[0]
    for value in different:
        if all(
            other == value or decided(Map("le", (other, value)), scope.ranges.__getitem__) == TRUE
            for other in different
        ):
            return value
    return Map("max", tuple(different))
