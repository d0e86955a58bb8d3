"""What an expansion has made so far, and the place in the cascade where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from attnc.ir.cascade import Cascade, Coord, Expr, Order, Part, Range, Read, Reduce, Step, Tensor, Type
from attnc.ir.indices import free_indices
from attnc.ir.types import type_of, types_of
from attnc.ir.walk import walk
from attnc.passes.expand.facts import decided
from attnc.passes.simplify import TRUE, simplify
from attnc.source import NOWHERE, Span


@dataclass(frozen=True, slots=True)
class Valued:
    """An explicit value with the conditions under which it exists."""

    value: Expr
    when: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True)
class Site:
    """The statement that is being expanded: its tensor, and the indices in scope, outer ones first."""

    tensor: str
    indices: tuple[str, ...]
    span: Span = NOWHERE

    def inside(self, over: tuple[str, ...]) -> Site:
        """The same statement, inside a reduction over these indices."""
        new = tuple(index for index in over if index not in self.indices)
        return replace(self, indices=self.indices + new)


@dataclass(slots=True)
class Expansion:
    """The explicit cascade under construction.

    `known` finds a tensor by what defines it, so that two statements share it. `cycle` are the tensors
    that are being defined through each other; `witnesses` gives for some of them the boolean tensor
    that says where they exist, and which of their axes it has. `variables` are what is being
    differentiated by.
    """

    cascade: Cascade
    types: dict[str, Type] = field(default_factory=dict)
    done: dict[str, Tensor] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    known: dict[tuple[Expr, tuple[Expr, ...]], str] = field(default_factory=dict)
    cycle: frozenset[str] = frozenset()
    variables: frozenset[str] = frozenset()
    witnesses: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)

    @classmethod
    def of(cls, cascade: Cascade) -> Expansion:
        """Nothing made yet of this cascade."""
        return cls(cascade, types_of(cascade))

    def type(self, expr: Expr) -> Type:
        """The type of an expression over the tensors there are."""
        return type_of(expr, self.types.__getitem__)

    def range(self, index: str) -> Range:
        """The range of an index."""
        return self.cascade.range(index)

    def axes(self, tensor: str) -> tuple[tuple[Expr, Expr], ...]:
        """The axes of an input or defined tensor as half-open intervals."""
        source = self.cascade.input(tensor)
        if source is not None:
            return tuple((self.range(index).lo, self.range(index).hi) for index in source.indices)
        made = self.done.get(tensor) or self.cascade.tensor(tensor)
        assert made is not None, f"no tensor {tensor}"
        return made.axes

    def fresh(self, name: str) -> str:
        """A name no tensor, index or size has yet: this one, or this one with a number."""
        taken = self.types.keys() | {range.index for range in self.cascade.ranges}
        choices = (name, *(f"{name}_{number}" for number in range(2, len(taken) + 3)))
        return next(choice for choice in choices if choice not in taken)

    def add(self, tensor: Tensor, step: Step | None) -> None:
        """One more explicit tensor, evaluated after all there are."""
        self.types[tensor.name] = tensor.type
        self.done[tensor.name] = tensor
        if step is not None:
            self.steps.append(step)


def tidy(state: Expansion, item: Valued) -> Valued:
    """The same value and conditions, simplified."""
    kinds = state.types.__getitem__
    value = simplify(item.value, kinds)
    if isinstance(value, Reduce | Order):
        value = replace(value, when=_tests(state, value.when))
    return Valued(value, _tests(state, item.when))


def _tests(state: Expansion, when: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """The conditions that are not plainly true, each still mentioning the indices that it mentioned."""
    short = [simplify(decided(test, state.range), state.types.__getitem__) for test in when]
    tests = [new if new == TRUE or _alike(new, old) else old for new, old in zip(short, when, strict=True)]
    return tuple(test for test in dict.fromkeys(tests) if test != TRUE)


def _alike(new: Expr, old: Expr) -> bool:
    return free_indices(new) == free_indices(old)


def named(state: Expansion, site: Site, word: str, item: Valued) -> Expr:
    """A read of a tensor that holds this value: one there is already, or a new one `TENSOR_word`.

    What depends on the recurrence or the derivative that it is part of stays where it is.
    """
    kept = state.cycle | state.variables | {witness for witness, _ in state.witnesses.values()}
    if any(isinstance(node, Read) and node.tensor in kept for node in walk(item.value)):
        return item.value
    item = tidy(state, item)
    free = free_indices(item.value)
    indices = tuple(index for index in site.indices if index in free)
    assert len(indices) == len(free), f"index out of scope in {site.tensor}: {sorted(free - set(indices))}"
    when = tuple(test for test in item.when if free_indices(test) <= free)
    name = state.known.get((item.value, when))
    if name is None:
        name = _define(state, site, state.fresh(f"{site.tensor}_{word}"), indices, Valued(item.value, when))
    part = state.done[name].parts[0]
    return Read(name, part.left, span=item.value.span)


def _define(state: Expansion, site: Site, name: str, indices: tuple[str, ...], item: Valued) -> str:
    left = tuple(Coord(index) for index in indices)
    part = Part(name, left, indices, item.value, item.when, span=site.span)
    axes = tuple((state.range(index).lo, state.range(index).hi) for index in indices)
    kind = state.type(item.value)
    state.add(Tensor(name, axes, kind, (part,), span=site.span), Step((name,), span=site.span))
    state.known[item.value, item.when] = name
    return name
