"""What is applied in an expression: reductions, order operations, functions, defs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnc.diagnostics import AttnError, error
from attnc.ir import syntax
from attnc.ir.cascade import Coord, Default, Exists, Expr, Grad, Map, Order, Read, Reduce, Softmax, Uniform
from attnc.ir.operators import FUNCTIONS, ORDERINGS, REDUCTIONS
from attnc.passes.names.macros import expanded
from attnc.passes.names.mistakes import counted, follows, unknown
from attnc.passes.names.scope import Local
from attnc.source import Span

if TYPE_CHECKING:
    from attnc.passes.names.expressions import Resolver

FOLDS = (*REDUCTIONS, "mean", "var", "logsumexp")
SPECIAL = {"exists": 1, "default": 2, "grad": 2, "extent": 1}
COORDINATES = 4  # a counter of Philox has four words

# What the brackets of an order operation hold: whether `-> t`, whether `; k`, and how it is written.
ORDERS = {
    "topk": (False, True, "topk[n; k](..)"),
    "kth": (False, True, "kth[n; k](..)"),
    "argtopk": (True, False, "argtopk[n -> t](..)"),
    "sort": (True, False, "sort[n -> t](..)"),
    "argsort": (True, False, "argsort[n -> t](..)"),
}


@dataclass(frozen=True)
class Head:
    """What is applied: a name, and what its brackets hold."""

    name: str
    over: tuple[str, ...]
    slots: tuple[str, ...]
    k: tuple[Expr, ...]
    bare: bool
    span: Span


def applied(resolver: Resolver, node: syntax.Apply, local: Local | None) -> Expr:
    """The value of an application."""
    head = _head(resolver, node, local)
    defs = resolver.scope.functions if local is None else local.function.sees
    match head.name:
        case name if name in defs:
            return expanded(resolver, defs[name], head.over, node, local)
        case name if name in ORDERS:
            return _ordered(resolver, head, node, local)
        case name if name in (*FOLDS, "softmax", "uniform") and not head.bare:
            return _folded(resolver, head, node, local)
        case "max" | "min" if len(node.args) != 1:
            return Map(head.name, tuple(resolver.of(arg, local) for arg in _plain(node)), span=node.span)
        case name if name in (*FOLDS, "softmax", "uniform"):
            raise error(
                "A123",
                f"`{name}` folds over indices: name them" if name != "uniform" else "`uniform` needs its coordinates",
                node.f.span,
                "over what?",
                helps=(f"write `{name}[n](..)`",),
            )
        case name if not head.bare:
            raise _no_brackets(resolver, head, local)
        case name if name in SPECIAL:
            return _special(resolver, head, node, local)
        case name if name in FUNCTIONS:
            return _function(resolver, head, node, local)
        case _:
            raise _unknown(resolver, head, local)


def _head(resolver: Resolver, node: syntax.Apply, local: Local | None) -> Head:
    f = node.f
    if isinstance(f, syntax.Name):
        return Head(f.name, (), (), (), True, f.span)
    if not isinstance(f, syntax.At) or not isinstance(f.x, syntax.Name):
        raise error("A124", "this cannot be called", f.span, "not the name of a function")
    over: list[str] = []
    for sub in f.subs:
        if not isinstance(sub, syntax.Name):
            raise error("A125", "the brackets of a reduction hold indices", sub.span, "not an index")
        over += resolver.indices_of(sub.name, sub.span, local)
    if len(set(over)) < len(over):
        raise error("A125", "an index stands twice in these brackets", f.span, "once is enough")
    slots = tuple(resolver.one_index(slot, f.span, local) for slot in f.slots)
    k = tuple(resolver.of(item, local) for item in f.extras if not isinstance(item, syntax.Keyword))
    return Head(f.x.name, tuple(over), slots, k, False, f.span)


def _plain(node: syntax.Apply) -> Sequence[syntax.Expr]:
    """The arguments of what takes no named ones."""
    if node.extras:
        raise error("A126", "only defs and attentions have options", node.extras[0].span, "belongs to nothing here")
    return node.args


def _body(resolver: Resolver, node: syntax.Apply, local: Local | None) -> Expr:
    args = _plain(node)
    if len(args) != 1:
        raise error("A126", f"one argument is expected, {len(args)} were given", node.span, "here")
    return resolver.of(args[0], local)


def _ordered(resolver: Resolver, head: Head, node: syntax.Apply, local: Local | None) -> Expr:
    slots, k, written = ORDERS[head.name]
    if not head.over or len(head.slots) != slots or len(head.k) != k:
        what = "the index of the result" if slots and not head.slots else "how many" if k and not head.k else ""
        lacking = f": {what} is missing" if what else ""
        helps = (f"write `{written}`",)
        raise error("A123", f"`{head.name}` is written `{written}`{lacking}", head.span, "here", helps=helps)
    count = head.k[0] if head.k else None
    return Order(head.name, head.over, head.slots, count, _body(resolver, node, local), span=node.span)


def _folded(resolver: Resolver, head: Head, node: syntax.Apply, local: Local | None) -> Expr:
    if head.slots or head.k:
        raise error("A125", "`->` and `;` in brackets belong to order operations", head.span, f"`{head.name}` folds")
    if head.name == "uniform":
        if len(head.over) > COORDINATES:
            helps = ("use one position for several axes: `uniform[b,h,i](seed)` with i = m * N + n",)
            raise error("A125", "`uniform` has at most four coordinates", head.span, "too many", helps=helps)
        return Uniform(tuple(Coord(index) for index in head.over), _body(resolver, node, local), span=node.span)
    if not head.over:
        raise error("A123", f"`{head.name}` folds over indices: name them", head.span, "over what?")
    body = _body(resolver, node, local)
    return (
        Softmax(head.over, body, span=node.span)
        if head.name == "softmax"
        else Reduce(head.name, head.over, body, span=node.span)
    )


def _special(resolver: Resolver, head: Head, node: syntax.Apply, local: Local | None) -> Expr:
    args, wanted = _plain(node), SPECIAL[head.name]
    if len(args) != wanted:
        raise _miscounted(head.name, wanted, len(args), node.span)
    match head.name, args:
        case "exists", _:
            return Exists(resolver.of(args[0], local), span=node.span)
        case "default", _:
            return Default(resolver.of(args[0], local), resolver.of(args[1], local), span=node.span)
        case "extent", (syntax.Name(name),):
            return resolver.extent(resolver.one_index(name, args[0].span, local))
        case "extent", _:
            raise error("A125", "`extent` is of an index", args[0].span, "not an index")
    element = resolver.of(args[1], local)
    if not isinstance(element, Read):
        raise error("A127", "`grad` is taken with respect to a tensor's element", args[1].span, "not a read")
    return Grad(resolver.of(args[0], local), element, span=node.span)


def _function(resolver: Resolver, head: Head, node: syntax.Apply, local: Local | None) -> Expr:
    operator, args = FUNCTIONS[head.name], _plain(node)
    least, most = operator.arity
    if not least <= len(args) <= (most if most is not None else len(args)):
        raise error(
            "A126", f"`{head.name}` takes {counted(least, 'argument')}, {len(args)} were given", node.span, "here"
        )
    return Map(operator.name, tuple(resolver.of(arg, local) for arg in args), span=node.span)


def _miscounted(name: str, wanted: int, given: int, span: Span) -> AttnError:
    return error("A126", f"`{name}` takes {counted(wanted, 'argument')}, {given} were given", span, "here")


def _no_brackets(resolver: Resolver, head: Head, local: Local | None) -> AttnError:
    if head.name in FUNCTIONS or head.name in SPECIAL:
        return error("A125", f"`{head.name}` folds nothing: it has no brackets", head.span, "not a reduction")
    return _unknown(resolver, head, local)


def _unknown(resolver: Resolver, head: Head, local: Local | None) -> AttnError:
    scope = resolver.scope
    if local is None and head.name in scope.attentions:
        return error(
            "A133",
            f"a call of the attention `{head.name}` is a whole right side",
            head.span,
            "inside an expression",
            helps=(f"name its output in a statement of its own: `T[..] = {head.name}(..)`",),
        )
    if local is None and (head.name in scope.inputs or head.name in scope.places):
        return error(
            "A124", f"`{head.name}` is a tensor: its subscripts stand in brackets", head.span, "called like a function"
        )
    if local is None and head.name in scope.missing:
        return follows()
    defs = scope.functions if local is None else local.function.sees
    known = [*FUNCTIONS, *defs, *FOLDS, *ORDERINGS, *SPECIAL, "softmax", "kth", "uniform"]
    return unknown(head.name, head.span, known, "function")
