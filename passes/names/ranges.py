"""`index` lines: which name they declare, and from where to where it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnc.diagnostics import error
from attnc.ir import syntax
from attnc.ir.cascade import Const, Expr, Map, Range
from attnc.passes.names.scope import Local

if TYPE_CHECKING:
    from attnc.passes.names.expressions import Resolver

FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def declared_name(item: syntax.Range) -> str:
    """The name that a range declares: the middle one, or the bare one on a side."""
    args = item.test.args
    if len(args) == 3 and isinstance(args[1], syntax.Name):
        return args[1].name
    for arg in args:
        if isinstance(arg, syntax.Name):
            return arg.name
    raise AssertionError("the parser admits only ranges that declare a name")


def declare(resolver: Resolver, item: syntax.Range, local: Local | None = None) -> None:
    """Enter an index with its range; inside a def the index is new, with a name of its own."""
    name = declared_name(item)
    scope, ops, args = resolver.scope, item.test.ops, item.test.args
    own = name
    if local is not None:
        own = next(choice for choice in (name, *(f"{name}_{n}" for n in range(2, 999))) if choice not in scope.ranges)
        local.indices[name] = (own,)
    if len(args) == 3:
        lo, hi = resolver.of(args[0], local), resolver.of(args[2], local)
        scope.ranges[own] = Range(own, _from(ops[0], lo), _to(ops[1], hi), span=item.span)
        return
    first = isinstance(args[0], syntax.Name) and args[0].name == name
    op, end = (ops[0], args[1]) if first else (FLIPPED.get(ops[0], ops[0]), args[0])
    if op not in ("<", "<="):
        raise error(
            "A132",
            "a range is written with `<` or `<=` to its upper end",
            item.span,
            "here",
            helps=(f"write `index {name} < e`",),
        )
    scope.ranges[own] = Range(own, Const(0), _to(op, resolver.of(end, local)), span=item.span)


def _from(op: str, lo: Expr) -> Expr:
    return lo if op == "<=" else Map("add", (lo, Const(1)))


def _to(op: str, hi: Expr) -> Expr:
    return hi if op == "<" else Map("add", (hi, Const(1)))
