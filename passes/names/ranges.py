"""`index` lines: which name they declare, and from where to where it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnc.diagnostics import AttnError, error
from attnc.ir import syntax
from attnc.ir.cascade import Const, Expr, Map, Range
from attnc.passes.names.scope import Local
from attnc.passes.names.sizes import check_size

if TYPE_CHECKING:
    from attnc.passes.names.expressions import Resolver

FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def declared_name(item: syntax.Range) -> str:
    """The name that a range declares: the middle one, or the bare one on a side, of two the smaller."""
    args = item.test.args
    if len(args) == 3 and isinstance(args[1], syntax.Name):
        return args[1].name
    for arg in args if item.test.ops[0] in ("<", "<=") else args[::-1]:
        if isinstance(arg, syntax.Name):
            return arg.name
    raise AssertionError("the parser admits only ranges that declare a name")


def declare_pending(resolver: Resolver, name: str) -> None:
    """Enter the range of an index that is needed before its line is reached; nothing where that is done."""
    scope = resolver.scope
    item = scope.pending.get(name)
    if item is None:
        return
    if item in scope.calling:
        raise error("A104", f"the range of {name} depends on its own extent", item.span, "declared here")
    scope.calling = (*scope.calling, item)
    try:
        declare(resolver, item)
    except AttnError:
        scope.broken.add(name)
        raise
    finally:
        scope.calling = scope.calling[:-1]
        scope.pending.pop(name, None)


def declare(resolver: Resolver, item: syntax.Range, local: Local | None = None) -> None:
    """Enter an index with its range; inside a def the index is new, with a name of its own."""
    name = declared_name(item)
    lo, hi = _ends(resolver, item, name, local)
    own = name
    if local is not None:
        if name in local.indices or name in local.values:
            raise error("A137", f"`{name}` has a meaning in this def already", item.span, "declared again here")
        own = resolver.scope.bring(name, item.span)
        local.indices[name] = (own,)
    resolver.scope.ranges[own] = Range(own, lo, hi, span=item.span)


def _ends(resolver: Resolver, item: syntax.Range, name: str, local: Local | None) -> tuple[Expr, Expr]:
    ops, args = item.test.ops, item.test.args
    if len(args) == 3:
        first, last = (ops[0], args[0]), (ops[1], args[2])
        if ops[0] in (">", ">="):  # N > m >= N - M
            first, last = (FLIPPED[ops[1]], args[2]), (FLIPPED[ops[0]], args[0])
        return _from(first[0], _end(resolver, first[1], local)), _to(last[0], _end(resolver, last[1], local))
    ahead = isinstance(args[0], syntax.Name) and args[0].name == name
    op, end = (ops[0], args[1]) if ahead else (FLIPPED[ops[0]], args[0])
    if op not in ("<", "<="):
        raise _no_upper_end(item, name)
    return Const(0), _to(op, _end(resolver, end, local))


def _end(resolver: Resolver, node: syntax.Expr, local: Local | None) -> Expr:
    """An end of a range: an integer that depends on sizes and options alone."""
    end = resolver.of(node, local)
    check_size(resolver.scope, end, node.span, "an end of a range", whole=True)
    return end


def _no_upper_end(item: syntax.Range, name: str) -> AttnError:
    return error(
        "A132",
        "a range is written with `<` or `<=` to its upper end",
        item.span,
        "here",
        helps=(f"write `index {name} < e`",),
    )


def _from(op: str, lo: Expr) -> Expr:
    return lo if op == "<=" else Map("add", (lo, Const(1)))


def _to(op: str, hi: Expr) -> Expr:
    return hi if op == "<" else Map("add", (hi, Const(1)))
