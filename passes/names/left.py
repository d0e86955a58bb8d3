"""Left sides: affine subscripts that take each point once, in parts that do not meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, permutations
from math import gcd

from attnc.diagnostics import AttnError, Diagnostic, error
from attnc.ir import syntax
from attnc.ir.cascade import Const, Coord, Expr, Map, Part, Size
from attnc.ir.indices import at, free_indices
from attnc.ir.node import Node
from attnc.ir.walk import walk
from attnc.passes.names.expressions import Resolver
from attnc.passes.names.scope import Scope
from attnc.passes.prove import Facts
from attnc.passes.sums import linear_terms, normal

THERE = " there"  # the same index at another point
Side = tuple[tuple[Expr, ...], tuple[str, ...]]


def left_side(resolver: Resolver, place: syntax.Place) -> Side:
    """A left side's subscripts and its indices, each in exactly one subscript, and there in one term."""
    subs: list[Expr] = []
    indices: list[str] = []
    for node in place.subs or ():
        if any(_names_tensor(resolver.scope, below) for below in walk(node)):
            raise error(
                "A203",
                "a left side holds indices and sizes only",
                node.span,
                "a tensor is read here",
                helps=("a scatter is a sum with an equality: `sum[m](Y where idx == n)`",),
            )
        value = resolver.position(node, None)
        subs.append(_single(value))
        _check_affine(resolver.scope, subs[-1], node, place.name)
        for index in sorted(free_indices(value)):
            if index in indices:
                raise error(
                    "A109", f"index {index} stands in two subscripts of `{place.name}`", node.span, "again here"
                )
            indices.append(index)
    order = {node.index: None for sub in subs for node in walk(sub) if isinstance(node, Coord)}
    return tuple(subs), tuple(order)


def _names_tensor(scope: Scope, node: Node) -> bool:
    return isinstance(node, syntax.Name) and (node.name in scope.places or node.name in scope.inputs)


def _single(value: Expr) -> Expr:
    """The subscript with each index written once: i + i is 2 * i."""
    names = [node.index for node in walk(value) if isinstance(node, Coord)]
    return value if len(names) == len(set(names)) else normal(value)


def _check_affine(scope: Scope, value: Expr, node: syntax.Expr, name: str) -> None:
    names = [below.index for below in walk(value) if isinstance(below, Coord)]
    terms = [term for term in linear_terms(value) if free_indices(term)]
    if not all(map(_scaled, terms)) or len(names) != len(set(names)) or len(_signs(value)) < len(set(names)):
        raise error(
            "A208",
            "a subscript on a left side is a sum of indices times sizes",
            node.span,
            "something else",
            helps=(f"write a range that gives each point once, as in `{name}[c*B + j]` with `index j < B`",),
        )
    if scope.kind(value) != "int":
        raise error("A136", f"a subscript is an integer, but this is {scope.kind(value)}", node.span, scope.kind(value))


def _scaled(term: Expr) -> bool:
    """Whether a term is an index times sizes."""
    match term:
        case Coord():
            return True
        case Map("mul", (a, b)):
            return (_scaled(a) and not free_indices(b)) or (_scaled(b) and not free_indices(a))
        case _:
            return False


def _signs(value: Expr) -> dict[str, int]:
    """The sign with which a subscript varies with each index; none where that is not plain."""
    found: dict[str, set[int]] = {}
    for term, factor in linear_terms(value).items():
        for index in free_indices(term):
            found.setdefault(index, set()).add(1 if factor > 0 else -1)
    return {index: next(iter(signs)) for index, signs in found.items() if len(signs) == 1}


def scales(value: Expr) -> dict[str, Expr]:
    """By how much an affine subscript changes with each index, without the sign."""
    found: dict[str, Expr] = {}
    for term, factor in linear_terms(value).items():
        for index in free_indices(term):
            step = Map("mul", (Const(abs(factor)), at(term, {index: Const(1)})))
            found[index] = normal(Map("add", (found[index], step)) if index in found else step)
    return found


# ---- each point once -----------------------------------------------------------------------


def repeated(scope: Scope, facts: Facts, part: Part) -> Iterator[Diagnostic]:
    """The subscripts of a part that may take a position twice."""
    for sub in part.left:
        factors = scales(sub)
        if not any(_digits(scope, facts, order, factors) for order in permutations(factors)):
            names = " and ".join(factors)
            text = sub.span.text or "this subscript"
            yield from error(
                "A211",
                f"`{part.tensor}` may get a point twice: different {names} can give the same `{text}`",
                part.span,
                "this left side",
                notes=("a left side takes each point once: every factor exceeds what the smaller ones reach together",),
                helps=("give each index an axis of its own, or bound the inner one by the factor of the outer one",),
            ).diagnostics


