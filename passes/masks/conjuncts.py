"""Conditions as alternatives of conjuncts, integer comparisons among them in the form d >= 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

from attnc.ir.cascade import Choose, Const, Expr, Map, Size, Type
from attnc.passes.sums import from_terms, linear_terms

MOST = 8  # alternatives; beyond them a disjunction is tested in every tile instead
KindOf: TypeAlias = Callable[[Expr], Type]


@dataclass(frozen=True, slots=True)
class AtLeastZero:
    """The conjunct `value >= 0` of an integer."""

    value: Expr


@dataclass(frozen=True, slots=True)
class Opaque:
    """A conjunct that is no comparison of integers."""

    test: Expr


Conjunct: TypeAlias = AtLeastZero | Opaque
Alternatives: TypeAlias = tuple[tuple[Conjunct, ...], ...]

_OPPOSITE = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt", "eq": "ne", "ne": "eq"}


def alternatives(tests: tuple[Expr, ...], kind: KindOf) -> Alternatives:
    """The conjunction of the tests as a disjunction of conjunctions.

    Before   n <= m and (m - n < W or n < 4)
    After    m - n >= 0, n - m + W - 1 >= 0;  m - n >= 0, 3 - n >= 0
    Holds    by distribution; a test that would make more than a few alternatives stays whole.
    """
    found: Alternatives = ((),)
    for test in tests:
        split = _split(test, kind)
        if len(split) * len(found) > MOST:
            split = ((Opaque(test),),)
        found = _both(found, split)
    return found


def _both(a: Alternatives, b: Alternatives) -> Alternatives:
    return tuple((*one, *other) for one, other in product(a, b))


def _split(test: Expr, kind: KindOf) -> Alternatives:
    match test:
        case Const(bool() as value):
            return ((),) if value else ()
        case Map("and", args):
            return alternatives(args, kind)
        case Map("or", args):
            found = tuple(item for arg in args for item in _split(arg, kind))
            return found if len(found) <= MOST else ((Opaque(test),),)
        case Map("not", (inner,)):
            return _negated(inner, kind)
        case Choose(when, then, other):
            return (*_both(_split(when, kind), _split(then, kind)), *_both(_negated(when, kind), _split(other, kind)))
        case Map("lt" | "le" | "gt" | "ge" | "eq" | "ne" as op, (a, b)) if "real" not in (kind(a), kind(b)):
            return _compared(op, a, b, kind)
        case _:
            return ((Opaque(test),),)


def _negated(test: Expr, kind: KindOf) -> Alternatives:
    match test:
        case Const(bool() as value):
            return _split(Const(not value), kind)
        case Map("not", (inner,)):
            return _split(inner, kind)
        case Map("and" | "or" as op, args):
            other = "or" if op == "and" else "and"
            return _split(Map(other, tuple(Map("not", (arg,)) for arg in args)), kind)
        case Map(op, (a, b)) if op in _OPPOSITE and "real" not in (kind(a), kind(b)):
            return _split(Map(_OPPOSITE[op], (a, b)), kind)
        case _:
            return ((Opaque(Map("not", (test,))),),)


def _compared(op: str, a: Expr, b: Expr, kind: KindOf) -> Alternatives:
    if kind(a) == kind(b) == "bool":
        return ((Opaque(Map(op, (a, b))),),)
    less, more = Map("sub", (b, a)), Map("sub", (a, b))
    match op:
        case "le":
            return _at_least(less)
        case "lt":
            return _at_least(_minus_one(less))
        case "ge":
            return _at_least(more)
        case "gt":
            return _at_least(_minus_one(more))
        case "eq":
            return _both(_at_least(less), _at_least(more))
        case _:
            return (*_at_least(_minus_one(less)), *_at_least(_minus_one(more)))


def _minus_one(value: Expr) -> Expr:
    return Map("sub", (value, Const(1)))


def _at_least(value: Expr) -> Alternatives:
    """value >= 0 with minima, maxima and absolute values in it taken apart."""
    terms = linear_terms(value)
    for term, factor in terms.items():
        if not isinstance(term, Map) or term.op not in ("abs", "min", "max") or abs(factor) != 1:
            continue
        args = term.args if term.op != "abs" else (term.args[0], Map("neg", (term.args[0],)))
        rest = from_terms({other: count for other, count in terms.items() if other != term})
        op = "add" if factor > 0 else "sub"
        split = [_at_least(Map(op, (rest, arg))) for arg in args]
        if (term.op == "min") == (factor > 0):  # every argument must do
            found: Alternatives = ((),)
            for one in split:
                found = _both(found, one)
        else:
            found = tuple(item for one in split for item in one)
        if len(found) <= MOST:
            return found
    if all(factor > 0 and _never_negative(term) for term, factor in terms.items()):
        return ((),)
    return ((AtLeastZero(from_terms(terms)),),)


def _never_negative(term: Expr) -> bool:
    match term:
        case Size():
            return True
        case Const(int() as value):
            return value >= 0
        case Map("mod", (_, Const(int() as divisor))):
            return divisor > 0
        case _:
            return False
