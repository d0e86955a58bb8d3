"""Expressions of sizes and options: what depends on data is none, and where a whole number is needed it is one."""

from __future__ import annotations

from attnc.diagnostics import AttnError, error
from attnc.ir.cascade import Choose, Const, Coord, Expr, Input, Map, Read, Size
from attnc.ir.sizes import evaluate
from attnc.ir.walk import walk
from attnc.passes.names.scope import Scope
from attnc.source import Span

HELPS = {
    "an end of a range": "declare the largest range, and restrict values with `where`",
    "a requirement": "what depends on data is tested where it is used: `x where p`",
    "an option": "what varies is an input: a tensor, or a scalar such as `tau[]`",
}


def check_size(scope: Scope, expr: Expr, span: Span, what: str, *, whole: bool = False) -> None:
    """Error A138 for what depends on more than sizes and options, A136 for what is no integer."""
    for node in walk(expr):
        if not isinstance(node, Const | Size | Map | Choose):
            varies = "an index" if isinstance(node, Coord) else "data" if isinstance(node, Read) else "a reduction"
            raise error(
                "A138",
                f"{what} depends on {varies}; it may on sizes and options only",
                node.span if node.span.source is span.source else span,
                "is not the same throughout a call",
                helps=(HELPS.get(what, ""),) if what in HELPS else (),
            )
    if whole and scope.kind(expr) != "int":
        raise not_whole(expr, scope.kind(expr), span, what)
    if scope.kind(expr) != "bool" and not any(isinstance(node, Size) for node in walk(expr)):
        evaluate(expr, {})


def not_whole(expr: Expr, kind: str, span: Span, what: str, given: Input | None = None) -> AttnError:
    """The error for a number that should be an integer; `given` is the input that it is read from."""
    helps: tuple[str, ...] = ()
    if given is not None:
        helps = (f"declare the input `{given.name}[{','.join(given.indices)}]: int`",)
    text = expr.span.text
    if isinstance(expr, Map) and expr.op == "div" and text.count("/") == 1:
        helps = (f"write `{text.replace('/', '//')}` to round down, or `ceil({text})` to round up",)
    return error("A136", f"{what} is an integer, but this is {kind}", span, kind, helps=helps)


def check_requirement(scope: Scope, test: Expr, span: Span) -> None:
    """A requirement is a predicate on sizes and options."""
    check_size(scope, test, span, "a requirement")
    kind = scope.kind(test)
    if kind != "bool":
        usual = "== 0" if isinstance(test, Map) and test.op == "mod" else ">= 1"
        helps = (f"compare it: `require {span.text} {usual}`",)
        raise error("A206", f"`require` wants a boolean, but this is {kind}", span, kind, helps=helps)
