"""Sums of products that cancel by the algebra, of which arithmetic would leave its rounding."""

from __future__ import annotations

import math
from collections import defaultdict

from attnc.ir.cascade import Choose, Const, Expr, Map, Reduce
from attnc.ir.indices import free_indices
from attnc.passes.differentiate.pullback import ONE, ZERO, div
from attnc.passes.simplify import negation

MOST = 256  # terms; a sum of more is not looked into
LOW = Const(-math.inf)

Product = tuple[tuple[str, ...], tuple[Expr, ...]]  # the indices summed over, and the factors
Terms = dict[Product, float]


def cancels(expr: Expr) -> bool:
    """Whether an expression is 0 wherever its parts are finite.

    Before   (sum[u](exp(S - L)) * d) * p - sum[u](p * d * exp(S - L))
    After    1 * [sum over u of d, exp(S - L), p] - 1 * [sum over u of d, exp(S - L), p]
    Holds    because factors without u go into the sum, and conditions are factors of 1 and 0.
    """
    return not any(_terms(expr).values())


def _terms(expr: Expr) -> Terms:
    """An expression as sums of products with coefficients; one that is none of these is a factor."""
    match expr:
        case Const(int() | float() as value) if math.isfinite(value):
            return {((), ()): float(value)}
        case Map("add", (a, b)):
            return _added(_terms(a), _terms(b))
        case Map("sub", (a, b)):
            return _added(_terms(a), _scaled(_terms(b), -1.0))
        case Map("neg", (a,)):
            return _scaled(_terms(a), -1.0)
        case Map("mul", (a, b)):
            return _product(_terms(a), _terms(b), expr)
        case Map("div", (a, b)) if a != ONE:
            return _product(_terms(a), _factor(div(ONE, b)), expr)
        case Reduce("sum", over, body, when):
            return _summed(over, _under(when, _terms(body)), expr)
        case Choose(test, then, other):
            return _chosen(test, then, other, expr)
        case _:
            return _factor(expr)


def _factor(expr: Expr) -> Terms:
    return {((), (expr,)): 1.0}


def _scaled(terms: Terms, by: float) -> Terms:
    return {product: value * by for product, value in terms.items()}


def _added(*sums: Terms) -> Terms:
    found: dict[Product, float] = defaultdict(float)
    for terms in sums:
        for product, value in terms.items():
            found[product] += value
    return found


def _product(one: Terms, other: Terms, whole: Expr) -> Terms:
    """Every term times every other, unless a sum would take an index of a factor outside of it for its own."""
    if len(one) * len(other) > MOST or any(_clash(a, b) for a in one for b in other):
        return _factor(whole)
    pairs = [(a, b, x * y) for a, x in one.items() for b, y in other.items()]
    return _added(*({_together(a, b): value} for a, b, value in pairs))


def _clash(a: Product, b: Product) -> bool:
    return any(not _free(left).isdisjoint(right[0]) for left, right in ((a, b), (b, a)))


def _free(product: Product) -> frozenset[str]:
    return frozenset(product[0]).union(*map(free_indices, product[1]))


def _together(a: Product, b: Product) -> Product:
    return tuple(sorted(a[0] + b[0])), tuple(sorted((*a[1], *b[1]), key=repr))


def _summed(over: tuple[str, ...], terms: Terms, whole: Expr) -> Terms:
    if any(not set(over).isdisjoint(product[0]) for product in terms):
        return _factor(whole)
    return _added(*({_together((over, ()), product): value} for product, value in terms.items()))


def _under(tests: tuple[Expr, ...], terms: Terms) -> Terms:
    """The terms where all tests hold: a test that is among the factors already is asked once."""
    asked = [Choose(test, ONE, ZERO) for test in tests]
    left = {product: tuple(item for item in asked if item not in product[1]) for product in terms}
    return _added(*({_together(product, ((), left[product])): value} for product, value in terms.items()))


def _chosen(test: Expr, then: Expr, other: Expr, whole: Expr) -> Terms:
    """Both sides under their conditions; 0 for a score of -inf where the exponential of that score is 0 anyway."""
    match test, then:
        case Map("eq", (x, Const() as low)), Const(0.0) if low == LOW:
            terms = _terms(other)
            if all(any(_falls_with(factor, x) for factor in product[1]) for product in terms):
                return terms
    if whole == Choose(test, ONE, ZERO):
        return _factor(whole)
    return _added(_under((test,), _terms(then)), _under((negation(test),), _terms(other)))


def _falls_with(factor: Expr, score: Expr) -> bool:
    """Whether a factor is an exponential that is 0 where a score is -inf."""
    match factor:
        case Map("exp", (Map("sub" | "shift", (x, _)),)):
            return x == score
        case _:
            return False
