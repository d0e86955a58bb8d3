"""Expressions walked point by point: every node with the conditions under which its value matters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, cast

from attnc.ir.cascade import Choose, Const, Default, Exists, Expr, Map, Where
from attnc.ir.node import Node
from attnc.ir.walk import children, rebuild


@dataclass(frozen=True, slots=True)
class Condition:
    """A test that holds around a node: a `where` clause, the side of an `if` that is taken.

    `default` and `exists` around a node are noted too: what is absent there is meant to be.
    """

    test: Expr
    kind: Literal["clause", "branch", "absence"]


Conditions: TypeAlias = tuple[Condition, ...]
ABSENCE = Condition(Const(True), "absence")


def points(node: Node, around: Conditions = ()) -> Iterator[tuple[Node, Conditions]]:
    """The node and everything below it, each with the conditions around it."""
    yield node, around
    match node:
        case Where(x, test):
            yield from points(x, (*around, Condition(test, "clause")))
            yield from points(test, around)
        case Choose(test, then, other):
            yield from points(test, around)
            yield from points(then, (*around, Condition(test, "branch")))
            yield from points(other, (*around, _otherwise(test)))
        case Default(x, other):
            yield from points(x, (*around, ABSENCE))
            yield from points(other, around)
        case Exists(x):
            yield from points(x, (*around, ABSENCE))
        case _:
            for child in children(node):
                yield from points(child, around)


def rebuilt(node: Expr, change: Callable[[Expr, Conditions], Expr], around: Conditions = ()) -> Expr:
    """The expression with `change` applied to every node, innermost first."""

    def below(child: Node, *more: Condition) -> Expr:
        return rebuilt(cast(Expr, child), change, (*around, *more))

    match node:
        case Where(x, test):
            inner: Expr = replace(node, x=below(x, Condition(test, "clause")), test=below(test))
        case Choose(test, then, other):
            first, second = below(then, Condition(test, "branch")), below(other, _otherwise(test))
            inner = replace(node, test=below(test), then=first, other=second)
        case Default(x, other):
            inner = replace(node, x=below(x, ABSENCE), other=below(other))
        case Exists(x):
            inner = replace(node, x=below(x, ABSENCE))
        case _:
            inner = rebuild(node, below)
    return change(inner, around)


def _otherwise(test: Expr) -> Condition:
    return Condition(Map("not", (test,)), "branch")
