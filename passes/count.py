"""How many passes over each index a cascade needs as it is written.

A pass visits every element of a fibre once. Each tensor gets a time stamp: p, if it is available in
order during pass p, or p + 1/2, if it is available only after that pass. A statement that walks the
whole fibre runs in the first pass in which all its operands are available in order; what it reduces
over the fibre is available half a pass later. A pass counts if it reads a fibre.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

from attnc.ir.cascade import Cascade, Const, Coord, Expr, Map, Part, Size, Step, Tensor
from attnc.ir.sizes import whole
from attnc.ir.walk import walk
from attnc.passes.fibres import Access, Fibre, Visit, fibre_of, visits_of

HALF = Fraction(1, 2)
BYTES_PER_VALUE = 4


@dataclass(frozen=True, slots=True)
class Boundary:
    """A tensor made in one pass and read in a later one: kept on chip, or written and read again.

    `fibre` is how many of its values one row needs at once, `bytes` the size of the whole tensor.
    """

    tensor: str
    made_in: int
    read_in: tuple[int, ...]
    fibre: Expr
    bytes: Expr


@dataclass(frozen=True, slots=True)
class Count:
    """The passes over one index as the cascade is written.

    `ranks` are the indices that the fibre is cut into, outermost first. `reads` says in which passes
    each tensor's fibre is visited. `waits` names for each pass after the first what it waits for.
    `sync_depth` is the latest stamp: how many completed reductions a value waits for. `both_directions`:
    some pass runs forward, some backward.
    """

    index: str
    ranks: tuple[str, ...]
    as_written: int
    sync_depth: Fraction
    reads: Mapping[str, tuple[int, ...]]
    waits: Mapping[int, str]
    boundaries: tuple[Boundary, ...]
    both_directions: bool

    @property
    def passes(self) -> tuple[int, ...]:
        """The passes in which a fibre is read."""
        return tuple(sorted({number for numbers in self.reads.values() for number in numbers}))


def count(cascade: Cascade) -> dict[str, Count]:
    """The passes as written over every index of an explicit cascade."""
    return {item.index: count_over(cascade, fibre_of(cascade, item.index)) for item in cascade.ranges}


def count_over(cascade: Cascade, fibre: Fibre) -> Count:
    """The passes as written over one fibre, be it whole or cut into tiles."""
    sweep = _Sweep(cascade, fibre)
    limit = 2 * len(cascade.tensors) + 2
    for _ in range(limit):
        before = dict(sweep.stamps)
        sweep.run()
        if sweep.stamps == before:
            return sweep.result()
    raise AssertionError(f"the stamps over {fibre.index} do not settle: a state is used before it is complete")


@dataclass(slots=True)
class _Sweep:
    """One fibre's stamps; repeated until they stand still, since states depend on each other."""

    cascade: Cascade
    fibre: Fibre
    stamps: dict[tuple[str, int], Fraction] = field(default_factory=dict)
    backward: dict[str, bool] = field(default_factory=dict)
    reads: dict[str, set[int]] = field(default_factory=dict)
    directed: dict[int, set[bool]] = field(default_factory=dict)
    waits: dict[int, str] = field(default_factory=dict)
    rounds: dict[int, int] = field(default_factory=dict)

    def run(self) -> None:
        """Every statement once, in order."""
        self.reads.clear()
        self.directed.clear()
        self.waits.clear()
        self.rounds.clear()
        for step in self.cascade.steps:
            for name in step.tensors:
                tensor = self.cascade.tensor(name)
                assert tensor is not None, f"no tensor {name}"
                for number, part in enumerate(tensor.parts):
                    self._statement(step, part, number)

    def _statement(self, step: Step, part: Part, number: int) -> None:
        visit = visits_of(self.cascade, part, self.fibre)
        iterative = bool(step.axes) and self._runs_along(step, part, visit)
        backward = (iterative and not step.forward) or any(
            self.backward.get(access.tensor, False) for access in visit.accesses if access.in_order
        )
        found = []
        for item in visit.accesses:
            round_before = not iterative and _comes_round(step, item.tensor, part.tensor)
            found.append((HALF if round_before else self._available(item, step, part.tensor, backward), item))
        stamp, last = max(found, key=lambda pair: pair[0], default=(HALF, None))
        if visit.whole:
            if last is not None and stamp > 1:
                self.waits.setdefault(ceil(stamp), last.tensor)
            again = bool(step.axes) and not iterative and visit.reduces_outer
            rounds = rounds_of(self.cascade, step, part) if again else 1
            stamp = self._walk(visit, stamp, backward, iterative, rounds)
        elif visit.reduces_outer:
            stamp = floor(stamp) + HALF
        key = (part.tensor, number)
        self.stamps[key] = max(self.stamps.get(key, HALF), stamp)
        self.backward[part.tensor] = self.backward.get(part.tensor, False) or backward

    def _walk(self, visit: Visit, stamp: Fraction, backward: bool, iterative: bool, rounds: int) -> Fraction:
        number = max(1, ceil(stamp))
        self.rounds[number] = max(self.rounds.get(number, 1), rounds)
        for access in visit.accesses:
            if access.whole:
                self.reads.setdefault(access.tensor, set()).add(number)
        if iterative:
            self.directed.setdefault(number, set()).add(backward)
        return Fraction(number) if visit.keeps_outer and not visit.gathers else number + HALF

    def _runs_along(self, step: Step, part: Part, visit: Visit) -> bool:
        axis = step.axes[step.tensors.index(part.tensor)]
        return axis in visit.left_axes

    def _available(self, access: Access, step: Step, own: str, backward: bool) -> Fraction:
        if self.cascade.input(access.tensor) is not None:
            return Fraction(1) if access.carries else HALF
        if access.tensor in step.tensors and step.axes and (access.tensor == own or not access.in_order):
            return HALF
        stamp = self._stamp(access)
        if not access.carried or access.in_order:
            opposite = access.in_order and self.backward.get(access.tensor, False) and not backward
            return floor(stamp) + HALF if opposite else stamp
        return floor(stamp) + HALF if stamp >= 1 else stamp

    def _stamp(self, access: Access) -> Fraction:
        tensor = self.cascade.tensor(access.tensor)
        assert tensor is not None, f"no tensor {access.tensor}"
        parts = range(len(tensor.parts)) if access.part is None else (access.part,)
        return max((self.stamps.get((tensor.name, number), HALF) for number in parts), default=HALF)

    def result(self) -> Count:
        """The facts once the stamps stand still."""
        numbers = {number for found in self.reads.values() for number in found}
        directions = set[bool]().union(*self.directed.values())
        reads = {name: tuple(sorted(found)) for name, found in self.reads.items()}
        return Count(
            index=self.fibre.index,
            ranks=self.fibre.ranks,
            as_written=sum(max(1, len(self.directed.get(number, ()))) * self.rounds[number] for number in numbers),
            sync_depth=max(self.stamps.values(), default=HALF),
            reads=reads,
            waits=dict(self.waits),
            boundaries=tuple(self._boundaries(reads)),
            both_directions=len(directions) > 1,
        )

    def _boundaries(self, reads: Mapping[str, tuple[int, ...]]) -> list[Boundary]:
        found = []
        for tensor in self.cascade.tensors:
            stamp = max((self.stamps[tensor.name, number] for number in range(len(tensor.parts))), default=HALF)
            later = tuple(number for number in reads.get(tensor.name, ()) if number > stamp)
            if later and stamp >= 1:
                found.append(Boundary(tensor.name, floor(stamp), later, self._fibre_length(), _bytes(tensor)))
        return found

    def _fibre_length(self) -> Expr:
        item = self.cascade.range(self.fibre.index)
        return item.hi if item.lo == Const(0) else Map("sub", (item.hi, item.lo))


def _comes_round(step: Step, read: str, own: str) -> bool:
    """Whether a statement of a recurrence can read a tensor only from the round before: it is made no earlier."""
    return bool(step.axes) and read in step.tensors and step.tensors.index(read) >= step.tensors.index(own)


def rounds_of(cascade: Cascade, step: Step, part: Part) -> int:
    """How many times a recurrence makes one of its statements, where that is a constant; else once at least."""
    axis = part.left[step.axes[step.tensors.index(part.tensor)]]
    total = 1
    for item in (cascade.range(node.index) for node in walk(axis) if isinstance(node, Coord)):
        if not any(isinstance(node, Size) for node in (*walk(item.lo), *walk(item.hi))):
            total *= max(1, whole(item.hi, {}) - whole(item.lo, {}))
    return total


def _bytes(tensor: Tensor) -> Expr:
    total: Expr = Const(BYTES_PER_VALUE)
    for lo, hi in tensor.axes:
        total = Map("mul", (total, hi if lo == Const(0) else Map("sub", (hi, lo))))
    return total
