"""Brackets behind a name or an expression: elements of tensors, and expressions read elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnc.diagnostics import error
from attnc.ir import syntax
from attnc.ir.cascade import Expr, Read
from attnc.ir.indices import at, captures
from attnc.passes.names.mistakes import follows, unknown
from attnc.passes.names.reads import read
from attnc.passes.names.scope import DEF_NOTE, Local

if TYPE_CHECKING:
    from attnc.passes.names.expressions import Resolver


def subscripted(resolver: Resolver, node: syntax.At, local: Local | None) -> Expr:
    """A read, or a re-read `x[n = e]`."""
    scope = resolver.scope
    _check_brackets(node)
    if any(isinstance(sub, syntax.Reindex) for sub in node.subs):
        return _reindexed(resolver, node, local)
    if not isinstance(node.x, syntax.Name):
        raise error(
            "A121",
            "brackets follow the name of a tensor",
            node.span,
            "this is an expression",
            helps=("re-read an expression with `(..)[n = e]`",),
        )
    name = node.x.name
    given = scope.inputs.get(name) if local is None else None
    own = given.indices if given is not None and len(given.indices) == len(node.subs) else ("",) * len(node.subs)
    subs = tuple(
        resolver.position(sub, local, meant)
        for sub, meant in zip(node.subs, own, strict=True)
        if not isinstance(sub, syntax.All | syntax.Reindex)
    )
    if local is not None:
        return _argument_at(resolver, node, subs, local)
    if name in scope.broken:
        raise follows()
    if name not in scope.inputs and name not in scope.places:
        raise unknown(name, node.x.span, scope.known(), "tensor")
    if name not in scope.inputs:
        scope.defined(name, node.span)
    return read(scope, name, subs, node.span)


def _reindexed(resolver: Resolver, node: syntax.At, local: Local | None) -> Expr:
    """`x[n = e]`: the expression x at another value of n."""
    values: dict[str, Expr] = {}
    for sub in node.subs:
        if not isinstance(sub, syntax.Reindex):
            raise error("A122", "`x[n = e]` re-reads x: no plain subscripts beside it", sub.span, "which axis is this?")
        values[resolver.one_index(sub.name, sub.span, local)] = resolver.of(sub.value, local)
    value = resolver.of(node.x, local)
    if captures(value, values):
        raise error(
            "A122",
            "this re-read would move an index under a reduction over it",
            node.span,
            "an index of the new position is bound inside",
            helps=("name the expression in a statement of its own, and read that",),
        )
    return at(value, values)


def _argument_at(resolver: Resolver, node: syntax.At, subs: tuple[Expr, ...], local: Local) -> Expr:
    """An argument of a def at positions: it must be an element of a tensor."""
    assert isinstance(node.x, syntax.Name)
    value = local.values.get(node.x.name)
    if value is None:
        raise unknown(node.x.name, node.x.span, local.values, "argument", DEF_NOTE)
    if isinstance(value, Read) and len(value.subs) == len(subs):
        return read(resolver.scope, value.tensor, subs, node.span)
    raise error(
        "A122", "an argument is read at other indices with `x[n = e]`", node.span, "positions are not known here"
    )


def _check_brackets(node: syntax.At) -> None:
    """A read has subscripts only; what order operations and calls have besides means nothing here."""
    if node.slots or node.extras:
        raise error("A125", "`->` and `;` in brackets belong to order operations", node.span, "this reads a tensor")
    for sub in node.subs:
        if isinstance(sub, syntax.All):
            raise error(
                "A125",
                "`:` keeps an axis of the argument of a call; a read has an index there",
                sub.span,
                "which position?",
                helps=("write the index of this axis",),
            )
