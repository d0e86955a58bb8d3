"""Reverse mode over the expressions of one stage: what comes in at every element that they read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from attnc.ir.cascade import Choose, Const, Expr, Map, Read, Reduce
from attnc.ir.indices import free_indices
from attnc.passes.differentiate.cancel import cancels
from attnc.passes.differentiate.pullback import FLAT, ONE, ZERO, div, mul, pulled
from attnc.passes.simplify import conjunction, negation


@dataclass(frozen=True)
class Term:
    """What comes in at an expression: `value` at every point of `scope` where all of `when` hold."""

    value: Expr
    scope: frozenset[str]
    when: tuple[Expr, ...] = ()

    def where(self, *tests: Expr) -> Term:
        """The same under further conditions."""
        return Term(self.value, self.scope, tuple(dict.fromkeys((*self.when, *tests))))


@dataclass(frozen=True)
class Root:
    """An expression that is evaluated at the points of a scope, and what comes in there."""

    expr: Expr
    term: Term


Sum = Callable[[Term, frozenset[str]], Term]
Seen = Callable[[Expr], bool]


def reverse(roots: Iterable[Root], wanted: Callable[[Read], bool], summed: Sum) -> dict[Read, list[Term]]:
    """What comes in at each read that is wanted.

    Before   Y = sum[n](P * V) where P = exp(S - L), and what comes in at Y
    After    what comes in at P is dY * V; at S, P times that; at V, P * dY
    Holds    by the chain rule; equal expressions are one, so that what comes in at them is added up first.

    `summed` gives a term over fewer indices: what comes in at an expression is summed over the indices it lacks.
    """
    roots = tuple(roots)
    terms: dict[Expr, list[Term]] = {}
    for root in roots:
        terms.setdefault(root.expr, []).append(root.term)
    for expr in reversed(_ordered([root.expr for root in roots], wanted)):
        if isinstance(expr, Read):
            continue
        found = terms.pop(expr, [])
        if found:
            own = free_indices(expr)
            incoming = together([summed(term, own) if term.scope - own else term for term in found])
            if isinstance(expr, Reduce) and expr.op in ("max", "min") and cancels(incoming.value):
                continue  # values are only taken relative to it
            for child, term in _handed_on(expr, incoming):
                terms.setdefault(child, []).append(term)
    return {expr: found for expr, found in terms.items() if isinstance(expr, Read) and wanted(expr)}


def _ordered(roots: list[Expr], wanted: Callable[[Read], bool]) -> list[Expr]:
    """Every expression through which something wanted is reached, after all that it is made of."""
    reaches: dict[Expr, bool] = {}
    stack = [(root, False) for root in reversed(roots)]
    order: list[Expr] = []
    while stack:
        expr, done = stack.pop()
        if done:
            own = isinstance(expr, Read) and wanted(expr)
            reaches[expr] = own or any(reaches[child] for child in _below(expr))
            if reaches[expr]:
                order.append(expr)
        elif expr not in reaches:
            reaches[expr] = False
            stack.append((expr, True))
            stack += [(child, False) for child in _below(expr)]
    return order


def _below(expr: Expr) -> tuple[Expr, ...]:
    """The expressions that a value changes with."""
    match expr:
        case Map(op, args):
            return () if op in FLAT else args
        case Choose(_, then, other):
            return (then, other)
        case Reduce("sum" | "prod" | "max" | "min", _, body):
            return (body,)
        case _:
            return ()


def together(terms: list[Term]) -> Term:
    """One term for several over the same indices: under the conditions that all have, the others chosen inside."""
    common = tuple(test for test in terms[0].when if all(test in term.when for term in terms))
    total: Expr | None = None
    for term, times in Counter(terms).items():
        rest = tuple(test for test in term.when if test not in common)
        value = term.value if times == 1 else mul(Const(float(times)), term.value)
        value = Choose(conjunction(rest), value, ZERO) if rest else value
        total = value if total is None else plus(total, value)
    assert total is not None
    scope = frozenset[str]().union(*(term.scope for term in terms))
    return Term(total, scope, common)


def plus(a: Expr, b: Expr) -> Expr:
    """The sum; a difference where one of them is a negative."""
    if isinstance(b, Map) and b.op == "neg":
        return Map("sub", (a, b.args[0]))
    if isinstance(a, Map) and a.op == "neg":
        return Map("sub", (b, a.args[0]))
    return Map("add", (a, b))


def _handed_on(expr: Expr, term: Term) -> list[tuple[Expr, Term]]:
    """What comes in at the parts of an expression, given what comes in at it."""
    match expr:
        case Map("relu", (x,)):
            return [(x, term.where(Map("gt", (x, ZERO))))]
        case Map(_, args):
            found = zip(args, pulled(expr, term.value), strict=True)
            return [(arg, Term(value, term.scope, term.when)) for arg, value in found if value is not None]
        case Choose(test, then, other):
            return [(then, term.where(test)), (other, term.where(negation(test)))]
        case Reduce():
            return [(expr.body, _into(expr, term))]
        case _:
            return []


def _into(expr: Reduce, term: Term) -> Term:
    """What comes in at the points that a reduction folds."""
    scope = term.scope | frozenset(expr.over)
    match expr.op:
        case "sum":
            return Term(term.value, scope, term.when).where(*expr.when)
        case "max" | "min":
            hit = Map("eq", (expr.body, expr))
            ties = Reduce("sum", expr.over, ONE, (*expr.when, hit))
            return Term(div(term.value, ties), scope, term.when).where(*expr.when, hit)
        case _:
            return Term(mul(term.value, others(expr)), scope, term.when).where(*expr.when)


def others(product: Reduce) -> Expr:
    """The product of all points but the one at hand, zeros among them included."""
    x, over, when = product.body, product.over, product.when
    zero, other = Map("eq", (x, ZERO)), Map("ne", (x, ZERO))
    zeros = Reduce("sum", over, Const(1), (*when, zero))
    rest = Reduce("prod", over, x, (*when, other))
    beside = Choose(Map("eq", (zeros, Const(0))), div(rest, x), ZERO)
    return Choose(zero, Choose(Map("eq", (zeros, Const(1))), rest, ZERO), beside)
