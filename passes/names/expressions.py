"""Expressions resolved: names become reads, indices, sizes; what is called, `functions` and `macros` put in place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from attnc.diagnostics import AttnError, error
from attnc.ir import syntax
from attnc.ir.cascade import Choose, Const, Coord, Expr, Map, Where
from attnc.ir.indices import free_indices
from attnc.ir.operators import INFIX
from attnc.passes.names.brackets import subscripted
from attnc.passes.names.functions import applied
from attnc.passes.names.limits import Weights
from attnc.passes.names.mistakes import follows, unknown, unknown_index
from attnc.passes.names.ranges import declare_pending
from attnc.passes.names.reads import read
from attnc.passes.names.scope import DEF_NOTE, Local, Scope
from attnc.passes.names.sizes import check_size
from attnc.source import Span

CONSTANTS = {"true": True, "false": False, "inf": math.inf, "pi": math.pi}


class Resolver:
    """Resolves the expressions of one scope; inside a def, with the names of a `Local` alone."""

    def __init__(self, scope: Scope) -> None:
        """Works on one attention's scope."""
        self.scope = scope
        self.weights = Weights()

    def of(self, node: syntax.Expr, local: Local | None = None) -> Expr:
        """The resolved expression."""
        span = node.span
        match node:
            case syntax.Number(value):
                return Const(value, span=span)
            case syntax.Constant(name):
                return Const(CONSTANTS[name], span=span)
            case syntax.Name(name):
                return self._local(name, span, local) if local is not None else self._name(name, span)
            case syntax.Unary(op, x):
                inner = self.of(x, local)
                return inner if op == "+" else Map("neg" if op == "-" else "not", (inner,), span=span)
            case syntax.Binary(op, a, b):
                name = "sub" if op == "-" else INFIX[op].name
                return Map(name, (self.of(a, local), self.of(b, local)), span=span)
            case syntax.Logic(op, args):
                return Map(op, tuple(self.of(arg, local) for arg in args), span=span)
            case syntax.Compare(ops, args):
                return _compared(ops, [self.of(arg, local) for arg in args], span)
            case syntax.Choose(then, test, other):
                return Choose(self.of(test, local), self.of(then, local), self.of(other, local), span=span)
            case syntax.Where(x, test):
                return Where(self.masked(x, node, local), self.of(test, local), span=span)
            case syntax.At():
                return subscripted(self, node, local)
            case syntax.Apply():
                return self.weights.checked(applied(self, node, local), span)
            case syntax.List():
                raise error("A120", "a literal tensor stands only in a check", span, "here")

    def masked(self, x: syntax.Expr, node: syntax.Where, local: Local | None) -> Expr:
        """The operand of `where`; a softmax is masked inside, before it normalises."""
        head = x.f if isinstance(x, syntax.Apply) else None
        if isinstance(head, syntax.At) and isinstance(head.x, syntax.Name) and head.x.name == "softmax":
            inside, test = x.args[0].span.text if isinstance(x, syntax.Apply) else "", node.test.span.text
            raise error(
                "A201",
                "this removes weights after softmax has normalised",
                node.test.span,
                "masks what is already normalised",
                clashes=((x.span, "normalised here"),),
                helps=(f"write `{head.span.text}({inside} where {test})`",),
            )
        return self.of(x, local)

    # ---- names -----------------------------------------------------------------------------

    def _local(self, name: str, span: Span, local: Local) -> Expr:
        """A name inside a def: never one of the caller's."""
        if name in local.values:
            return local.values[name]
        if name in local.indices:
            return Coord(self.one_index(name, span, local), span=span)
        for own, caller in local.indices.items():
            if own.upper() == name:
                return self._points(caller)
        raise unknown(name, span, local.known(), note=DEF_NOTE)

    def _points(self, indices: Sequence[str]) -> Expr:
        """The extent of a def's index: of all that it stands for together."""
        total = self.extent(indices[0])
        for index in indices[1:]:
            total = Map("mul", (total, self.extent(index)))
        return total

    def _name(self, name: str, span: Span) -> Expr:
        scope = self.scope
        if name in scope.broken:
            raise follows()
        if name in scope.sizes and name not in scope.constants:
            self.size(name)
        if name in scope.constants:
            if self._extents(name):
                scope.bare.setdefault(name, span)
            return replace(scope.constants[name], span=span)
        if name in scope.places or name in scope.inputs:
            return self._bare(name, span)
        if name in scope.ranges and name not in scope.brought:
            return Coord(name, span=span)
        found = self._extents(name)
        if not found:
            raise unknown(name, span, scope.known())
        return replace(self.extent(found[0]), span=span)

    def _extents(self, name: str) -> list[str]:
        """The indices whose extent a name can mean."""
        return [index for index in self.scope.indices() if index.upper() == name and index != name]

    def extent(self, index: str) -> Expr:
        """The extent of an index that is known."""
        if not self.scope.given_index(index):  # what the call brings, wherever the axis starts
            declare_pending(self, index)
        if index in self.scope.broken:
            raise follows()
        return self.scope.extent(index)

    def _bare(self, name: str, span: Span) -> Expr:
        """A tensor at the indices of its definition."""
        scope = self.scope
        given = scope.inputs.get(name)
        lefts = scope.defined(name, span) if given is None else [tuple(Coord(i, span=span) for i in given.indices)]
        clashing = self._extents(name)
        if clashing:
            raise _ambiguous(scope, name, clashing[0], lefts[0], span)
        if len(lefts) > 1:
            raise error(
                "A103",
                f"`{name}` is defined by parts: its indices must be written",
                span,
                "which part is meant?",
                helps=(f"write `{name}[..]` with subscripts",),
            )
        return read(scope, name, lefts[0], span)

    def size(self, name: str) -> None:
        """Resolve a size or constant the first time it is needed."""
        scope, statement = self.scope, self.scope.sizes[name]
        if name in scope.calling:
            raise error("A104", f"size `{name}` depends on itself", statement.span, "defined here")
        scope.calling = (*scope.calling, name)
        try:
            value = self.weights.checked(self.of(statement.value), statement.span)
            varying = sorted(free_indices(value))
            if varying:
                raise _varies(name, varying, statement)
            check_size(scope, value, statement.value.span, "a size")
            scope.constants[name] = value
        except AttnError:
            scope.broken.add(name)
            raise
        finally:
            scope.calling = scope.calling[:-1]

    def one_index(self, name: str, span: Span, local: Local | None) -> str:
        """The index that a name means."""
        found = self.indices_of(name, span, local)
        if len(found) > 1:
            raise error(
                "A142",
                f"{name} stands for {' and '.join(found)} here, so it has no position of its own",
                span,
                "one index is expected",
                helps=("call the def with one index",),
            )
        return found[0]

    def indices_of(self, name: str, span: Span, local: Local | None) -> tuple[str, ...]:
        """The indices that a name in brackets means: one, or all that a def's index stands for."""
        if local is not None:
            if name in local.indices:
                return local.indices[name]
            raise unknown(name, span, local.indices, "index", DEF_NOTE)
        if name not in self.scope.indices():
            raise unknown_index(name, span, self.scope.indices())
        return (name,)

    def position(self, node: syntax.Expr, local: Local | None, meant: str = "") -> Expr:
        """A subscript; a bare name that means nothing is an index that is not declared."""
        scope = self.scope
        if isinstance(node, syntax.Name) and local is None:
            name, meanings = node.name, scope.known()
            if name not in meanings and name not in scope.broken:
                raise unknown_index(name, node.span, scope.indices(), meant)
        return self.of(node, local)


