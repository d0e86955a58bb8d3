"""Integer expressions as sums of opaque terms with whole coefficients."""

from __future__ import annotations

from collections.abc import Iterator

from attnc.ir.cascade import Const, Expr, Map

MOST = 256  # terms of a product; one with more stays as it is written


def linear_terms(expr: Expr) -> dict[Expr, int]:
    """An integer expression as a sum of opaque terms with whole coefficients; `Const(1)` stands for the rest."""
    terms: dict[Expr, int] = {}

    def add(node: Expr, factor: int) -> None:
        match node:
            case Const(int() as value) if not isinstance(value, bool):
                terms[Const(1)] = terms.get(Const(1), 0) + factor * value
            case Map("add", (a, b)):
                add(a, factor)
                add(b, factor)
            case Map("sub", (a, b)):
                add(a, factor)
                add(b, -factor)
            case Map("neg", (a,)):
                add(a, -factor)
            case Map("mul", (a, b)) if len(above := linear_terms(a)) * len(beside := linear_terms(b)) <= MOST:
                for one, first in above.items():
                    for two, second in beside.items():
                        term = _product(one, two)
                        terms[term] = terms.get(term, 0) + factor * first * second
            case _:
                terms[node] = terms.get(node, 0) + factor

    add(expr, 1)
    return {term: factor for term, factor in terms.items() if factor}


def _product(a: Expr, b: Expr) -> Expr:
    """A product in one order of its factors, so that equal products are equal nodes."""
    factors = [factor for factor in (*_factors(a), *_factors(b)) if factor != Const(1)]
    if not factors:
        return Const(1)
    first, *others = sorted(factors, key=repr)
    for factor in others:
        first = Map("mul", (first, factor))
    return first


def _factors(x: Expr) -> Iterator[Expr]:
    match x:
        case Map("mul", (a, b)):
            yield from _factors(a)
            yield from _factors(b)
        case _:
            yield x


def from_terms(terms: dict[Expr, int]) -> Expr:
    """The sum of the terms: positive ones first, the constant last."""
    total: Expr | None = None
    order = sorted(terms.items(), key=lambda item: (item[0] == Const(1), item[1] < 0, repr(item[0])))
    for term, factor in order:
        size = abs(factor)
        value: Expr = Const(size) if term == Const(1) else term if size == 1 else Map("mul", (Const(size), term))
        if total is None:
            total = value if factor > 0 else Const(-size) if term == Const(1) else Map("neg", (value,))
        else:
            total = Map("add" if factor > 0 else "sub", (total, value))
    return Const(0) if total is None else total


def normal(expr: Expr) -> Expr:
    """An integer expression in one order of terms, so that equal sums are equal nodes."""
    return from_terms(linear_terms(expr))
