"""Conditions that say the same are one: n <= m, m >= n, not n > m and m - n >= 0."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from attnc.ir.cascade import Const, Expr, Map, Type
from attnc.ir.types import type_of
from attnc.passes.derive.reductions import Streamed
from attnc.passes.sums import from_terms, linear_terms

OPPOSITE = {"eq": "ne", "ne": "eq", "lt": "ge", "ge": "lt", "le": "gt", "gt": "le"}
TURNED = {"gt": "lt", "ge": "le"}


def unified(members: Iterable[Streamed], kinds: Callable[[str], Type]) -> tuple[Streamed, ...]:
    """The reductions with every condition in the words in which it occurs first, and none twice.

    Before   max[n](S when n <= m), sum[n](x when m >= n, not n > m)
    After    max[n](S when n <= m), sum[n](x when n <= m)
    Holds    because comparisons of integers are equal where their differences are.
    """
    words: dict[Expr, Expr] = {}

    def plain(tests: tuple[Expr, ...]) -> tuple[Expr, ...]:
        return tuple(dict.fromkeys(words.setdefault(canonical(test, kinds), _positive(test, kinds)) for test in tests))

    return tuple(
        replace(item, pieces=tuple(replace(piece, when=plain(piece.when)) for piece in item.pieces)) for item in members
    )


def _positive(test: Expr, kinds: Callable[[str], Type]) -> Expr:
    """A negated comparison of integers as the opposite one."""
    match test:
        case Map("not", (Map(op, args),)) if op in OPPOSITE and _whole(args, kinds):
            return Map(OPPOSITE[op], args, span=test.span)
        case _:
            return test


def canonical(test: Expr, kinds: Callable[[str], Type]) -> Expr:
    """A form that conditions share which say the same: comparisons as 0 <= difference, negations moved inside."""
    match test:
        case Map("not", (Map("not", (inner,)),)):
            return canonical(inner, kinds)
        case Map("not", (Map("and" | "or" as op, args),)):
            turned = tuple(Map("not", (arg,)) for arg in args)
            return canonical(Map("or" if op == "and" else "and", turned), kinds)
        case Map("not", (Map(op, args),)) if op in OPPOSITE and _whole(args, kinds):
            return canonical(Map(OPPOSITE[op], args), kinds)
        case Map("and" | "or" as op, args):
            parts = {part for arg in args for part in _parts(op, canonical(arg, kinds))}
            return Map(op, tuple(sorted(parts, key=repr)))
        case Map("gt" | "ge" as op, (a, b)):
            return canonical(Map(TURNED[op], (b, a)), kinds)
        case Map("lt" | "le" | "eq" | "ne" as op, (a, b)) if _whole((a, b), kinds):
            return _compared(op, a, b)
        case Map("eq" | "ne" as op, args):
            return Map(op, tuple(sorted(args, key=repr)))
        case _:
            return test


def _compared(op: str, a: Expr, b: Expr) -> Expr:
    """0 <= b - a, or 0 == b - a with the first term positive."""
    terms = linear_terms(Map("sub", (b, a)))
    if op == "lt":
        terms = linear_terms(Map("sub", (Map("sub", (b, a)), Const(1))))
    elif op in ("eq", "ne") and terms and terms[min(terms, key=repr)] < 0:
        terms = {term: -factor for term, factor in terms.items()}
    return Map("le" if op == "lt" else op, (Const(0), from_terms(terms)))


def _parts(op: str, test: Expr) -> tuple[Expr, ...]:
    return test.args if isinstance(test, Map) and test.op == op else (test,)


def _whole(args: tuple[Expr, ...], kinds: Callable[[str], Type]) -> bool:
    return all(type_of(arg, kinds) == "int" for arg in args)
