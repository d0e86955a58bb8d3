"""Call statements inlined: the callee's cascade with the caller's tensors, sizes and batch indices in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from attnc.diagnostics import error
from attnc.ir import syntax
from attnc.ir.cascade import Cascade, Const, Coord, Expr, Map, Order, Part, Range, Read, Reduce, Require, Size, Var
from attnc.ir.cascade import Softmax as SoftmaxNode
from attnc.ir.indices import at, free_indices
from attnc.ir.node import Node
from attnc.ir.sizes import evaluate
from attnc.ir.walk import rebuild, walk
from attnc.passes.names.expressions import Resolver
from attnc.passes.names.reads import axes, read
from attnc.passes.names.scope import Scope, unknown
from attnc.passes.sums import normal
from attnc.source import Span

Side = tuple[tuple[Expr, ...], tuple[str, ...]]
OPTION = "option "


@dataclass(frozen=True)
class Slice:
    """An argument: a tensor at subscripts, None where the callee's axis runs."""

    tensor: str
    subs: tuple[Expr | None, ...]
    span: Span

    def kept(self) -> list[int]:
        """The axes that the callee sees."""
        return [axis for axis, sub in enumerate(self.subs) if sub is None]


@dataclass
class Inlined:
    """What a call turns into: parts of the caller's own tensors and of the callee's, and its requires."""

    parts: list[Part]
    requires: list[Require]


def called(resolver: Resolver, statement: syntax.Define) -> str | None:
    """The attention that a statement calls, if its right side is a call of one."""
    value = statement.value
    if isinstance(value, syntax.Apply) and isinstance(value.f, syntax.Name):
        name = value.f.name
        return name if name in resolver.scope.attentions and name not in resolver.scope.functions else None
    return None


def inline(resolver: Resolver, statement: syntax.Define, sides: list[Side]) -> Inlined:
    """The parts that a call stands for; names of the callee are made new, so none is captured."""
    assert isinstance(statement.value, syntax.Apply)
    assert isinstance(statement.value.f, syntax.Name)
    call, name = statement.value, statement.value.f.name
    options = dict(_keywords(resolver, call))
    callee = resolver.scope.attentions[name](
        {key: evaluate(value, {}) if not _sized(value) else Var(OPTION + key) for key, value in options.items()}
    )
    return _Inliner(resolver, callee, call, statement, sides, options).run()


def _keywords(resolver: Resolver, call: syntax.Apply) -> list[tuple[str, Expr]]:
    return [(item.name, resolver.of(item.value)) for item in call.extras if isinstance(item, syntax.Keyword)]


def _sized(value: Expr) -> bool:
    return any(isinstance(node, Size | Read | Coord) for node in walk(value))


