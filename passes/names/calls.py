"""Call statements inlined: the callee's cascade with the caller's tensors, sizes and batch indices in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from attnc.diagnostics import error
from attnc.ir import syntax
from attnc.ir.cascade import Cascade, Const, Coord, Expr, Map, Order, Part, Range, Read, Reduce, Require, Size
from attnc.ir.cascade import Softmax as SoftmaxNode
from attnc.ir.indices import at, free_indices
from attnc.ir.node import Node
from attnc.ir.print_expression import show
from attnc.ir.walk import rebuild
from attnc.passes.names.arguments import Slice, arguments, options_of
from attnc.passes.names.expressions import Resolver
from attnc.passes.names.left import Side
from attnc.passes.names.mistakes import counted
from attnc.passes.names.reads import axes_of, read
from attnc.passes.names.scope import CALLER, Scope
from attnc.passes.sums import normal
from attnc.source import Span

MOST_PARTS = 1000


def called(resolver: Resolver, statement: syntax.Define) -> str | None:
    """The attention that a statement calls, if its right side is a call of one."""
    value = statement.value
    if isinstance(value, syntax.Apply) and isinstance(value.f, syntax.Name):
        name = value.f.name
        return name if name in resolver.scope.attentions else None
    return None


def inline(resolver: Resolver, statement: syntax.Define, sides: list[Side]) -> list[Part]:
    """The parts that a call stands for; names of the callee are made new, so none is captured.

    What the callee requires, the caller requires.
    """
    call = statement.value
    assert isinstance(call, syntax.Apply)
    assert isinstance(call.f, syntax.Name)
    scope = resolver.scope
    called = scope.attentions[call.f.name]
    callee = called.resolved(options_of(resolver, call, called.attention), scope, call.span)
    if len(statement.places) > len(callee.outputs):
        raise error(
            "A126",
            f"`{callee.name}` has {counted(len(callee.outputs), 'output')}, but {len(statement.places)} are taken",
            statement.places[len(callee.outputs)].span,
            "nothing is left for this",
        )
    slices = arguments(resolver, callee, call)
    return _Inliner(scope, callee, call.span, slices, _batch(slices, sides, call.span)).run(statement, sides)


def _batch(slices: Mapping[str, Slice], sides: list[Side], span: Span) -> tuple[str, ...]:
    """The caller's indices at which the arguments are sliced, in the order of the left side."""
    mentioned = {i for item in slices.values() for sub in item.subs if sub is not None for i in free_indices(sub)}
    for _, indices in sides:
        for index in sorted(mentioned - set(indices)):
            raise error(
                "A108",
                f"index {index} selects a slice, but is not on the left",
                span,
                f"{index} is free here",
                helps=(f"put `{index}` on the left side: one call is made for each",),
            )
    return tuple(index for index in sides[0][1] if index in mentioned)


