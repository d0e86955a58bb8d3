"""Types: conditions are booleans, positions integers, masks and scores what they say."""

from __future__ import annotations

from collections.abc import Iterator

from attnc.diagnostics import Diagnostic, error
from attnc.ir.cascade import Choose, Expr, Map, Order, Read, Reduce, Uniform, Where
from attnc.ir.node import Node
from attnc.ir.walk import walk
from attnc.passes.names.scope import Claim, Scope
from attnc.passes.names.sizes import not_whole
from attnc.source import Span

WORDS = {Where: "where", Choose: "if"}


def mistyped(scope: Scope, root: Node, statement: Span) -> Iterator[Diagnostic]:
    """The places in an expression where a value of another type is needed."""
    for node in walk(root):
        match node:
            case Where(_, test) | Choose(test, _, _):
                yield from _boolean(scope, test, WORDS[type(node)], statement)
            case Map("and" | "or" | "not" as word, args):
                for arg in args:
                    yield from _boolean(scope, arg, word, statement)
            case Reduce("any" | "all" as word, _, body):
                yield from _boolean(scope, body, f"{word}[..]", statement)
            case Map("floordiv" | "mod" as op, args):
                sign = "//" if op == "floordiv" else "%"
                for arg in args:
                    yield from _whole(scope, arg, f"an operand of `{sign}`", statement)
            case Read(_, subs):
                for sub in subs:
                    yield from _whole(scope, sub, "a subscript", statement)
            case Order(op, _, _, k) if k is not None:
                yield from _whole(scope, k, f"the count of `{op}`" if op == "topk" else "the rank of `kth`", statement)
            case Uniform(_, seed):
                yield from _whole(scope, seed, "a seed", statement)


def _boolean(scope: Scope, test: Expr, word: str, statement: Span) -> Iterator[Diagnostic]:
    kind = scope.kind(test)
    if kind != "bool":
        text = test.span.text
        helps = (f"compare it: `{text} != 0`",) if text else ("compare it with a number",)
        found = error(
            "A206", f"`{word}` wants a boolean, but this is {kind}", _place(test, statement), kind, helps=helps
        )
        yield from found.diagnostics


def _whole(scope: Scope, value: Expr, what: str, statement: Span) -> Iterator[Diagnostic]:
    kind = scope.kind(value)
    if kind != "int" and not (kind == "bool" and "operand" in what):
        given = scope.inputs.get(value.tensor) if isinstance(value, Read) else None
        yield from not_whole(value, kind, _place(value, statement), what, given).diagnostics


def _place(node: Expr, statement: Span) -> Span:
    return node.span if node.span.text else statement


def unfit(scope: Scope, claim: Claim) -> Iterator[Diagnostic]:
    """The mistake of a value that is not of the type that its def declares."""
    kind = scope.kind(claim.value)
    if kind not in claim.kinds:
        remark = "declared here" if claim.code == "A131" else "called here"
        yield from error(
            claim.code,
            f"{claim.what}, but this is {kind}",
            claim.span,
            kind,
            clashes=((claim.declared, remark),) if claim.declared is not None else (),
            helps=_mend(claim, kind),
        ).diagnostics


def _mend(claim: Claim, kind: str) -> tuple[str, ...]:
    text = claim.span.text
    match claim.kinds, kind:
        case ("bool",), _:
            return (
                (f"compare: `{text} != 0`", "or declare it with `def`")
                if claim.code == "A135"
                else ("compare it with a number",)
            )
        case ("real",), "int":
            return ("write `1.0 * (..)`, or declare it with `def`",)
        case ("real",), _:
            return ("a score is a number: choose one, `x if p else y`, or declare a `mask`",)
        case _:
            return ()
