"""What must hold of a resolved program: disjoint parts, boolean conditions, subscripts within their axes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

from attnc.diagnostics import Diagnostic, error
from attnc.ir.cascade import Choose, Const, Coord, Expr, Map, Part, Range, Read, Size, Where
from attnc.ir.types import type_of
from attnc.ir.walk import walk
from attnc.passes.names.reads import ends
from attnc.passes.names.scope import Scope
from attnc.passes.sums import linear_terms


def mistakes_in(scope: Scope, parts: dict[str, tuple[Part, ...]], required: list[Expr]) -> list[Diagnostic]:
    """Every independent mistake that only the whole program shows."""
    every = [part for found in parts.values() for part in found]
    found = [item for pair in parts.values() for item in _overlaps(scope, pair)]
    found += [item for part in every for item in _conditions(scope, part)]
    return found + [item for part in every for item in _outside(scope, part, required)]


# ---- parts ---------------------------------------------------------------------------------


def _overlaps(scope: Scope, parts: tuple[Part, ...]) -> Iterable[Diagnostic]:
    for one, two in combinations(parts, 2):
        if not all(_meet(scope, a, b) for a, b in zip(one.left, two.left, strict=True)):
            continue
        same = one.left == two.left
        subs = ",".join(sub.span.text for sub in two.left if sub.span.text)
        what = f"two statements define `{one.tensor}`" + (f" at [{subs}]" if subs else "")
        helps = ("give one of them another name",) if same else ("make the subscripts disjoint",)
        yield from error(
            "A205", what, two.span, "defined again here", clashes=((one.span, "defined here"),), helps=helps
        ).diagnostics


def _meet(scope: Scope, a: Expr, b: Expr) -> bool:
    """Whether two subscripts surely meet somewhere: overlapping intervals, and no residue that parts them."""
    if a == b:
        return True
    if _residues(a, b):
        return False
    (lo, hi), (low, high) = ends(scope, a), ends(scope, b)
    return _below(low, hi) and _below(lo, high)


def _below(a: Expr, b: Expr) -> bool:
    """Whether a < b wherever the sizes are positive."""
    terms = linear_terms(Map("sub", (a, b)))
    number = terms.pop(Const(1), 0)
    shrinks = all(isinstance(term, Size) and factor < 0 for term, factor in terms.items())
    return shrinks and number <= 0 and (number < 0 or bool(terms))


def _residues(a: Expr, b: Expr) -> bool:
    one, two = linear_terms(a), linear_terms(b)
    gap = one.pop(Const(1), 0) - two.pop(Const(1), 0)
    steps = [abs(factor) for terms in (one, two) for factor in terms.values()]
    return bool(steps) and any(gap % step for step in (min(steps),) if all(s % step == 0 for s in steps))


# ---- conditions ----------------------------------------------------------------------------


def _conditions(scope: Scope, part: Part) -> Iterable[Diagnostic]:
    for node in walk(part.value):
        if isinstance(node, Where | Choose):
            kind = type_of(node.test, scope.types.__getitem__)
            if kind != "bool":
                word = "where" if isinstance(node, Where) else "if"
                yield from error(
                    "A206",
                    f"`{word}` wants a boolean, but this is {kind}",
                    node.test.span,
                    f"{kind}",
                    helps=(f"compare it: `{node.test.span.text} != 0`",),
                ).diagnostics


# ---- extents -------------------------------------------------------------------------------


def _outside(scope: Scope, part: Part, required: list[Expr]) -> Iterable[Diagnostic]:
    """Bare indices that run along an axis of an extent of its own, with nothing to say that it is the same."""
    told: set[tuple[str, str]] = set()
    for node in walk(part.value):
        if not isinstance(node, Read) or node.tensor not in scope.inputs:
            continue
        for sub, own in zip(node.subs, scope.inputs[node.tensor].indices, strict=True):
            if not isinstance(sub, Coord) or sub.index == own or (sub.index, own) in told:
                continue
            run, axis = scope.ranges[sub.index], scope.ranges[own]
            if _free(run) and _free(axis) and not _related(run, axis, required):
                told.add((sub.index, own))
                here, there = sub.index.upper(), own.upper()
                yield from error(
                    "A207",
                    f"index {sub.index} (extent {here}) is read on an axis of extent {there}, and {here} <= {there} "
                    "does not follow",
                    node.span,
                    f"axis {own} of `{node.tensor}`",
                    clashes=((axis.span, f"{own} comes from here"),),
                    helps=(f"`require {here} == {there}`, or rename the axis",),
                ).diagnostics


def _free(item: Range) -> bool:
    return item.lo == Const(0) and item.hi == Size(item.index)


def _related(a: Range, b: Range, required: list[Expr]) -> bool:
    """Whether a requirement mentions both extents."""
    return any({a.hi, b.hi} <= set(walk(test)) for test in required)
