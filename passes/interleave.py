"""In which order two indices must take turns: what a value summed over a parallel index costs.

Where each block of queries has its own program, a sum over all queries is complete only when every
program is: the whole grid waits. A cascade that reduces over m, then uses that for every p, then reduces
over p, and so on, is a chain of phases, each along one of the two indices; between two phases is a barrier.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from attnc.ir.cascade import Cascade, Part
from attnc.passes.fibres import Fibre, Visit, carrying_axes, visits_of


@dataclass(frozen=True, slots=True)
class Phase:
    """One sweep along an index, and the reductions and outputs that are completed in it."""

    index: str
    tensors: tuple[str, ...]


def interleave(cascade: Cascade, first: str, second: str) -> tuple[Phase, ...]:
    """The fewest phases that alternate between two indices; one phase less is the number of barriers."""
    schedules = [_Schedule(cascade, pair).run() for pair in ((first, second), (second, first))]
    return min(schedules, key=len)


@dataclass(slots=True)
class _Schedule:
    """Phases 1, 3, 5, .. run along the first index, the others along the second.

    `ready[tensor][index]` is the first phase along `index` that may use the tensor; `done` the phase in
    which its values exist where they are made.
    """

    cascade: Cascade
    indices: tuple[str, str]
    ready: dict[str, dict[str, int]] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    members: dict[int, list[str]] = field(default_factory=dict)

    def run(self) -> tuple[Phase, ...]:
        """The phases that do something, in order."""
        for step in self.cascade.steps:
            for name in step.tensors:
                tensor = self.cascade.tensor(name)
                assert tensor is not None, f"no tensor {name}"
                for part in tensor.parts:
                    self._statement(part)
        return tuple(Phase(self._index(number), tuple(self.members[number])) for number in sorted(self.members))

    def _statement(self, part: Part) -> None:
        visits = {index: visits_of(self.cascade, part, Fibre(index, (index,))) for index in self.indices}
        reduced = [index for index, visit in visits.items() if visit.reduces_outer]
        operands = [access.tensor for access in visits[self.indices[0]].accesses if access.tensor in self.ready]
        if reduced:
            self._reduction(part.tensor, reduced[0], operands)
        else:
            self._pointwise(part.tensor, visits, operands)

    def _reduction(self, name: str, index: str, operands: list[str]) -> None:
        number = self._round(max((self.ready[item][index] for item in operands), default=1), index)
        other = next(item for item in self.indices if item != index)
        local = bool(carrying_axes(self.cascade, other).get(name))
        self._finish(name, number, {index: number if local else number + 1, other: number + 1})
        self.members.setdefault(number, []).append(name)

    def _pointwise(self, name: str, visits: dict[str, Visit], operands: list[str]) -> None:
        """Made again wherever it is used; an output is made once, in a phase along its own index."""
        ready = {index: max((self.ready[item][index] for item in operands), default=1) for index in self.indices}
        number = max((self._where(item, visits) for item in operands), default=1)
        self._finish(name, number, ready)
        if name in self.cascade.outputs and operands:
            self.members.setdefault(number, []).append(name)

    def _where(self, operand: str, visits: dict[str, Visit]) -> int:
        """The phase in which a statement can use an operand: its own, unless it spreads it over an index."""
        spread = [
            index
            for index in self.indices
            if visits[index].whole and not carrying_axes(self.cascade, index).get(operand)
        ]
        if not spread:
            return self.done[operand]
        return self._round(self.ready[operand][spread[0]], spread[0])

    def _finish(self, name: str, number: int, ready: dict[str, int]) -> None:
        old = self.ready.get(name, dict.fromkeys(self.indices, 1))
        self.ready[name] = {index: max(old[index], ready[index]) for index in self.indices}
        self.done[name] = max(self.done.get(name, 1), number)

    def _index(self, number: int) -> str:
        return self.indices[(number - 1) % 2]

    def _round(self, number: int, index: str) -> int:
        return number if self._index(number) == index else number + 1
