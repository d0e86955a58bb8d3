"""What a call of an attention is given: options by name, tensors or slices of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from attnc.diagnostics import error
from attnc.ir import syntax
from attnc.ir.cascade import Cascade, Expr, Read, Size
from attnc.ir.node import Node
from attnc.ir.sizes import evaluate
from attnc.ir.walk import bottom_up, walk
from attnc.passes.names.expressions import Resolver
from attnc.passes.names.macros import FITTING
from attnc.passes.names.mistakes import counted, follows, unknown
from attnc.passes.names.reads import axes_of
from attnc.passes.names.scope import CALLER, Claim
from attnc.passes.names.sizes import check_size
from attnc.source import Span


@dataclass(frozen=True)
class Slice:
    """An argument: a tensor at subscripts, None where the callee's axis runs."""

    tensor: str
    subs: tuple[Expr | None, ...]
    span: Span

    def kept(self) -> list[int]:
        """The axes that the callee sees."""
        return [axis for axis, sub in enumerate(self.subs) if sub is None]


def options_of(resolver: Resolver, call: syntax.Apply, callee: syntax.Attention) -> dict[str, Expr]:
    """What a call gives by name, except tensors: constants, or sizes of the caller."""
    known = [item.name for item in callee.options]
    found: dict[str, Expr] = {}
    for item in call.extras:
        if not isinstance(item, syntax.Keyword):
            raise error("A126", "options are given by name", item.span, "which one?")
        if item.name in found:
            raise error("A126", f"`{item.name}` is given twice", item.span, "again here")
        if not _is_tensor(resolver, item.value):
            if item.name not in known:
                raise unknown(item.name, item.span, known, f"option of `{callee.name}`:")
            value = resolver.of(item.value)
            check_size(resolver.scope, value, item.value.span, "an option")
            found[item.name] = value
    return found


def in_callee(value: Expr) -> object:
    """An option's value as the callee sees it: a number, or an expression of its caller's sizes."""
    if not any(isinstance(node, Size) for node in walk(value)):
        return evaluate(value, {})
    return callers(value)


def callers(value: Expr) -> Expr:
    """An expression of the caller said in the callee."""

    def rule(node: Node) -> Node | None:
        return Size(CALLER + node.index, span=node.span) if isinstance(node, Size) else None

    result: Expr = bottom_up(value, rule)
    return result


def _is_tensor(resolver: Resolver, value: syntax.Expr) -> bool:
    scope = resolver.scope
    name = value.x if isinstance(value, syntax.At) else value
    return isinstance(name, syntax.Name) and (name.name in scope.inputs or name.name in scope.places)


def arguments(resolver: Resolver, callee: Cascade, call: syntax.Apply) -> Mapping[str, Slice]:
    """The tensors that a call gives, by the callee's names."""
    names = [item.name for item in callee.inputs]
    if len(call.args) > len(names):
        raise error(
            "A126",
            f"`{callee.name}` takes {counted(len(names), 'tensor')}, {len(call.args)} were given",
            call.span,
            "here",
        )
    given = dict(zip(names, call.args, strict=False))
    for item in call.extras:
        if isinstance(item, syntax.Keyword) and _is_tensor(resolver, item.value):
            if item.name not in names:
                raise unknown(item.name, item.span, names, f"tensor of `{callee.name}`:")
            if item.name in given:
                raise error("A126", f"`{item.name}` is given twice", item.span, "again here")
            given[item.name] = item.value
    found = {name: _slice(resolver, arg) for name, arg in given.items()}
    for source in callee.inputs:
        if source.name not in found and source.default is None:
            raise error("A130", f"`{callee.name}` needs the tensor `{source.name}`", call.span, "not given")
        if source.name in found:
            _check(resolver, callee, source.name, found[source.name])
    return found


def _check(resolver: Resolver, callee: Cascade, name: str, given: Slice) -> None:
    """The argument has as many axes as the callee's input, and its type."""
    source = callee.input(name)
    assert source is not None
    kept, rank = len(given.kept()), len(source.indices)
    if kept != rank:
        helps = ("`:` keeps an axis of a slice, as in `Z[r,:,:]`",)
        what = f"`{name}` of `{callee.name}` has {counted(rank, 'axis', 'axes')}, but {kept} are given"
        raise error("A105", what, given.span, "here", helps=helps)
    what = f"`{name}` of `{callee.name}` is {source.type}"
    claim = Claim(Read(given.tensor, ()), FITTING[source.type], what, given.span, source.span, "A131")
    resolver.scope.claims.append(claim)


def _slice(resolver: Resolver, arg: syntax.Expr) -> Slice:
    match arg:
        case syntax.Name(name):
            return Slice(name, (None,) * _rank(resolver, name, arg.span), arg.span)
        case syntax.At(syntax.Name(name), subs):
            rank = _rank(resolver, name, arg.span)
            if rank != len(subs):
                what = f"`{name}` has {counted(rank, 'axis', 'axes')}, but {len(subs)} are given"
                raise error("A105", what, arg.span, "here")
            return _sliced(resolver, name, tuple(_fixed(resolver, sub) for sub in subs), arg.span)
    raise error(
        "A133",
        "an argument of a call is a tensor or a slice of one",
        arg.span,
        "an expression",
        helps=("name it in a statement of its own first",),
    )


def _sliced(resolver: Resolver, name: str, subs: tuple[Expr | None, ...], span: Span) -> Slice:
    """A slice; where it lies is looked at once all is known."""
    scope = resolver.scope
    whole = [lo for lo, _ in axes_of(scope, name)]
    fixed = tuple(axis for axis, sub in enumerate(subs) if sub is not None)
    scope.slices.append(Read(name, tuple(sub or lo for sub, lo in zip(subs, whole, strict=True)), fixed, span=span))
    return Slice(name, subs, span)


def _fixed(resolver: Resolver, sub: syntax.Expr | syntax.Reindex | syntax.All) -> Expr | None:
    if isinstance(sub, syntax.All):
        return None
    if isinstance(sub, syntax.Reindex):
        raise error("A122", "a slice has subscripts and `:` only", sub.span, "re-reads an expression")
    return resolver.of(sub)


def _rank(resolver: Resolver, name: str, span: Span) -> int:
    scope = resolver.scope
    given = scope.inputs.get(name)
    if given is not None:
        return len(given.indices)
    if name in scope.broken or (name in scope.places and name not in scope.lefts):
        raise follows()
    if name not in scope.lefts:
        raise unknown(name, span, [*scope.inputs, *scope.places], "tensor")
    return len(scope.lefts[name][0])
