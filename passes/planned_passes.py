"""How many passes over an index a plan makes: its stages stamped as the statements of a cascade are.

A stage that visits the index runs in the first pass in which all it reads is there. What it gives along the index
is there in order in the same pass, what it has folded over it after that pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

from attnc.ir.cascade import Order, Part, Reduce, Step
from attnc.ir.indices import free_indices
from attnc.ir.stage import Host, Plan, Stage, Stream, inner_indices
from attnc.ir.walk import walk
from attnc.passes.count import HALF, rounds_of
from attnc.passes.defined import read_names
from attnc.passes.families import Shapes


def planned_passes(shapes: Shapes, plan: Plan, index: str) -> int:
    """The passes over an index under a plan."""
    sweep = _Sweep(shapes, shapes.family[index])
    for stage in plan.stages:
        sweep.stage(stage)
    return sum(times * max(1, len(sweep.directed.get(number, ()))) for number, times in sweep.rounds.items())


@dataclass
class _Sweep:
    """The stamps of what stages give, and the passes in which one visits the index."""

    shapes: Shapes
    family: str
    stamps: dict[str, Fraction] = field(default_factory=dict)
    rounds: dict[int, int] = field(default_factory=dict)
    directed: dict[int, set[bool]] = field(default_factory=dict)

    def stage(self, stage: Stage) -> None:
        """One stage after those that it reads from."""
        gives = stage.tensors if isinstance(stage, Host) else tuple(item.tensor for item in stage.monoid.finishes)
        stamp = max((self.stamps.get(name, HALF) for name in self._reads(stage) - set(gives)), default=HALF)
        if not self._visits(stage):
            self.stamps |= dict.fromkeys(gives, stamp)
            return
        number = max(1, ceil(stamp))
        self.rounds[number] = max(self.rounds.get(number, 1), self._times(stage))
        step = self._recurrence(stage)
        if step is not None and self._runs_along(step):
            self.directed.setdefault(number, set()).add(step.forward)
        for name in gives:
            self.stamps[name] = Fraction(number) if self._in_order(stage, name) else number + HALF

    def _reads(self, stage: Stage) -> set[str]:
        nodes = [self.shapes.tensors[name] for name in stage.tensors] if isinstance(stage, Host) else [stage.monoid]
        return {name for node in nodes for name in read_names(node)}

    def _visits(self, stage: Stage) -> bool:
        cascade = self.shapes.cascade
        if isinstance(stage, Stream):
            found = {*stage.tiled, *stage.grid, *inner_indices(stage, cascade)}
            found |= {stage.stream} if stage.stream is not None else set()
        else:
            found = {index for name in stage.tensors for index in self._indices(name)}
        walked = {other for index in found for other in cascade.range(index).walks}
        return any(self.shapes.family[index] == self.family for index in found | walked)

    def _indices(self, name: str) -> set[str]:
        """The indices that a statement walks."""
        found = set[str]()
        for part in self.shapes.tensors[name].parts:
            nodes = (node for node in walk(part.value) if isinstance(node, Reduce | Order))
            found |= {*part.indices, *(index for node in nodes for index in node.over)}
        return found

    def _in_order(self, stage: Stage, name: str) -> bool:
        """Whether a tensor has its value for a position as soon as the stage is there."""
        parts = self.shapes.tensors[name].parts
        along = any(self.shapes.family[index] == self.family for part in parts for index in part.indices)
        nodes = (node for part in parts for node in walk(part.value) if isinstance(node, Order))
        orders = any(self.shapes.family[index] == self.family for node in nodes for index in node.over)
        return along and not orders and not (isinstance(stage, Stream) and stage.stream == self.family)

    def _recurrence(self, stage: Stage) -> Step | None:
        """The recurrence that a stage steps through, if it is one."""
        if isinstance(stage, Stream):
            return None
        return next((step for step in self.shapes.cascade.steps if step.axes and step.tensors == stage.tensors), None)

    def _runs_along(self, step: Step) -> bool:
        """Whether a recurrence steps along the index."""
        pairs = zip(step.tensors, step.axes, strict=True)
        lefts = [part.left[axis] for name, axis in pairs for part in self.shapes.tensors[name].parts]
        return any(self.shapes.family[index] == self.family for left in lefts for index in free_indices(left))

    def _times(self, stage: Stage) -> int:
        """How often a stage visits the index: a recurrence along another one that folds this one, in every step."""
        step = self._recurrence(stage)
        if step is None or self._runs_along(step):
            return 1
        folding = [part for name in step.tensors for part in self.shapes.tensors[name].parts if self._folds(part)]
        return max((rounds_of(self.shapes.cascade, step, part) for part in folding), default=1)

    def _folds(self, part: Part) -> bool:
        nodes = (node for node in walk(part.value) if isinstance(node, Reduce))
        return any(self.shapes.family[index] == self.family for node in nodes for index in node.over)
