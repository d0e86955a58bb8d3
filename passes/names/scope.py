"""What names mean in one attention: inputs, options, indices, sizes, tensors, and the defs it can call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from attnc.diagnostics import error
from attnc.ir import syntax
from attnc.ir.cascade import Cascade, Const, Expr, Input, Map, Range, Read, Require, Size, Type
from attnc.ir.types import type_of
from attnc.passes.names.mistakes import Mistakes, follows
from attnc.passes.prove import Atoms, Facts
from attnc.passes.sums import normal
from attnc.source import Span

DEF_NOTE = "a def sees its arguments, its options, its indices and their extents, and its own names: nothing else"
CALLER = "caller "  # in a callee, before the name of a size of its caller


@dataclass(frozen=True, eq=False)
class Callee:
    """An attention that a statement can call: resolved for options, a caller, and the place of the call."""

    attention: syntax.Attention
    resolved: Callable[[Mapping[str, Expr], Scope, Span], Cascade]


@dataclass(frozen=True, eq=False)
class Def:
    """A def with the defs that its own file lets it see."""

    function: syntax.Function
    sees: Mapping[str, Def]


@dataclass(frozen=True)
class Claim:
    """A value whose type is known once all statements are: it must be one of `kinds`, or `what` is wrong with it."""

    value: Expr
    kinds: tuple[Type, ...]
    what: str
    span: Span
    declared: Span | None
    code: str


@dataclass
class Scope:
    """One attention under resolution. Definitions are resolved when first needed, in any order.

    `brought` are the indices that defs and calls have brought along: the attention itself cannot name them.
    `inlined` are the tensors of calls; `broken` are names whose definition is a mistake, already told.
    """

    functions: Mapping[str, Def]
    inputs: dict[str, Input] = field(default_factory=dict)
    ranges: dict[str, Range] = field(default_factory=dict)
    constants: dict[str, Expr] = field(default_factory=dict)
    places: dict[str, list[syntax.Define]] = field(default_factory=dict)
    lefts: dict[str, list[tuple[Expr, ...]]] = field(default_factory=dict)
    types: dict[str, Type] = field(default_factory=dict)
    sizes: dict[str, syntax.Define] = field(default_factory=dict)
    attentions: Mapping[str, Callee] = field(default_factory=dict)
    pending: dict[str, syntax.Range] = field(default_factory=dict)  # `index` lines that are not reached yet
    missing: frozenset[str] = frozenset()  # what `use` lines should have brought
    sized: bool = False  # whether all sizes, ranges and left sides are known
    calling: tuple[object, ...] = ()  # the defs and sizes whose values are being resolved
    expansions: int = 0
    bare: dict[str, Span] = field(default_factory=dict)  # constants named as an extent is, and where
    brought: set[str] = field(default_factory=set)
    claims: list[Claim] = field(default_factory=list)
    requires: list[Require] = field(default_factory=list)
    given: tuple[Expr, ...] = ()  # what a caller requires of its sizes
    call: Span | None = None  # where it is called
    axes: dict[tuple[tuple[Expr, ...], ...], list[tuple[Expr, Expr]]] = field(default_factory=dict)  # by left sides
    slices: list[Read] = field(default_factory=list)  # of tensors, given to calls
    inlined: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    mistakes: Mistakes = field(default_factory=Mistakes)

    def indices(self) -> list[str]:
        """The indices that the attention can name."""
        return [index for index in self.ranges if index not in self.brought]

    def extent(self, index: str) -> Expr:
        """The extent of an index: max(0, hi - lo); of an input's axis what the call brings."""
        item = self.ranges[index]
        extent = normal(Map("sub", (item.hi, item.lo)))
        if isinstance(extent, Const):
            return Const(max(0, int(extent.value)))
        if self.given_index(index):
            return Size(index)
        return extent if self.facts().implies(Map("le", (Const(0), extent))) else Map("max", (Const(0), extent))

    def given_index(self, index: str) -> bool:
        """Whether an index is that of an input's axis."""
        return any(index in given.indices for given in self.inputs.values())

    def facts(self) -> Facts:
        """What is known everywhere: the requirements, and that the axes of inputs are as long as their ranges."""
        tests = [*self.given, *(item.test for item in self.requires)]
        for index in dict.fromkeys(index for given in self.inputs.values() for index in given.indices):
            item = self.ranges[index]
            length = normal(Map("sub", (item.hi, item.lo)))
            if length != Size(index):
                tests.append(Map("eq", (Size(index), Map("max", (Const(0), length)))))
        return Facts(Atoms(self.kind), self.ranges.__getitem__, tuple(tests))

    def kind(self, expr: Expr) -> Type:
        """The type of an expression."""
        return type_of(expr, self.types.__getitem__)

    def defined(self, name: str, span: Span) -> list[tuple[Expr, ...]]:
        """The left sides of a tensor; an error where sizes are still to be known, or its definition is a mistake."""
        if not self.sized:
            raise error(
                "A138",
                f"`{name}` is a tensor; sizes, ranges and options depend on sizes and options only",
                span,
                "depends on data",
            )
        if name in self.broken or name not in self.lefts:
            raise follows()
        return self.lefts[name]

    def known(self) -> list[str]:
        """Every name that a bare name can mean."""
        indices = self.indices()
        capitals = [index.upper() for index in indices]
        return [*self.inputs, *self.places, *self.constants, *self.sizes, *indices, *capitals]

    def fresh(self, name: str) -> str:
        """A name that means nothing yet: this one, or this one with a number."""
        taken = {*self.ranges, *self.inputs, *self.places, *self.lefts, *self.constants, *self.sizes}
        return next(choice for choice in _numbered(name) if choice not in taken)

    def bring(self, name: str, span: Span) -> str:
        """A new index, named like this one, that the attention itself cannot name."""
        own = self.fresh(name)
        self.ranges[own] = Range(own, Const(0), Size(own), span=span)
        self.brought.add(own)
        return own


def _numbered(name: str) -> Iterable[str]:
    yield name
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1


@dataclass(frozen=True)
class Local:
    """The names of a def's body: argument values, and the caller's indices for each of its own."""

    function: Def
    values: dict[str, Expr] = field(default_factory=dict)
    indices: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def known(self) -> list[str]:
        """Every name that the body can use."""
        return [*self.values, *self.indices, *(index.upper() for index in self.indices)]
