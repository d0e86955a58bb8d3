"""Two streams over the same pairs of positions, one along each axis, as one that forms every pair once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from attnc.ir.cascade import Cascade, Coord, Expr, Read, Reduce, Tensor, Var
from attnc.ir.stage import POINT, Accumulator, Added, Finish, Lift, Monoid, Stream
from attnc.ir.types import types_of
from attnc.ir.walk import walk


@dataclass(frozen=True, slots=True)
class Joined:
    """The first stream, which adds up the second's sums besides; the second's outputs from these sums."""

    cascade: Cascade
    stream: Stream
    ends: Stream

    @property
    def sums(self) -> tuple[Tensor, ...]:
        """The tensors that hold the second's sums."""
        names = {item.tensor for item in self.stream.monoid.adds}
        return tuple(item for item in self.cascade.tensors if item.name in names)

    @property
    def in_place(self) -> tuple[tuple[str, str], ...]:
        """The outputs that may lie where a sum does: its elements are read for the same places before they go there."""
        reads = {item.name: item.lifts[0].body for item in self.ends.monoid.accumulators}
        found: dict[str, str] = {}
        for finish in self.ends.monoid.finishes:
            bodies = (reads[name] for name in sorted(_names(finish) & reads.keys()))
            free = (item.tensor for item in bodies if isinstance(item, Read) and item.subs == finish.left)
            place = next((name for name in free if name not in found.values()), None)
            if place is not None:
                found[finish.tensor] = place
        return tuple(found.items())


def _names(finish: Finish) -> set[str]:
    return {node.name for node in walk(finish.value) if isinstance(node, Var)}


def join(first: Stream, second: Stream, cascade: Cascade) -> Joined | None:
    """The two as one, None where they are not over the same pairs.

    Before   dQ[m] = sum[n](p(m, n) ..);  dK[n] = sum[m](p(m, n) ..): each pair's p formed twice
    After    tiles of m along n: dQ[m] is folded, and what each tile adds to dK[n] goes to a tensor
    Holds    because sums commute, both see the same pairs, and neither reads what the other gives.
    """
    if not _same_pairs(first, second, cascade) or _reads(first, second) or _reads(second, first):
        return None
    taken = {item.index for item in cascade.ranges} | set(types_of(cascade))
    names = {item.name: _fresh(f"{item.name}_whole", taken) for item in second.monoid.accumulators}
    indices = {item.name: _indices(item, second) for item in second.monoid.accumulators}
    ranges = {item.index: (item.lo, item.hi) for item in cascade.ranges}
    sums = [Tensor(names[key], tuple(ranges[i] for i in indices[key]), "real", ()) for key in names]
    adds = tuple(
        Added(names[item.name], indices[item.name], lift.body, lift.when, span=lift.span)
        for item in second.monoid.accumulators
        for lift in item.lifts
    )
    whole = replace(first, name=f"{first.name}_joint", monoid=replace(first.monoid, adds=adds))
    kept = tuple(_read(item, names[item.name], indices[item.name]) for item in second.monoid.accumulators)
    ends = Monoid((POINT,), (), kept, second.monoid.finishes, span=second.monoid.span)
    around = replace(cascade, tensors=(*cascade.tensors, *sums))
    return Joined(around, whole, replace(second, name=f"{second.name}_ends", monoid=ends, stream=None))


def _fresh(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _indices(item: Accumulator, stream: Stream) -> tuple[str, ...]:
    own = stream.parallel
    assert own is not None
    return (*stream.grid, own, *(index for index in item.axes if index not in (*stream.grid, own)))


def _read(item: Accumulator, tensor: str, indices: tuple[str, ...]) -> Accumulator:
    body = Read(tensor, tuple(map(Coord, indices)))
    return replace(item, lifts=(Lift(0, body, span=item.lifts[0].span),))


def _same_pairs(first: Stream, second: Stream, cascade: Cascade) -> bool:
    """Whether each walks the other's rows, all of them, where the same pairs are seen, and folds sums alone."""
    rows = (first.parallel, second.stream), (second.parallel, first.stream)
    if any(a is None or a != b for a, b in rows) or set(first.grid) != set(second.grid):
        return False
    if any(_partial(stream, cascade) for stream in (first, second)):
        return False
    lifts = [lift for one in (first, second) for item in one.monoid.parts for lift in item.lifts]
    types = types_of(cascade)
    return len({frozenset(when for when in lift.when if not _on_values(when, types)) for lift in lifts}) == 1


def _on_values(when: Expr, types: Mapping[str, str]) -> bool:
    """Whether a condition is on what is computed of a pair: that says which terms count, not which pairs are formed."""
    reads = (node for node in walk(when) if isinstance(node, Read | Reduce))
    return any(isinstance(node, Reduce) or types[node.tensor] == "real" for node in reads)


def _partial(stream: Stream, cascade: Cascade) -> bool:
    monoid = stream.monoid
    if stream.columns is not None or monoid.gauges or len(monoid.segments) != 1 or monoid.adds:
        return True
    (segment,) = monoid.segments
    assert segment.index is not None
    given = cascade.range(segment.index)
    sums = all(item.op == "sum" and not item.keep for item in monoid.accumulators)
    return not sums or (segment.lo, segment.hi) != (given.lo, given.hi)


def _reads(first: Stream, second: Stream) -> bool:
    """Whether the second reads what the first gives."""
    given = {item.tensor for item in first.monoid.finishes}
    return any(isinstance(node, Read) and node.tensor in given for node in walk(second.monoid))