def _compared(ops: Sequence[str], args: Sequence[Expr], span: Span) -> Expr:
    pairs = zip(ops, args[:-1], args[1:], strict=True)
    tests = tuple(Map(INFIX[op].name, (a, b), span=span) for op, a, b in pairs)
    return tests[0] if len(tests) == 1 else Map("and", tests, span=span)


def _ambiguous(scope: Scope, name: str, index: str, left: tuple[Expr, ...], span: Span) -> AttnError:
    from attnc.ir.print_expression import show

    given = scope.inputs.get(name)
    place = given.span if given is not None else scope.places[name][0].places[0].span
    element = f"{name}[{','.join(show(sub) for sub in left)}]"
    return error(
        "A102",
        f"`{name}` is a tensor and the extent of index `{index}`",
        span,
        "either could be meant",
        clashes=((place, "the tensor"), (scope.ranges[index].span, f"where {index} comes from")),
        helps=(f"write `extent({index})` for the extent, or `{element}` for the tensor",),
    )


def _varies(name: str, varying: Sequence[str], statement: syntax.Define) -> AttnError:
    left = f"{name}[{','.join(varying)}]"
    return error(
        "A118",
        f"`{name}` has no brackets, but varies with {', '.join(varying)}",
        statement.span,
        "a size is the same at every position",
        helps=(f"write `{left} = {statement.value.span.text}`",),
    )


def missing(expr: Expr, left: Sequence[str], scope: Scope) -> tuple[str, ...]:
    """The indices of an expression that a left side lacks, in the order of their declaration."""
    free = free_indices(expr)
    return tuple(index for index in scope.ranges if index in free and index not in left)