class _Inliner:
    """One call: how the callee's names are said in the caller."""

    def __init__(
        self,
        resolver: Resolver,
        callee: Cascade,
        call: syntax.Apply,
        statement: syntax.Define,
        sides: list[Side],
        options: Mapping[str, Expr],
    ) -> None:
        self.resolver, self.scope, self.callee, self.call = resolver, resolver.scope, callee, call
        self.statement, self.sides, self.options = statement, sides, options
        self.arguments = self._arguments()
        mentioned = [i for item in self.arguments.values() for s in item.subs if s is not None for i in free_indices(s)]
        self.batch = tuple(i for i in sides[0][1] if i in mentioned)
        self.index = {item.index: _fresh(self.scope, f"{callee.name}_{item.index}") for item in callee.ranges}
        self.tensor = {t.name: _unused(self.scope, f"{callee.name}_{t.name}") for t in callee.tensors}
        self.sizes: dict[str, Expr] = {}
        self.requires: list[Require] = []

    def run(self) -> Inlined:
        """Sizes first, then ranges, then the tensors in the callee's order."""
        self._bind_sizes()
        for item in self.callee.ranges:
            own = self.index[item.index]
            self.scope.ranges[own] = Range(own, self.expr(item.lo), self.expr(item.hi), span=item.span)
        ahead = tuple(Coord(index) for index in self.batch)
        for tensor in self.callee.tensors:
            name = self.tensor[tensor.name]
            self.scope.types[name] = tensor.type
            lefts = [(*ahead, *(self.expr(sub) for sub in part.left)) for part in tensor.parts]
            self.scope.lefts[name] = lefts
        parts = [part for tensor in self.callee.tensors for part in self._parts(tensor.name, ahead)]
        self.requires += [Require(self.expr(item.test), span=self.call.span) for item in self.callee.requires]
        return Inlined(parts + self._results(ahead), self.requires)

    def _parts(self, name: str, ahead: tuple[Expr, ...]) -> list[Part]:
        tensor = self.callee.tensor(name)
        assert tensor is not None
        own = self.tensor[name]
        return [
            Part(
                own,
                self.scope.lefts[own][number],
                (*self.batch, *(self.index[index] for index in part.indices)),
                self.expr(part.value),
                span=self.statement.span,
            )
            for number, part in enumerate(tensor.parts)
        ]

    def _results(self, ahead: tuple[Expr, ...]) -> list[Part]:
        results = []
        for place, (left, indices), output in zip(self.statement.places, self.sides, self.callee.outputs, strict=False):
            subs = tuple(sub for sub in left if not (isinstance(sub, Coord) and sub.index in self.batch))
            if output in self.tensor:
                own = self.tensor[output]
                value: Expr = read(self.scope, own, (*ahead, *subs), place.span)
            else:
                value = self._input(Read(output, subs))
            results.append(Part(place.name, left, indices, value, span=self.statement.span))
        return results

    # ---- arguments -------------------------------------------------------------------------

    def _arguments(self) -> dict[str, Slice]:
        names = [item.name for item in self.callee.inputs]
        if len(self.call.args) > len(names):
            raise error(
                "A126",
                f"`{self.callee.name}` takes {len(names)} tensors, {len(self.call.args)} were given",
                self.call.span,
                "here",
            )
        found = {name: self._slice(arg) for name, arg in zip(names, self.call.args, strict=False)}
        for item in self.callee.inputs:
            if item.name not in found and item.default is None:
                raise error("A130", f"`{self.callee.name}` needs the tensor `{item.name}`", self.call.span, "not given")
            if item.name in found and len(found[item.name].kept()) != len(item.indices):
                given, rank = len(found[item.name].kept()), len(item.indices)
                raise error(
                    "A105", f"`{item.name}` has {rank} axes, but {given} are given", found[item.name].span, "here"
                )
        return found

    def _slice(self, arg: syntax.Expr) -> Slice:
        match arg:
            case syntax.Name(name):
                return Slice(name, (None,) * self._rank(name, arg.span), arg.span)
            case syntax.At(syntax.Name(name), subs):
                self._rank(name, arg.span)
                found = tuple(
                    None if isinstance(sub, syntax.All) else self.resolver.of(cast(syntax.Expr, sub)) for sub in subs
                )
                return Slice(name, found, arg.span)
        raise error(
            "A133", "an argument of a call is a tensor or a slice of one", arg.span, "an expression",
            helps=("name it in a statement of its own first",),
        )  # fmt: skip

    def _rank(self, name: str, span: Span) -> int:
        given = self.scope.inputs.get(name)
        if given is not None:
            return len(given.indices)
        if name not in self.scope.lefts:
            raise unknown(name, span, [*self.scope.inputs, *self.scope.lefts], "tensor")
        return len(self.scope.lefts[name][0])

    def _axes(self, name: str) -> list[tuple[Expr, Expr]]:
        given = self.scope.inputs.get(name)
        if given is not None:
            return [(self.scope.ranges[i].lo, self.scope.ranges[i].hi) for i in given.indices]
        return axes(self.scope, self.scope.lefts[name])

    def _bind_sizes(self) -> None:
        for item in self.callee.inputs:
            if item.name not in self.arguments:
                continue
            given = self.arguments[item.name]
            ends = self._axes(given.tensor)
            for index, axis in zip(item.indices, given.kept(), strict=True):
                lo, hi = ends[axis]
                extent = hi if lo == Const(0) else normal(Map("sub", (hi, lo)))
                known = self.sizes.setdefault(index, extent)
                if normal(known) != normal(extent):
                    self.requires.append(Require(Map("eq", (known, extent)), span=self.call.span))

    # ---- the callee's expressions ----------------------------------------------------------

    def expr(self, value: Expr) -> Expr:
        """An expression of the callee said in the caller's names."""
        return cast(Expr, self._node(value))

    def _node(self, node: Node) -> Node:
        match node:
            case Coord(index):
                return Coord(self.index[index], span=node.span)
            case Size(index):
                return self.sizes.get(index, node)
            case Var(name) if name.startswith(OPTION):
                return self.options[name.removeprefix(OPTION)]
            case Read(tensor) if tensor in self.tensor:
                subs = tuple(self.expr(sub) for sub in node.subs)
                ahead = tuple(Coord(index) for index in self.batch)
                tested = tuple(axis + len(ahead) for axis in node.tested)
                return Read(self.tensor[tensor], (*ahead, *subs), tested, node.part, span=node.span)
            case Read():
                return self._input(replace(node, subs=tuple(self.expr(sub) for sub in node.subs)))
            case Reduce() | SoftmaxNode():
                return rebuild(replace(node, over=tuple(self.index[i] for i in node.over)), self._node)
            case Order():
                over, slots = (tuple(self.index[i] for i in names) for names in (node.over, node.slots))
                return rebuild(replace(node, over=over, slots=slots), self._node)
            case _:
                return rebuild(node, self._node)

    def _input(self, node: Read) -> Expr:
        """A read of the callee's input: of the argument, or its default."""
        item = self.callee.input(node.tensor)
        assert item is not None
        if item.name not in self.arguments:
            assert item.default is not None
            default = self.expr(item.default)
            return at(default, {self.index[i]: sub for i, sub in zip(item.indices, node.subs, strict=True)})
        given = self.arguments[item.name]
        ends, subs = self._axes(given.tensor), list(given.subs)
        for axis, index, sub in zip(given.kept(), item.indices, node.subs, strict=True):
            own = self.expr(self.callee.range(index).lo)
            same = normal(own) == normal(ends[axis][0])
            subs[axis] = sub if same else normal(Map("add", (Map("sub", (sub, own)), ends[axis][0])))
        tested = tuple(given.kept()[axis] for axis in node.tested)
        return Read(given.tensor, tuple(sub for sub in subs if sub is not None), tested, span=node.span)


def _fresh(scope: Scope, name: str) -> str:
    own = next(choice for choice in (name, *(f"{name}_{n}" for n in range(2, 999))) if choice not in scope.ranges)
    scope.ranges[own] = Range(own, Const(0), Size(own))
    return own


def _unused(scope: Scope, name: str) -> str:
    taken = {*scope.inputs, *scope.lefts, *scope.places}
    own = next(choice for choice in (name, *(f"{name}_{n}" for n in range(2, 999))) if choice not in taken)
    scope.lefts[own] = []
    return own
