"""Divisors among sizes: one that can be 0 is a mistake, for what is divided by it would not exist."""

from __future__ import annotations

from collections.abc import Iterator

from attnc.diagnostics import AttnError, Diagnostic, error
from attnc.ir.cascade import Choose, Const, Coord, Expr, Map, Size
from attnc.ir.node import Node
from attnc.ir.print_expression import show
from attnc.ir.walk import walk
from attnc.passes.names.scope import CALLER, Scope
from attnc.passes.prove import Facts
from attnc.passes.sums import normal
from attnc.source import Span


def zero_divisors(scope: Scope, facts: Facts, root: Node, statement: Span) -> Iterator[Diagnostic]:
    """The divisors, moduli and denominators of roundings under a node that can be 0, the innermost first."""
    wrong: list[Node] = []
    for node in reversed(list(walk(root))):
        divisor = _divisor(scope, node)
        if divisor is None or any(below in wrong for below in walk(divisor)):
            continue
        assert isinstance(node, Map)
        positions = {below for below in walk(node) if isinstance(below, Coord)}
        here = facts.also(*(Map("le", (facts.ranges(at.index).lo, at)) for at in positions))
        if not any(here.implies(Map(sign, (divisor, Const(0)))) for sign in ("gt", "lt")):
            wrong.append(node)
            yield from _can_be_zero(node, divisor, _mend(here, divisor), statement, scope.call).diagnostics


def _divisor(scope: Scope, node: Node) -> Expr | None:
    """The divisor of an integer division, if it is made of sizes alone."""
    match node:
        case Map("floordiv" | "mod", (_, divisor)):
            pass
        case Map("ceil" | "floor" | "round", (Map("div", (a, divisor)),)) if _is_size(a):
            pass
        case _:
            return None
    return divisor if _is_size(divisor) and scope.kind(divisor) != "real" else None


def _is_size(expr: Expr) -> bool:
    return all(isinstance(node, Size | Const | Map | Choose) for node in walk(expr))


def _mend(facts: Facts, divisor: Expr) -> str:
    """The requirement that makes a divisor positive: that x // y leaves no rest, where that is enough."""
    above = Map("lt", (Const(0), divisor))
    match divisor:
        case Map("floordiv", (x, y)):
            exact = Map("eq", (Map("mod", (x, y)), Const(0)))
            if facts.also(exact).implies(above):
                return show(exact, _capital)
    return f"{show(divisor, _capital)} >= 1"


def _capital(index: str) -> str:
    """A size as it is written; of a caller's size the caller's name."""
    return index.removeprefix(CALLER).upper()


def _can_be_zero(node: Map, divisor: Expr, mend: str, statement: Span, call: Span | None) -> AttnError:
    written = divisor.span.text or show(divisor)
    zero = normal(divisor) == Const(0)
    clashes = [(statement, "in this statement")] if node.span.source is not statement.source else []
    clashes += [(call, "called here")] if call is not None else []
    helps = ("give it another value",) if zero else (f"`require {mend}`",)
    return error(
        "A209",
        f"`{written}` is 0, and this divides by it" if zero else f"`{written}` can be 0, and this divides by it",
        node.span if node.span.text else statement,
        "does not exist then",
        clashes=clashes,
        helps=helps,
    )