def _digits(scope: Scope, facts: Facts, order: tuple[str, ...], factors: dict[str, Expr]) -> bool:
    """Whether, from the smallest, each factor exceeds what the smaller terms reach together."""
    reach: Expr = Const(0)
    for index in order:
        if not facts.implies(Map("gt", (factors[index], reach))):
            return False
        item = scope.ranges[index]
        last = Map("sub", (Map("sub", (item.hi, item.lo)), Const(1)))
        reach = Map("add", (reach, Map("mul", (factors[index], last))))
    return True


# ---- parts that do not meet ----------------------------------------------------------------


def meeting(facts: Facts, parts: tuple[Part, ...]) -> Iterator[Diagnostic]:
    """The pairs of parts that may define a point twice."""
    for one, two in combinations(parts, 2):
        apart = [_apart(facts, a, b) for a, b in zip(one.left, two.left, strict=True)]
        if any(apart):
            continue
        yield from _meets(facts, one, two).diagnostics


def _apart(facts: Facts, a: Expr, b: Expr) -> bool:
    """Whether two subscripts never give the same position, whatever their indices."""
    there = at(b, {index: Coord(index + THERE) for index in free_indices(b)})
    everywhere = replace(facts, ranges=lambda index: facts.ranges(index.removesuffix(THERE)))
    same = Map("eq", (a, there))
    return (
        _residues(a, there)
        or everywhere.excludes(same)
        or any(_apart_by(everywhere, same, index) for index in sorted(free_indices(a) & free_indices(b)))
    )


def _apart_by(facts: Facts, same: Expr, index: str) -> bool:
    """Whether two subscripts differ wherever an index is the same here and there, and wherever it is not."""
    here, there = Coord(index), Coord(index + THERE)
    return all(facts.also(Map(order, (here, there))).excludes(same) for order in ("lt", "eq", "gt"))


def _residues(a: Expr, b: Expr) -> bool:
    """2p and 2q + 1: what differs by a number that no multiple of the common factor is."""
    terms = linear_terms(Map("sub", (a, b)))
    gap = terms.pop(Const(1), 0)
    return bool(terms) and gap % gcd(*terms.values()) != 0


def _meets(facts: Facts, one: Part, two: Part) -> AttnError:
    """The error for two parts that define the same point, or may."""
    same = one.left == two.left
    places = [_place(a, b) for a, b in zip(one.left, two.left, strict=True) if a != b]
    where = f" at {', '.join(filter(None, places))}" if any(places) else ""
    sure = same or all(_sure(facts, a, b) for a, b in zip(one.left, two.left, strict=True))
    verb = "define" if sure else "may both define a point of"
    helps = ("make the subscripts disjoint",)
    if same:
        helps = ("give one of them another name, or choose in one statement: `.. if p else ..`",)
    return error(
        "A205",
        f"two statements {verb} `{one.tensor}`{where} (lines {one.span.line} and {two.span.line})",
        two.span,
        "defined again here" if sure else "not provably disjoint",
        clashes=((one.span, "defined here"),),
        helps=helps,
    )


def _place(a: Expr, b: Expr) -> str:
    """Where two subscripts meet, as `n = N - 1`, where one of them alone is an index."""
    for index, other in ((a, b), (b, a)):
        if isinstance(index, Coord) and index.index not in free_indices(other) and not isinstance(other, Coord):
            return f"{index.index} = {other.span.text}" if other.span.text else ""
    return ""


def _sure(facts: Facts, a: Expr, b: Expr) -> bool:
    """Whether two subscripts meet wherever the sizes are positive."""
    if a == b or (isinstance(a, Coord) and isinstance(b, Coord)):
        return True
    sizes = {node for node in (*walk(a), *walk(b)) if isinstance(node, Size)}
    here = facts.also(*(Map("lt", (Const(0), size)) for size in sizes))
    for one, other in ((a, b), (b, a)):
        if isinstance(one, Coord) and not free_indices(other):
            item = facts.ranges(one.index)
            return here.implies(Map("le", (item.lo, other))) and here.implies(Map("lt", (other, item.hi)))
    return False