@dataclass
class _Inliner:
    """One call: how the callee's names are said in the caller."""

    scope: Scope
    callee: Cascade
    span: Span
    arguments: Mapping[str, Slice]
    batch: tuple[str, ...]
    index: dict[str, str] = field(default_factory=dict)
    tensor: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, Expr] = field(default_factory=dict)

    def run(self, statement: syntax.Define, sides: list[Side]) -> list[Part]:
        """Names first, then sizes, ranges, and the tensors in the callee's order."""
        scope, callee = self.scope, self.callee
        self.index = {item.index: scope.bring(f"{callee.name}_{item.index}", item.span) for item in callee.ranges}
        for tensor in callee.tensors:
            self.tensor[tensor.name] = scope.fresh(f"{callee.name}_{tensor.name}")
            scope.lefts[self.tensor[tensor.name]] = []
        self._bind_sizes()
        for item in callee.ranges:
            own = self.index[item.index]
            scope.ranges[own] = Range(own, self.expr(item.lo), self.expr(item.hi), span=item.span)
        parts = [part for tensor in callee.tensors for part in self._parts(tensor.name)]
        scope.inlined.update(self.tensor.values())
        if sum(map(len, scope.lefts.values())) > MOST_PARTS:
            raise error(
                "A117", f"the calls of attentions make more than {MOST_PARTS} statements", self.span, "one more here"
            )
        scope.requires += [Require(self.expr(item.test), span=self.span) for item in callee.requires]
        return [*parts, *self._results(statement, sides)]

    @property
    def ahead(self) -> tuple[Expr, ...]:
        """The batch indices, the first axes of every tensor of the callee."""
        return tuple(Coord(index) for index in self.batch)

    def _parts(self, name: str) -> list[Part]:
        tensor = self.callee.tensor(name)
        assert tensor is not None
        own = self.tensor[name]
        self.scope.types[own] = tensor.type
        self.scope.lefts[own] = [(*self.ahead, *(self.expr(sub) for sub in part.left)) for part in tensor.parts]
        return [
            Part(
                own,
                self.scope.lefts[own][number],
                (*self.batch, *(self.index[index] for index in part.indices)),
                self.expr(part.value),
                span=self.span,
            )
            for number, part in enumerate(tensor.parts)
        ]

    def _results(self, statement: syntax.Define, sides: list[Side]) -> list[Part]:
        """The caller's tensors: each axis of an output along the index that the left side names for it."""
        results = []
        for place, (left, indices), output in zip(statement.places, sides, self.callee.outputs, strict=False):
            axes = self._axes(output)
            names = [index for index in indices if index not in self.batch]
            if len(names) != len(axes):
                rank = counted(len(axes), "axis", "axes")
                found = f"`{output}` of `{self.callee.name}` has {rank}, but {len(names)} indices are left for them"
                notes = (f"for each {', '.join(self.batch)} there is one call",) if self.batch else ()
                raise error("A105", found, place.span, "here", notes=notes)
            subs = tuple(self._along(output, *pair, place.span) for pair in zip(names, axes, strict=True))
            if output in self.tensor:
                value: Expr = read(self.scope, self.tensor[output], (*self.ahead, *subs), place.span)
            else:
                value = self._input(Read(output, subs, tuple(range(len(axes)))))
            results.append(Part(place.name, left, indices, value, span=statement.span))
        return results

    def _along(self, output: str, index: str, axis: tuple[Expr, Expr], span: Span) -> Expr:
        """The position on an output's axis of an index of the caller: both are counted from where they start."""
        item = self.scope.ranges[index]
        lo, hi = (self.expr(end) for end in axis)
        shift = normal(Map("sub", (lo, item.lo)))
        sub: Expr = Coord(index) if shift == Const(0) else normal(Map("add", (Coord(index), shift)))
        length, extent = normal(Map("sub", (item.hi, item.lo))), normal(Map("sub", (hi, lo)))
        if length != extent and not self.scope.facts().implies(Map("le", (length, extent))):
            raise error(
                "A139",
                f"index {index} has {show(length)} positions, but this axis of `{output}` has {show(extent)}",
                span,
                f"{show(length)} <= {show(extent)} does not follow",
                clashes=((item.span, f"{index} comes from here"),),
            )
        return sub

    def _axes(self, output: str) -> tuple[tuple[Expr, Expr], ...]:
        """The axes of an output, in the callee's terms."""
        tensor, given = self.callee.tensor(output), self.callee.input(output)
        if tensor is not None:
            return tensor.axes
        assert given is not None
        ranges = [self.callee.range(index) for index in given.indices]
        return tuple((item.lo, item.hi) for item in ranges)

    def _bind_sizes(self) -> None:
        """The callee's extents in the caller's sizes: equal ones are required where they are not the same text."""
        first: dict[str, str] = {}
        for item in self.callee.inputs:
            if item.name not in self.arguments:
                continue
            given = self.arguments[item.name]
            ends = axes_of(self.scope, given.tensor)
            for index, axis in zip(item.indices, given.kept(), strict=True):
                extent = normal(Map("sub", ends[axis][::-1]))
                known = self.sizes.setdefault(index, extent)
                first.setdefault(index, item.name)
                if known != extent:
                    self._same(index, (first[index], known), (item.name, extent), given.span)
        for item in self.callee.inputs:
            for index in item.indices:
                if index not in self.sizes:
                    raise error(
                        "A130",
                        f"nothing fixes the extent of `{index}`: it occurs only in `{item.name}`, which is not given",
                        self.span,
                        f"`{self.callee.name}` needs it",
                    )

    def _same(self, index: str, one: tuple[str, Expr], other: tuple[str, Expr], span: Span) -> None:
        """Two of the callee's inputs have the same extent along an index."""
        (name, known), (second, extent) = one, other
        test = Map("eq", (known, extent))
        if self.scope.facts().excludes(test):
            extents = f"{show(known)} in `{name}` but {show(extent)} in `{second}`"
            what = f"index {index} of `{self.callee.name}` has extent {extents}"
            raise error("A139", what, span, f"given for `{second}`")
        self.scope.requires.append(Require(test, span=self.span))

    # ---- the callee's expressions ----------------------------------------------------------

    def expr(self, value: Expr) -> Expr:
        """An expression of the callee said in the caller's names."""
        return cast(Expr, self._node(value))

    def _node(self, node: Node) -> Node:
        match node:
            case Coord(index):
                return Coord(self.index[index], span=node.span)
            case Size(index) if index.startswith(CALLER):
                return Size(index.removeprefix(CALLER), span=node.span)
            case Size(index):
                return self.sizes[index]
            case Read(tensor) if tensor in self.tensor:
                subs = tuple(self.expr(sub) for sub in node.subs)
                tested = tuple(axis + len(self.batch) for axis in node.tested)
                return Read(self.tensor[tensor], (*self.ahead, *subs), tested, node.part, span=node.span)
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
        ends, subs = axes_of(self.scope, given.tensor), list(given.subs)
        for axis, index, sub in zip(given.kept(), item.indices, node.subs, strict=True):
            own = self.expr(self.callee.range(index).lo)
            same = normal(own) == normal(ends[axis][0])
            subs[axis] = sub if same else normal(Map("add", (Map("sub", (sub, own)), ends[axis][0])))
        fixed = [axis for axis, sub in enumerate(given.subs) if sub is not None]
        tested = sorted({*fixed, *(given.kept()[axis] for axis in node.tested)})
        return Read(given.tensor, tuple(sub for sub in subs if sub is not None), tuple(tested), span=given.span)
