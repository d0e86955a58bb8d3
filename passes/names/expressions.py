"""Expressions resolved: names become reads, indices, sizes; calls of defs are replaced by their bodies."""

from __future__ import annotations

import math
from collections.abc import Sequence

from attnc.diagnostics import error
from attnc.ir import syntax
from attnc.ir.cascade import (
    Choose,
    Const,
    Coord,
    Default,
    Exists,
    Expr,
    Grad,
    Map,
    Order,
    Read,
    Reduce,
    Softmax,
    Uniform,
    Where,
)
from attnc.ir.indices import at, free_indices
from attnc.ir.operators import FUNCTIONS, INFIX, ORDERINGS, REDUCTIONS
from attnc.passes.names.reads import read
from attnc.passes.names.scope import Local, Scope, unknown
from attnc.source import Span

CONSTANTS = {"true": True, "false": False, "inf": math.inf, "pi": math.pi}
FOLDS = (*REDUCTIONS, "mean", "var", "logsumexp")


class Resolver:
    """Resolves the expressions of one scope."""

    def __init__(self, scope: Scope) -> None:
        """Works on one attention's scope."""
        self.scope = scope

    def of(self, node: syntax.Expr, local: Local | None = None) -> Expr:
        """The resolved expression."""
        local = local or Local()
        span = node.span
        match node:
            case syntax.Number(value):
                return Const(value, span=span)
            case syntax.Constant(name):
                return Const(CONSTANTS[name], span=span)
            case syntax.Name(name):
                return self._name(name, span, local)
            case syntax.Unary(op, x):
                inner = self.of(x, local)
                return inner if op == "+" else Map("neg" if op == "-" else "not", (inner,), span=span)
            case syntax.Binary(op, a, b):
                name = "sub" if op == "-" else INFIX[op].name
                return Map(name, (self.of(a, local), self.of(b, local)), span=span)
            case syntax.Logic(op, args):
                return Map(op, tuple(self.of(arg, local) for arg in args), span=span)
            case syntax.Compare(ops, args):
                return self._compare(ops, [self.of(arg, local) for arg in args], span)
            case syntax.Choose(then, test, other):
                return Choose(self.of(test, local), self.of(then, local), self.of(other, local), span=span)
            case syntax.Where(x, test):
                return Where(self.masked(x, node, local), self.of(test, local), span=span)
            case syntax.At():
                return self._at(node, local)
            case syntax.Apply():
                return self._apply(node, local)
            case syntax.List():
                raise error("A120", "a literal tensor stands only in a check", span, "here")

    def masked(self, x: syntax.Expr, node: syntax.Where, local: Local) -> Expr:
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

    def _compare(self, ops: Sequence[str], args: Sequence[Expr], span: Span) -> Expr:
        pairs = zip(ops, args[:-1], args[1:], strict=True)
        tests = tuple(Map(INFIX[op].name, (a, b), span=span) for op, a, b in pairs)
        return tests[0] if len(tests) == 1 else Map("and", tests, span=span)

    # ---- names -----------------------------------------------------------------------------

    def _name(self, name: str, span: Span, local: Local) -> Expr:
        scope = self.scope
        if name in local.values:
            return local.values[name]
        if name in local.indices:
            return Coord(local.indices[name][0], span=span)
        if name in scope.sizes and name not in scope.constants:
            self.size(name)
        if name in scope.constants:
            return scope.constants[name]
        if name in scope.places or name in scope.inputs:
            self._not_ambiguous(name, span)
            return self._bare(name, span)
        if name in scope.ranges:
            return Coord(name, span=span)
        return self._extent(name, span, local)

    def _extent(self, name: str, span: Span, local: Local) -> Expr:
        for own, caller in local.indices.items():
            if own.upper() == name:
                return self.scope.extent(caller[0])
        found = [index for index in self.scope.ranges if index.upper() == name and index != name]
        if not found:
            raise unknown(name, span, self.scope.known() + list(local.values))
        return self.scope.extent(found[0])

    def _not_ambiguous(self, name: str, span: Span) -> None:
        """A bare name that is a tensor and looks like an extent could be meant either way."""
        index = name.lower()
        if index == name or index not in self.scope.ranges or self._indices(name):
            return
        raise error(
            "A102",
            f"`{name}` is a tensor and the extent of index `{index}`",
            span,
            "either could be meant",
            helps=(f"write `extent({index})` for the extent, or `{name}[]` for the tensor",),
        )

    def _indices(self, name: str) -> tuple[str, ...]:
        given = self.scope.inputs.get(name)
        return given.indices if given is not None else ("?",)

    def _bare(self, name: str, span: Span) -> Expr:
        given = self.scope.inputs.get(name)
        if given is not None:
            return read(self.scope, name, tuple(Coord(i, span=span) for i in given.indices), span)
        lefts = self.scope.lefts[name]
        if len(lefts) > 1:
            raise error(
                "A103",
                f"`{name}` is defined by parts: its indices must be written",
                span,
                "which part is meant?",
                helps=(f"write `{name}[..]` with subscripts",),
            )
        return read(self.scope, name, lefts[0], span)

    def size(self, name: str) -> None:
        """Resolve a size or constant the first time it is needed."""
        if name in self.scope.calling:
            raise error("A104", f"size `{name}` depends on itself", self.scope.sizes[name].span, "defined here")
        self.scope.calling = (*self.scope.calling, name)
        self.scope.constants[name] = self.of(self.scope.sizes[name].value)
        self.scope.calling = self.scope.calling[:-1]

    # ---- brackets --------------------------------------------------------------------------

    def _at(self, node: syntax.At, local: Local) -> Expr:
        reindexed = [sub for sub in node.subs if isinstance(sub, syntax.Reindex)]
        if reindexed:
            values = {local.indices.get(sub.name, (sub.name,))[0]: self.of(sub.value, local) for sub in reindexed}
            return at(self.of(node.x, local), values)
        if not isinstance(node.x, syntax.Name):
            raise error(
                "A121",
                "brackets follow the name of a tensor",
                node.span,
                "this is an expression",
                helps=("re-read an expression with `(..)[n = e]`",),
            )
        subs = tuple(self.of(sub, local) for sub in node.subs if not isinstance(sub, syntax.All | syntax.Reindex))
        name = node.x.name
        if name in local.values:
            return self._reread(local.values[name], subs, node)
        if name not in self.scope.inputs and name not in self.scope.places:
            raise unknown(name, node.x.span, self.scope.known(), "tensor")
        return read(self.scope, name, subs, node.span)

    def _reread(self, value: Expr, subs: tuple[Expr, ...], node: syntax.At) -> Expr:
        if isinstance(value, Read) and len(value.subs) == len(subs):
            return read(self.scope, value.tensor, subs, node.span)
        raise error(
            "A122", "an argument is read at other indices with `x[n = e]`", node.span, "positions are not known here"
        )

    # ---- calls -----------------------------------------------------------------------------

    def _apply(self, node: syntax.Apply, local: Local) -> Expr:
        head, over, slots, k = self._head(node, local)
        args = node.args
        if head in ("max", "min") and not over:
            return Map(head, tuple(self.of(arg, local) for arg in args), span=node.span)
        if head in FOLDS and over:
            return Reduce(head, over, self._body(node, local), span=node.span)
        if head == "softmax" and over:
            return Softmax(over, self._body(node, local), span=node.span)
        if head in ORDERINGS or head == "kth":
            return Order(head, over, slots, k, self._body(node, local), span=node.span)
        if head == "uniform":
            return Uniform(tuple(Coord(index) for index in over), self._body(node, local), span=node.span)
        special = self._special(head, args, node, local)
        if special is not None:
            return special
        if head in self.scope.functions:
            return self._macro(self.scope.functions[head], over, node, local)
        if head in FUNCTIONS:
            return self._function(head, args, node, local)
        if head in FOLDS or head == "softmax":
            raise error(
                "A123",
                f"`{head}` folds over indices: name them",
                node.f.span,
                "over what?",
                helps=(f"write `{head}[n](..)`",),
            )
        known = [*FUNCTIONS, *self.scope.functions, *FOLDS, "softmax", "exists", "default", "extent"]
        raise unknown(head, node.f.span, known, "function")

    def _head(self, node: syntax.Apply, local: Local) -> tuple[str, tuple[str, ...], tuple[str, ...], Expr | None]:
        f = node.f
        if isinstance(f, syntax.Name):
            return f.name, (), (), None
        if not isinstance(f, syntax.At) or not isinstance(f.x, syntax.Name):
            raise error("A124", "this cannot be called", f.span, "not the name of a function")
        over: list[str] = []
        for sub in f.subs:
            if not isinstance(sub, syntax.Name):
                raise error("A125", "the brackets of a reduction hold indices", sub.span, "not an index")
            over += local.indices.get(sub.name, (sub.name,))
            if over[-1] not in self.scope.ranges:
                raise unknown(sub.name, sub.span, list(self.scope.ranges), "index")
        slots = tuple(local.indices.get(slot, (slot,))[0] for slot in f.slots)
        extra = [item for item in f.extras if not isinstance(item, syntax.Keyword)]
        return f.x.name, tuple(over), slots, self.of(extra[0], local) if extra else None

    def _body(self, node: syntax.Apply, local: Local) -> Expr:
        if len(node.args) != 1:
            raise error("A126", f"one argument is expected, {len(node.args)} were given", node.span, "here")
        return self.of(node.args[0], local)

    def _special(self, head: str, args: Sequence[syntax.Expr], node: syntax.Apply, local: Local) -> Expr | None:
        match head:
            case "exists":
                return Exists(self._body(node, local), span=node.span)
            case "default" if len(args) == 2:
                return Default(self.of(args[0], local), self.of(args[1], local), span=node.span)
            case "grad" if len(args) == 2:
                with_respect = self.of(args[1], local)
                if isinstance(with_respect, Read):
                    return Grad(self.of(args[0], local), with_respect, span=node.span)
                raise error("A127", "`grad` is taken with respect to a tensor's element", args[1].span, "not a read")
            case "extent" if len(args) == 1 and isinstance(args[0], syntax.Name):
                index = local.indices.get(args[0].name, (args[0].name,))[0]
                if index not in self.scope.ranges:
                    raise unknown(index, args[0].span, list(self.scope.ranges), "index")
                return self.scope.extent(index)
        return None

    def _function(self, head: str, args: Sequence[syntax.Expr], node: syntax.Apply, local: Local) -> Expr:
        operator = FUNCTIONS[head]
        least, most = operator.arity
        if not least <= len(args) <= (most if most is not None else len(args)):
            raise error("A126", f"`{head}` takes {least} arguments, {len(args)} were given", node.span, "here")
        return Map(operator.name, tuple(self.of(arg, local) for arg in args), span=node.span)

    def _macro(self, function: syntax.Function, over: tuple[str, ...], node: syntax.Apply, local: Local) -> Expr:
        """A def's value with its arguments in place: hygienic, for its own names are looked up first."""
        if function.name in self.scope.calling:
            raise error(
                "A128",
                f"`{function.name}` calls itself",
                node.span,
                "a def cannot recur",
                clashes=((function.span, "defined here"),),
            )
        values = self._arguments(function, node, local)
        inner = Local(values, self._formals(function, over, node))
        self.scope.calling = (*self.scope.calling, function.name)
        for statement in function.body:
            self._own_statement(statement, inner)
        result = self.of(function.value, inner)
        self.scope.calling = self.scope.calling[:-1]
        return result

    def _formals(
        self, function: syntax.Function, over: tuple[str, ...], node: syntax.Apply
    ) -> dict[str, tuple[str, ...]]:
        """The caller's indices for a def's own: one each, or all of them for a single one."""
        if len(function.indices) == 1 and over:
            return {function.indices[0]: over}
        if len(function.indices) != len(over):
            names = ", ".join(function.indices)
            raise error(
                "A129", f"`{function.name}` is over [{names}], but {len(over)} indices are given", node.f.span, "here"
            )
        return {own: (caller,) for own, caller in zip(function.indices, over, strict=True)}

    def _arguments(self, function: syntax.Function, node: syntax.Apply, local: Local) -> dict[str, Expr]:
        if len(node.args) > len(function.params):
            raise error(
                "A126",
                f"`{function.name}` takes {len(function.params)} arguments, {len(node.args)} were given",
                node.span,
                "here",
                clashes=((function.span, "defined here"),),
            )
        values = {p.name: self.of(arg, local) for p, arg in zip(function.params, node.args, strict=False)}
        declared: tuple[syntax.Param | syntax.Option, ...] = (*function.params, *function.options)
        names = {item.name for item in declared}
        for extra in node.extras:
            if isinstance(extra, syntax.Keyword):
                if extra.name not in names:
                    raise unknown(extra.name, extra.span, sorted(names), f"option of `{function.name}`")
                values[extra.name] = self.of(extra.value, local)
        for item in declared:
            if item.name not in values:
                if item.default is None:
                    raise error(
                        "A130",
                        f"`{function.name}` needs `{item.name}`",
                        node.span,
                        "not given",
                        clashes=((item.span, "declared here"),),
                    )
                values[item.name] = self.of(item.default, Local(dict(values)))
        return values

    def _own_statement(self, statement: syntax.Statement, inner: Local) -> None:
        from attnc.passes.names.ranges import declare

        if isinstance(statement, syntax.Define):
            inner.values[statement.places[0].name] = self.of(statement.value, inner)
        elif isinstance(statement, syntax.Indices):
            for item in statement.ranges:
                declare(self, item, inner)


def missing(expr: Expr, left: Sequence[str], scope: Scope) -> tuple[str, ...]:
    """The indices of an expression that a left side lacks, in the order of their declaration."""
    free = free_indices(expr)
    return tuple(index for index in scope.ranges if index in free and index not in left)
