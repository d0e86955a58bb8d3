"""A backward cascade as it is written: its names and indices, and sums that kernels can stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

from attnc.ir.cascade import Cascade, Choose, Coord, Expr, Input, Map, Part, Range, Read, Reduce, Step, Tensor, Type
from attnc.ir.indices import free_indices
from attnc.ir.stage import Stream, inner_indices
from attnc.ir.types import type_of, types_of
from attnc.ir.walk import walk
from attnc.passes.differentiate.pullback import ZERO
from attnc.passes.differentiate.reverse import Term
from attnc.passes.factor import factors, product
from attnc.passes.simplify import conjunction, simplify


@dataclass
class Writer:
    """The backward of a stage: what it reads, the indices it walks, the tensors it computes."""

    stream: Stream
    forward: Cascade
    resolved: Callable[[Expr], Expr]  # what is read of the stage's state, as the backward reads it
    ranges: dict[str, Range] = field(default_factory=dict)
    types: dict[str, Type] = field(default_factory=dict)
    tensors: list[Tensor] = field(default_factory=list)
    moved: dict[tuple[str, Expr, Expr], str] = field(default_factory=dict)
    rows: list[str] = field(default_factory=list)  # what has to lie in memory, whatever reads it
    known: dict[tuple[Expr, frozenset[str]], Read] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Starts with the names of the forward cascade."""
        self.ranges |= {item.index: item for item in self.forward.ranges}
        self.types |= types_of(self.forward)

    # ---- names -----------------------------------------------------------------------------

    def fresh(self, name: str, kind: Type = "real") -> str:
        """A new tensor's name: this one, or one with more underscores where it is taken."""
        while name in self.types or name in self.ranges:
            name += "_"
        self.types[name] = kind
        return name

    def index(self, name: str, lo: Expr, hi: Expr) -> str:
        """A new index over lo <= index < hi."""
        while name in self.ranges or name in self.types:
            name += "_"
        self.ranges[name] = Range(name, lo, hi)
        return name

    def inside(self, index: str, lo: Expr, hi: Expr) -> str:
        """The index over lo <= i < hi that stands for an index, or for what is left of it, where it is moved."""
        key = (index, lo, hi)
        if key not in self.moved:
            self.moved[key] = self.index(f"{index}_in", lo, hi)
        return self.moved[key]

    def axes(self, name: str) -> tuple[str, ...]:
        """An index for each axis of an input or tensor of the forward cascade: its own where it has one."""
        given = self.forward.input(name)
        if given is not None:
            return given.indices
        tensor = self.forward.tensor(name)
        assert tensor is not None, f"no tensor {name}"
        lefts = tensor.parts[0].left if len(tensor.parts) == 1 else (None,) * len(tensor.axes)
        found = []
        for axis, (left, (lo, hi)) in enumerate(zip(lefts, tensor.axes, strict=True)):
            own = self.ranges[left.index] if isinstance(left, Coord) else None
            spans = own is not None and (own.lo, own.hi) == (lo, hi)
            found.append(own.index if own is not None and spans else self.index(f"{name}_{axis}", lo, hi))
        return tuple(found)

    # ---- tensors ---------------------------------------------------------------------------

    def tensor(self, name: str, indices: tuple[str, ...], value: Expr, span_of: Expr | None = None) -> Read:
        """A new tensor over these indices, read at them."""
        name = self.fresh(name)
        axes = tuple((self.ranges[index].lo, self.ranges[index].hi) for index in indices)
        left = tuple(map(Coord, indices))
        value = self.simple(self.resolved(value))
        part = Part(name, left, indices, value, span=(span_of or value).span)
        self.tensors.append(Tensor(name, axes, "real", (part,), span=part.span))
        return Read(name, left, span=part.span)

    def ends(self, index: str) -> tuple[Expr, Expr]:
        """Where an index begins and ends."""
        return self.ranges[index].lo, self.ranges[index].hi

    def simple(self, value: Expr) -> Expr:
        """The value by the laws of arithmetic."""
        return simplify(value, self.types.__getitem__)

    def kind(self, expr: Expr) -> Type:
        """The type of an expression."""
        return type_of(expr, self.types.__getitem__)

    # ---- sums ------------------------------------------------------------------------------

    def summed(self, term: Term, own: frozenset[str], name: str = "") -> Term:
        """A term summed over the indices that are not among `own`: over one length first, as a stage of its own.

        Before   what comes in at slope[h] over (b, h, m, n)
        After    rows[b,h,m] = sum[n](..), and the sum of that over (b, m)
        Holds    because sums may be nested; the inner one streams, the outer one is short.
        """
        missing = self.ordered(term.scope - own)
        length = next((index for index in self.walked if index in missing), None)
        first = tuple(index for index in missing if index == length or (length and self.is_inner(index)))
        if not first or first == missing:
            return self._over(term, missing)
        rows = self.stored(self._over(term, first), name)
        return self._over(rows, tuple(index for index in missing if index not in first))

    def _over(self, term: Term, over: tuple[str, ...]) -> Term:
        """The term summed over indices, those inside a tile first: what does not vary along them stands outside."""
        inner = tuple(index for index in over if self.is_inner(index))
        if not over or (inner and inner != over):
            return self._over(self._over(term, inner), tuple(i for i in over if i not in inner)) if over else term
        inside = tuple(test for test in term.when if free_indices(test) & set(over))
        outside = tuple(test for test in term.when if test not in inside)
        above, below = factors(term.value) if inner and not inside else ([term.value], [])
        vary = [[item for item in side if free_indices(item) & set(over)] for side in (above, below)]
        rest = [[item for item in side if not free_indices(item) & set(over)] for side in (above, below)]
        total = Reduce("sum", over, product(*vary), inside, span=term.value.span)
        value = total if not any(rest) else product([*rest[0], total], rest[1])
        return Term(value, term.scope - frozenset(over), outside)

    def stored(self, term: Term, name: str = "") -> Term:
        """The term as a read of a tensor of its own; equal terms share it."""
        value = self.simple(term.value)
        if (value, term.scope) not in self.known:
            name = name or f"d{self.stream.name}_part"
            self.known[value, term.scope] = self.tensor(name, self.ordered(term.scope), value)
        return Term(self.known[value, term.scope], term.scope, term.when)

    def settled(self, term: Term, name: str) -> Term:
        """The term as it may be read point by point: what is folded in it is stored, and so is an exponential.

        A product of exponentials may be in range where its factors are not: no kernel is to take it apart.
        """
        nodes = list(walk(term.value))
        power = any(isinstance(node, Map) and node.op == "exp" for node in nodes)
        if not power and not any(isinstance(node, Reduce) for node in nodes):
            return term
        found = self.stored(term, name)
        if power and isinstance(found.value, Read):
            self.rows.append(found.value.tensor)
        return found

    @property
    def walked(self) -> tuple[str, ...]:
        """The stage's lengths: those of its stream first, then its tiled index."""
        segments = (segment.index for segment in self.stream.monoid.segments)
        found = (*segments, self.stream.parallel)
        return tuple(dict.fromkeys(index for index in found if index is not None))

    @cached_property
    def _inner(self) -> tuple[str, ...]:
        return inner_indices(self.stream, self.forward)

    def is_inner(self, index: str) -> bool:
        """Whether an index is whole inside a tile of the stage."""
        return index in self._inner

    def ordered(self, indices: frozenset[str]) -> tuple[str, ...]:
        """Indices in the order that tensors have: batch and heads, then lengths, then what is inside a tile."""
        order = list(self.ranges)
        return tuple(sorted(indices, key=lambda index: (self._rank(index), order.index(index))))

    def _rank(self, index: str) -> int:
        return 1 if index in self.walked else 2 if self.is_inner(index) else 0

    def value(self, term: Term) -> Expr:
        """A term as a value that is 0 where its conditions fail: a sum is then one of nothing."""
        match term.value:
            case _ if not term.when:
                return term.value
            case Reduce("sum", _, _, when) as total:
                return replace(total, when=(*when, *term.when))
            case Map("neg", (Reduce("sum", _, _, when) as total,)):
                return Map("neg", (replace(total, when=(*when, *term.when)),))
            case _:
                return Choose(conjunction(term.when), term.value, ZERO)

    # ---- the whole -------------------------------------------------------------------------

    def cascade(self, name: str, outputs: tuple[str, ...], inputs: tuple[Input, ...]) -> Cascade:
        """The backward cascade."""
        steps = tuple(Step((tensor.name,)) for tensor in self.tensors)
        used = {index for item in inputs for index in item.indices} | _indices(self.tensors)
        found = (item for item in self.ranges.values() if item.index in used)
        ranges = tuple(replace(item, walks=tuple(other for other in item.walks if other in used)) for item in found)
        return Cascade(name, inputs, self.forward.options, ranges, tuple(self.tensors), steps, outputs)


def _indices(tensors: list[Tensor]) -> set[str]:
    """The indices that occur in tensors."""
    found = {index for tensor in tensors for part in tensor.parts for index in part.indices}
    for node in (node for tensor in tensors for node in walk(tensor)):
        found |= {node.index} if isinstance(node, Coord) else set(node.over) if isinstance(node, Reduce) else set()
    return found
