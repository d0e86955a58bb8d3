"""Integer expressions as polynomials: what is no sum or product is an atom that `Facts` knows something about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import gcd
from typing import TypeAlias

from attnc.ir.cascade import Choose, Const, Expr, Map, Type
from attnc.passes.prove.polynomials import (
    UNIT,
    Frozen,
    Polynomial,
    constant,
    frozen,
    minus,
    number,
    plus,
    scaled,
    times,
    without,
)

MOST = 256  # terms of a product; one with more is not looked into
Kind: TypeAlias = Callable[[Expr], Type]


@dataclass(frozen=True, slots=True)
class Named:
    """A size, a position, an element of an integer tensor: anything that is not looked into."""

    expr: Expr


@dataclass(frozen=True, slots=True)
class Quotient:
    """floor(x / d)."""

    x: Frozen
    d: Frozen


@dataclass(frozen=True, slots=True)
class Largest:
    """The maximum of its arguments."""

    args: tuple[Frozen, ...]


@dataclass(frozen=True, slots=True)
class Chosen:
    """`then if test else other`."""

    test: Expr
    then: Frozen
    other: Frozen


Atom: TypeAlias = Named | Quotient | Largest | Chosen


class Atoms:
    """Atoms by number; equal ones have one, so that equal expressions are equal polynomials."""

    def __init__(self, kind: Kind) -> None:
        """No atoms yet; `kind` gives the types of expressions."""
        self.kind = kind
        self._numbers: dict[Atom, int] = {}
        self._all: list[Atom] = []
        self._known: dict[Expr, Polynomial] = {}

    def __getitem__(self, atom: int) -> Atom:
        return self._all[atom]

    def of(self, expr: Expr) -> Polynomial:
        """An integer expression as a polynomial, where its divisors are not 0."""
        if expr not in self._known:
            self._known[expr] = self._of(expr)
        return self._known[expr]

    def whole(self, *exprs: Expr) -> bool:
        """Whether the expressions are integers."""
        return all(self.kind(expr) != "real" for expr in exprs)

    def _of(self, expr: Expr) -> Polynomial:
        match expr:
            case Const(int() as value):
                return constant(int(value))
            case Map("add", (a, b)):
                return plus(self.of(a), self.of(b))
            case Map("sub", (a, b)):
                return minus(self.of(a), self.of(b))
            case Map("neg", (a,)):
                return scaled(self.of(a), -1)
            case Map("mul", (a, b)) if len(self.of(a)) * len(self.of(b)) <= MOST:
                return times(self.of(a), self.of(b))
            case Map("pow", (a, Const(int() as exponent))) if 1 <= exponent <= 4:
                return times(self.of(a), self.of(Map("pow", (a, Const(exponent - 1))))) if exponent > 1 else self.of(a)
            case Map("floordiv" | "mod" | "floor" | "ceil" | "round" | "int" | "stop"):
                return self._rounded(expr)
            case Map("max" | "min" | "abs" | "relu" | "clamp"):
                return self._extreme(expr)
            case Choose(test, then, other):
                return self._atom(Chosen(test, frozen(self.of(then)), frozen(self.of(other))))
            case _:
                return self._atom(Named(expr))

    def _rounded(self, expr: Map) -> Polynomial:
        match expr:
            case Map("floordiv", (a, b)):
                return self.quotient(self.of(a), self.of(b))
            case Map("mod", (a, b)):
                x, d = self.of(a), self.of(b)
                return minus(x, times(d, self.quotient(x, d)))
            case Map("floor", (Map("div", (a, b)),)) if self.whole(a, b):
                return self.quotient(self.of(a), self.of(b))
            case Map("ceil", (Map("div", (a, b)),)) if self.whole(a, b):
                return scaled(self.quotient(scaled(self.of(a), -1), self.of(b)), -1)
            case Map("floor" | "ceil" | "round" | "int" | "stop", (a,)) if self.whole(a):
                return self.of(a)
            case _:
                return self._atom(Named(expr))

    def _extreme(self, expr: Map) -> Polynomial:
        args = [self.of(arg) for arg in expr.args]
        match expr.op, args:
            case "max", _:
                return self._largest(args)
            case "min", _:
                return scaled(self._largest([scaled(arg, -1) for arg in args]), -1)
            case "abs", (a,):
                return self._largest([a, scaled(a, -1)])
            case "relu", (a,):
                return self._largest([a, {}])
            case _, (a, lo, hi):  # clamp
                return scaled(self._largest([scaled(self._largest([a, lo]), -1), scaled(hi, -1)]), -1)
            case _:
                return self._atom(Named(expr))

    def _largest(self, args: list[Polynomial]) -> Polynomial:
        different = dict.fromkeys(frozen(arg) for arg in args)
        return dict(args[0]) if len(different) == 1 else self._atom(Largest(tuple(different)))

    def quotient(self, x: Polynomial, d: Polynomial) -> Polynomial:
        """floor(x / d) where d is not 0: (a * d + rest) // d is a + rest // d."""
        divisor = number(d)
        if divisor is not None and divisor < 0:
            x, d, divisor = scaled(x, -1), constant(-divisor), -divisor
        if len(d) != 1:
            return self._atom(Quotient(frozen(x), frozen(d)))
        whole, rest = _extracted(x, d)
        if not rest or (divisor is not None and rest.keys() == {UNIT}):
            return whole
        shared = gcd(*rest.values(), *d.values())
        return plus(whole, self._atom(Quotient(frozen(_divided(rest, shared)), frozen(_divided(d, shared)))))

    def _atom(self, atom: Atom) -> Polynomial:
        if atom not in self._numbers:
            self._numbers[atom] = len(self._all)
            self._all.append(atom)
        return {(self._numbers[atom],): 1}


def _extracted(x: Polynomial, d: Polynomial) -> tuple[Polynomial, Polynomial]:
    """The terms of x that d divides, divided, and the others; of the constant its multiple of d."""
    ((monomial, factor),) = d.items()
    whole: Polynomial = {}
    rest: Polynomial = {}
    for term, value in x.items():
        left = without(term, monomial)
        if left is None or (value % factor and term):
            rest[term] = value
            continue
        whole = plus(whole, {left: value // factor} if value // factor else {})
        rest |= {term: value % factor} if value % factor else {}
    return whole, rest


def _divided(a: Polynomial, divisor: int) -> Polynomial:
    return {monomial: value // divisor for monomial, value in a.items()}
