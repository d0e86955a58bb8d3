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

from attnc.ir.cascade import Cascade, Const, Expr, Map, Part, Step, Tensor
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
    each tensor's fibre is visited. `sync_depth` is the latest stamp: how many completed reductions a
    value waits for. `both_directions`: some pass runs forward, some backward.
    """

    index: str
    ranks: tuple[str, ...]
    as_written: int
    sync_depth: Fraction
    reads: Mapping[str, tuple[int, ...]]
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

    def run(self) -> None:
        """Every statement once, in order."""
        self.reads.clear()
        self.directed.clear()
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
        stamp = max(
            (self._available(access, step, access.tensor == part.tensor, backward) for access in visit.accesses),
            default=HALF,
        )
        if visit.whole:
            stamp = self._walk(visit, stamp, backward, iterative)
        elif visit.reduces_outer:
            stamp = floor(stamp) + HALF
        key = (part.tensor, number)
        self.stamps[key] = max(self.stamps.get(key, HALF), stamp)
        self.backward[part.tensor] = self.backward.get(part.tensor, False) or backward

    def _walk(self, visit: Visit, stamp: Fraction, backward: bool, iterative: bool) -> Fraction:
        number = max(1, ceil(stamp))
        for access in visit.accesses:
            if access.whole:
                self.reads.setdefault(access.tensor, set()).add(number)
        if iterative:
            self.directed.setdefault(number, set()).add(backward)
        return Fraction(number) if visit.keeps_outer and not visit.gathers else number + HALF

    def _runs_along(self, step: Step, part: Part, visit: Visit) -> bool:
        axis = step.axes[step.tensors.index(part.tensor)]
        return axis in visit.left_axes

    def _available(self, access: Access, step: Step, own: bool, backward: bool) -> Fraction:
        if self.cascade.input(access.tensor) is not None:
            return Fraction(1) if access.carries else HALF
        if access.tensor in step.tensors and step.axes and (own or not access.in_order):
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
            as_written=sum(max(1, len(self.directed.get(number, ()))) for number in numbers),
            sync_depth=max(self.stamps.values(), default=HALF),
            reads=reads,
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


def _bytes(tensor: Tensor) -> Expr:
    total: Expr = Const(BYTES_PER_VALUE)
    for lo, hi in tensor.axes:
        total = Map("mul", (total, hi if lo == Const(0) else Map("sub", (hi, lo))))
    return total
