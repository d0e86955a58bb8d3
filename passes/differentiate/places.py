"""What comes in at the elements that an expression reads, as a value at every element of the tensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import cast

from attnc.ir.cascade import Choose, Const, Coord, Expr, Map, Read, Reduce
from attnc.ir.indices import at, free_indices
from attnc.ir.node import Node
from attnc.ir.walk import rebuild
from attnc.passes.differentiate.reverse import Term
from attnc.passes.differentiate.writer import Writer
from attnc.passes.prove import Atoms, Facts
from attnc.passes.simplify import negation
from attnc.passes.sums import from_terms, linear_terms, normal


def cases(read: Read, term: Term) -> Iterator[tuple[Read, Term]]:
    """What comes in at an element that a choice finds, for either side of the choice by itself.

    Before   what comes in at table[i if i >= 0 else i + T]
    After    the same at table[i] where i >= 0, and at table[i + T] where not
    Holds    because every point is on one side; its subscript can then be solved for an index, which a choice cannot.
    """
    chosen = next((sub for sub in read.subs if isinstance(sub, Choose) and _moves(sub, term.scope)), None)
    if chosen is None:
        yield read, term
        return
    for test, sub in ((chosen.test, chosen.then), (negation(chosen.test), chosen.other)):
        same: dict[Expr, Expr] = {chosen: sub}
        tests = (test, *(_known(item, same) for item in term.when))
        yield from cases(cast(Read, _visited(read, same)), Term(_known(term.value, same), term.scope, tests))


def _moves(chosen: Choose, scope: frozenset[str]) -> bool:
    """Whether a side of a choice moves by one with an index."""
    terms = [item for side in (chosen.then, chosen.other) for item in linear_terms(side).items()]
    return any(isinstance(term, Coord) and term.index in scope and factor in (1, -1) for term, factor in terms)


def placed(writer: Writer, read: Read, term: Term, axes: tuple[str, ...]) -> Term:
    """The term over a tensor's own indices `axes`, beside those that are still to be summed.

    Before   what comes in at K[b,h // r,n,e] over (b, h, m, n, e)
    After    the same at h = g * r + j over (b, g, j, m, n, e)
    Holds    because every point of the scope is met once: each subscript is solved for an index of its own, and
             one that cannot be is a condition.
    """
    clashing = sorted(term.scope & set(axes))
    apart: dict[str, Expr] = {index: Coord(writer.inside(index, *writer.ends(index))) for index in clashing}
    own = {item.index: index for index, item in apart.items() if isinstance(item, Coord)}
    moved = _Placing(writer, axes, own, {index for index in term.scope if index not in apart} | set(own))
    waiting: list[Expr] = []
    same: dict[Expr, Expr] = {}
    for axis, sub in sorted(enumerate(read.subs), key=lambda item: not isinstance(item[1], Coord)):
        sub = at(sub, apart)
        if not moved.solve(axis, sub):
            waiting.append(Map("eq", (sub, Coord(axes[axis]))))
        elif not isinstance(sub, Coord):
            same[sub] = Coord(axes[axis])
    tests = tuple(_at(writer, _known(_at(writer, test, apart), same), moved.values) for test in term.when)
    tests = (*(at(test, moved.values) for test in waiting), *tests)
    value = _at(writer, _known(_at(writer, term.value, apart), same), moved.values)
    inside = [test for test in moved.tests if not moved.facts(tests).implies(test)]
    scope = frozenset((*moved.left, *moved.brought, *axes))
    return Term(value, scope, (*inside, *tests))


def _known(expr: Expr, same: dict[Expr, Expr]) -> Expr:
    """The expression with subscripts by what they are known to be, but where a reduction binds an index of theirs."""
    return cast(Expr, _visited(expr, same))


def _visited(node: Node, same: dict[Expr, Expr]) -> Node:
    if node in same:
        return same[cast(Expr, node)]
    if isinstance(node, Reduce):
        same = {sub: x for sub, x in same.items() if free_indices(sub).isdisjoint(node.over)}
    return rebuild(node, lambda child: _visited(child, same)) if same else node


def _at(writer: Writer, expr: Expr, values: dict[str, Expr]) -> Expr:
    """The expression at other indices; a reduction inside that binds one of the new ones folds over another."""
    if free_indices(expr).isdisjoint(values):
        return expr
    if isinstance(expr, Coord):
        return values[expr.index]
    if isinstance(expr, Reduce):
        values = {index: value for index, value in values.items() if index in free_indices(expr)}
        brought = frozenset[str]().union(*map(free_indices, values.values()))
        other = {index: _other(writer, index, brought) for index in expr.over if index in brought}
        values |= {index: Coord(name) for index, name in other.items()}
        expr = replace(expr, over=tuple(other.get(index, index) for index in expr.over))
    return rebuild(expr, lambda child: _at(writer, cast(Expr, child), values))


def _other(writer: Writer, index: str, taken: frozenset[str]) -> str:
    """Another index over the same range."""
    name = index
    while name in taken:
        name = writer.inside(name, *writer.ends(index))
    return name


@dataclass
class _Placing:
    """One change of variables: `left` are the indices not settled yet, `values` what the settled ones are.

    `own` says which index of the forward one stands for; `tests` keep each in its range.
    """

    writer: Writer
    axes: tuple[str, ...]
    own: dict[str, str]
    left: set[str]
    values: dict[str, Expr] = field(default_factory=dict)
    brought: list[str] = field(default_factory=list)
    tests: list[Expr] = field(default_factory=list)

    def facts(self, tests: tuple[Expr, ...]) -> Facts:
        """What is known of the indices: their ranges, what the spec requires, and these conditions."""
        requires = tuple(item.test for item in self.writer.forward.requires)
        return Facts(Atoms(self.writer.kind), self.writer.ranges.__getitem__, (*requires, *tests))

    def solve(self, axis: int, sub: Expr) -> bool:
        """Whether a subscript settles one of the indices."""
        x, lo = Coord(self.axes[axis]), self.writer.ranges[self.axes[axis]].lo
        match sub:
            case Coord(index) if index in self.left:
                return self._settle(index, x)
            case Map("floordiv", (Coord(index), by)) if index in self.left and not free_indices(by):
                inside = self.writer.inside(self.own.get(index, index), Const(0), by)
                self.brought.append(inside)
                return self._settle(index, normal(Map("add", (Map("mul", (x, by)), Coord(inside)))))
            case Map("mod", (inner, by)) if self._solve_roll(x, inner, by):
                return True
            case Map("mod", (Coord(index), by)) if index in self.left and not free_indices(by) and lo == Const(0):
                hi = self.writer.ranges[index].hi
                count = Map("floordiv", (Map("add", (hi, Map("sub", (by, Const(1))))), by))
                outside = self.writer.inside(self.own.get(index, index), Const(0), normal(count))
                self.brought.append(outside)
                return self._settle(index, normal(Map("add", (Map("mul", (Coord(outside), by)), x))))
            case _:
                return self._solve_sum(x, sub)

    def _solve_sum(self, x: Expr, sub: Expr) -> bool:
        """A sum of positions, solved for one that occurs once and by itself, or for all its digits."""
        terms = linear_terms(at(sub, self.values))
        if self._solve_digits(x, terms):
            return True
        for term, factor in terms.items():
            others = {item: count for item, count in terms.items() if item != term}
            alone = isinstance(term, Coord) and not any(term.index in free_indices(item) for item in others)
            if alone and isinstance(term, Coord) and term.index in self.left and factor in (1, -1):
                rest: dict[Expr, int] = {item: -factor * count for item, count in others.items()}
                return self._settle(term.index, from_terms({x: factor, **rest}))
        return False

    def _solve_roll(self, x: Coord, inner: Expr, by: Expr) -> bool:
        """(e + c) % E with e < E, at x < E: then e is (x - c) % E."""
        terms = linear_terms(at(inner, self.values))
        whole = (Const(0), by)
        if self.writer.ends(x.index) != whole:
            return False
        for term, factor in terms.items():
            others = {item: count for item, count in terms.items() if item != term}
            own = isinstance(term, Coord) and term.index in self.left and factor in (1, -1)
            if not own or not isinstance(term, Coord) or self.writer.ends(term.index) != whole:
                continue
            if all(term.index not in free_indices(item) for item in others):
                rest: dict[Expr, int] = {item: -factor * count for item, count in others.items()}
                return self._settle(term.index, Map("mod", (from_terms({x: factor, **rest}), by)))
        return False

    def _solve_digits(self, x: Expr, terms: dict[Expr, int]) -> bool:
        """j * 16 + u with u < 16: then u is x % 16, and j is x // 16."""
        digits = sorted(terms.items(), key=lambda item: item[1])
        names = [term.index for term, _ in digits if isinstance(term, Coord) and term.index in self.left]
        if len(names) < 2 or len(names) < len(digits) or digits[0][1] != 1:
            return False
        ranges = [self.writer.ranges[name] for name in names]
        steps = [factor for _, factor in digits]
        whole = all(span.lo == Const(0) for span in ranges)
        if not whole or any(
            span.hi != Const(b // a) or b % a for span, a, b in zip(ranges, steps, steps[1:], strict=False)
        ):
            return False
        for name, span, step in zip(names, ranges, steps, strict=True):
            above = x if step == 1 else Map("floordiv", (x, Const(step)))
            self._settle(name, above if name == names[-1] else Map("mod", (above, span.hi)))
        return True

    def _settle(self, index: str, value: Expr) -> bool:
        self.left.remove(index)
        span = self.writer.ranges[index]
        self.values = {name: at(item, {index: value}) for name, item in self.values.items()} | {index: value}
        self.tests += [Map("le", (span.lo, value)), Map("lt", (value, span.hi))]
        return True
