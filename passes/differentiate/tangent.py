"""The tangent of a program: how its outputs change as its inputs do, by the rules of the backward."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from attnc.ir.adjoint import Pairs, Tangent
from attnc.ir.cascade import Cascade, Coord, Expr, Part, Read, Step, Tensor, Type
from attnc.ir.dependence import read_names, sources
from attnc.ir.indices import free_indices
from attnc.ir.stage import Plan
from attnc.ir.types import type_of, types_of
from attnc.ir.walk import walk
from attnc.passes.differentiate.forward import Fold, Forward, NoTangentError, added
from attnc.passes.differentiate.references import references
from attnc.passes.simplify import simplify

Planner = Callable[[Cascade], tuple[Cascade, Plan]]


def tangent(cascade: Cascade, plan: Plan, moving: Iterable[str], planned: Planner) -> Tangent | None:
    """The tangents of the outputs, given the inputs and the tangents of those that are `moving`.

    Before   O[m] = sum[n](P[m,n] * V[n])
    After    O_tangent[m] = sum[n](P_tangent[m,n] * V[n]) + sum[n](P[m,n] * V_tangent[n])
    Holds    by the chain rule; nothing is written for what does not change, references of exponents among it.

    None where a derivative is not written as a cascade.
    """
    made = _Statements(cascade, references(cascade, plan), types_of(cascade))
    for name in moving:
        made.move(name)
    try:
        for step in cascade.steps:
            made.follow(step)
    except NoTangentError:
        return None
    return Tangent(made.inputs(), made.outputs(), *planned(made.whole()))


@dataclass
class _Statements:
    """The tangents written so far: `tangents` names them by the tensor or input that they belong to."""

    cascade: Cascade
    held: frozenset[str]
    types: dict[str, Type]
    tangents: dict[str, str] = field(default_factory=dict)
    tensors: list[Tensor] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    folds: dict[Expr, Read] = field(default_factory=dict)

    def move(self, name: str) -> None:
        """An input or tensor has a tangent from here on."""
        self.tangents[name] = self.fresh(f"{name}_tangent", "real")

    def fresh(self, name: str, kind: Type) -> str:
        """A new tensor's name: this one, or one with more underscores where it is taken."""
        while name in self.types or any(item.index == name for item in self.cascade.ranges):
            name += "_"
        self.types[name] = kind
        return name

    def kind(self, expr: Expr) -> Type:
        """The type of an expression."""
        return type_of(expr, self.types.__getitem__)

    # ---- statements ------------------------------------------------------------------------

    def follow(self, step: Step) -> None:
        """The tangents of tensors that are evaluated together come after them, in the same order."""
        tensors = [tensor for name in step.tensors if (tensor := self.cascade.tensor(name)) is not None]
        self.tensors += tensors
        self.steps.append(step)
        moving = self._moving(step, tensors)
        written = [self._of_tensor(step, tensor) for tensor in moving]
        self.tensors += written
        if written:
            places = [step.tensors.index(tensor.name) for tensor in moving]
            axes, lags = (tuple(items[place] for place in places) if items else () for items in (step.axes, step.lags))
            names = tuple(tensor.name for tensor in written)
            self.steps.append(Step(names, axes, step.forward, lags, span=step.span))

    def _moving(self, step: Step, tensors: list[Tensor]) -> list[Tensor]:
        """Those of a step that change with something that does, one by another."""
        able = [tensor for tensor in tensors if tensor.type == "real" and tensor.name not in self.held]
        while more := [item for item in able if item.name not in self.tangents and self._moves(step, item)]:
            for tensor in more:
                self.move(tensor.name)
        return [tensor for tensor in able if tensor.name in self.tangents]

    def _moves(self, step: Step, tensor: Tensor) -> bool:
        return any(self._terms(step, part) for part in tensor.parts)

    def _terms(self, step: Step, part: Part) -> list[Expr]:
        return Forward(self.tangents, lambda fold: self._apart(step, part, fold), self.kind).terms(part.value)

    def _of_tensor(self, step: Step, tensor: Tensor) -> Tensor:
        name = self.tangents[tensor.name]
        values = (simplify(added(self._terms(step, part)), self.types.__getitem__) for part in tensor.parts)
        parts = (replace(part, tensor=name, value=value) for part, value in zip(tensor.parts, values, strict=True))
        return replace(tensor, name=name, parts=tuple(parts))

    def _apart(self, step: Step, part: Part, fold: Fold) -> Expr:
        """A fold as a read of a tensor that holds it; what is part of a recurrence stays where it is."""
        growing = {self.tangents.get(name) for name in step.tensors} if step.axes else set()
        if any(isinstance(node, Read) and node.tensor in growing for node in walk(fold)):
            return fold
        if fold not in self.folds:
            own = free_indices(fold)
            scope = dict.fromkeys((*part.indices, *(item.index for item in self.cascade.ranges)))
            self.folds[fold] = self._held(part, tuple(index for index in scope if index in own), fold)
        return self.folds[fold]

    def _held(self, part: Part, indices: tuple[str, ...], fold: Fold) -> Read:
        name = self.fresh(f"{part.tensor}_{fold.op}", self.kind(fold))
        axes = tuple((self.cascade.range(index).lo, self.cascade.range(index).hi) for index in indices)
        left = tuple(map(Coord, indices))
        value = simplify(fold, self.types.__getitem__)
        own = Part(name, left, indices, value, span=fold.span)
        self.tensors.append(Tensor(name, axes, self.types[name], (own,), span=fold.span))
        self.steps.append(Step((name,), span=fold.span))
        return Read(name, left, span=fold.span)

    # ---- the whole -------------------------------------------------------------------------

    def inputs(self) -> Pairs:
        """For each input that moves an output the input that holds its tangent."""
        used = self._used()
        moving = ((item.name, self.tangents.get(item.name)) for item in self.cascade.inputs)
        return tuple((name, own) for name, own in moving if own is not None and own in used)

    def outputs(self) -> Pairs:
        """For each output that changes the tensor of its tangent."""
        names = dict.fromkeys(self.cascade.outputs)
        return tuple((name, self.tangents[name]) for name in names if name in self.tangents)

    def whole(self) -> Cascade:
        """The cascade of what the tangents of the outputs need."""
        used, given = self._used(), dict(self.inputs())
        moving = (
            replace(item, name=given[item.name], default=None) for item in self.cascade.inputs if item.name in given
        )
        return replace(
            self.cascade,
            name=f"{self.cascade.name}_tangent",
            inputs=(*(item for item in self.cascade.inputs if item.name in used), *moving),
            tensors=tuple(tensor for tensor in self.tensors if tensor.name in used),
            steps=tuple(step for step in self.steps if used & set(step.tensors)),
            outputs=tuple(own for _, own in self.outputs()),
            limits=(),
            carries=(),
        )

    def _used(self) -> frozenset[str]:
        """What the tangents of the outputs are computed from; a recurrence is evaluated as a whole."""
        reads = {tensor.name: read_names(tensor) for tensor in self.tensors}
        together = {name: frozenset(step.tensors) for step in self.steps for name in step.tensors}
        every = {name: read | together[name] for name, read in reads.items()}
        return sources(every, (own for _, own in self.outputs()))
