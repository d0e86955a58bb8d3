"""Algebraic laws, one line each, and constant folding.

Only laws that hold for every value are here, infinities and NaN included: `x * 0` is not 0, `x - x`
is not 0 for reals. Integers have no such values, so they have more laws. Expressions are explicit:
in stated form a comparison also says that its operands exist, and `n == n` is not true there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import cast

from attnc.ir.cascade import Choose, Const, Expr, Map, Size, Type
from attnc.ir.indices import free_indices
from attnc.ir.node import Node
from attnc.ir.types import type_of
from attnc.ir.walk import bottom_up
from attnc.passes.constants import folded
from attnc.passes.sums import from_terms, linear_terms

TRUE, FALSE = Const(True), Const(False)
NEGATED = {"eq": "ne", "ne": "eq", "lt": "ge", "ge": "lt", "le": "gt", "gt": "le"}

Types = Callable[[str], Type]


def simplify(expr: Expr, tensors: Types) -> Expr:
    """The expression with every law applied, innermost first.

    Before   default-free arithmetic with constants, e.g. 2 * 3 * x + 0
    After    6 * x
    Holds    because each law below is an equation on all values of the types it asks for.
    """

    def rule(node: Node) -> Node | None:
        changed = _step(cast(Expr, node), tensors)
        return None if changed is node else replace(changed, span=node.span)

    return cast(Expr, bottom_up(expr, rule))


def simplify_condition(test: Expr, tensors: Types) -> Expr:
    """The condition simplified; one that is not plainly true keeps every index that it mentions."""
    shorter = simplify(test, tensors)
    same = free_indices(shorter) == free_indices(test)
    return shorter if same or shorter == TRUE else test


def conjunction(tests: tuple[Expr, ...]) -> Expr:
    """One boolean that holds where all do."""
    flat = tuple(_flat("and", tests))
    return TRUE if not flat else flat[0] if len(flat) == 1 else Map("and", flat)


def disjunction(tests: tuple[Expr, ...]) -> Expr:
    """One boolean that holds where any does."""
    flat = tuple(_flat("or", tests))
    return FALSE if not flat else flat[0] if len(flat) == 1 else Map("or", flat)


def negation(test: Expr) -> Expr:
    """The boolean that holds where `test` does not."""
    return _logic(Map("not", (test,), span=test.span))


def _step(expr: Expr, tensors: Types) -> Expr:
    match expr:
        case Map(op, args) if all(isinstance(arg, Const) for arg in args):
            number = folded(op, tuple(arg.value for arg in args if isinstance(arg, Const)))
            return expr if number is None else Const(number)
        case Map("and" | "or" | "not"):
            return _logic(expr)
        case Map():
            return _arithmetic(expr, lambda node: type_of(node, tensors))
        case Choose(test, then, other):
            return _choice(expr, test, then, other)
        case _:
            return expr


def _choice(expr: Choose, test: Expr, then: Expr, other: Expr) -> Expr:
    match test:
        case Const(True):  # x if true else y = x
            return then
        case Const(False):  # x if false else y = y
            return other
    match then, other:
        case Const(True), Const(False):  # true if p else false = p
            return test
    return then if then == other else expr  # x if p else x = x


def _logic(expr: Map) -> Expr:
    match expr:
        case Map("not", (Const(bool() as value),)):  # not true = false
            return Const(not value)
        case Map("not", (Map("not", (x,)),)):  # not not p = p
            return x
        case Map("not", (Map("eq" | "ne" as op, args),)):  # not a == b = a != b
            return Map(NEGATED[op], args)
        case Map("and", args):
            return _junction("and", args, unit=TRUE, zero=FALSE)
        case Map("or", args):
            return _junction("or", args, unit=FALSE, zero=TRUE)
        case _:
            return expr


def _junction(op: str, args: tuple[Expr, ...], unit: Const, zero: Const) -> Expr:
    flat = tuple(dict.fromkeys(arg for arg in _flat(op, args) if arg != unit))  # p and true = p, p and p = p
    if zero in flat:  # p and false = false
        return zero
    return unit if not flat else flat[0] if len(flat) == 1 else Map(op, flat)


def _flat(op: str, args: tuple[Expr, ...]) -> Iterator[Expr]:
    for arg in args:
        match arg:
            case Map(inner, below) if inner == op:  # (p and q) and r = p and q and r
                yield from _flat(op, below)
            case _:
                yield arg


def _arithmetic(expr: Map, kind: Callable[[Expr], Type]) -> Expr:
    match expr:
        case Map("neg", (Map("neg", (x,)),)) if kind(x) != "bool":  # -(-x) = x
            return x
        case Map("sub", (x, Const(0 as zero))) if _keeps(x, zero, kind):  # x - 0 = x
            return x
        case Map("mul", (x, Const(1 as one))) | Map("mul", (Const(1 as one), x)) if _keeps(x, one, kind):
            return x  # x * 1 = x
        case Map("div", (x, Const(1))) if kind(x) == "real":  # x / 1 = x
            return x
        case Map("pow", (x, Const(1 as one))) if _keeps(x, one, kind):  # x ** 1 = x
            return x
        case Map("floordiv", (x, Const(1))) if kind(x) == "int":  # x // 1 = x on integers
            return x
        case Map("mod", (x, Const(1))) if kind(x) == "int":  # x % 1 = 0 on integers
            return Const(0)
        case Map("mul", (x, Const(0 as zero))) | Map("mul", (Const(0 as zero), x)) if kind(expr) == "int":
            return Const(zero)  # x * 0 = 0 on integers
        case Map("real", (x,)) if kind(x) == "real":  # real(x) = x
            return x
        case Map("int", (x,)) if kind(x) == "int":  # int(n) = n
            return x
        case Map("stop", (Map("stop", (x,)),)):  # stop(stop(x)) = stop(x)
            return Map("stop", (x,))
        case Map("eq" | "le" | "ge", (x, y)) if x == y and kind(x) == "int":  # n == n
            return TRUE
        case Map("ne" | "lt" | "gt", (x, y)) if x == y and kind(x) == "int":  # not n != n
            return FALSE
        case Map("le", (Const(int() as value), Size())) if value <= 0:  # 0 <= N
            return TRUE
        case Map("ge", (Size(), Const(int() as value))) if value <= 0:  # N >= 0
            return TRUE
        case Map("sub" | "add", _) if kind(expr) == "int":
            return _linear(expr, kind)
        case _:
            return expr


def _keeps(x: Expr, constant: bool | int | float, kind: Callable[[Expr], Type]) -> bool:
    """Whether x keeps its type beside this constant, so that the constant may go."""
    return not isinstance(constant, bool) and (kind(x) == "real" or (kind(x) == "int" and isinstance(constant, int)))


def _linear(expr: Expr, kind: Callable[[Expr], Type]) -> Expr:
    """An integer sum with equal terms gathered: (N + 1) - 1 = N, i - i = 0."""
    terms = linear_terms(expr)
    if len(terms) >= _count(expr) or any(kind(term) != "int" for term in terms):
        return expr
    return from_terms(terms)


def _count(expr: Expr) -> int:
    match expr:
        case Map("add" | "sub", (a, b)):
            return _count(a) + _count(b)
        case _:
            return 1
