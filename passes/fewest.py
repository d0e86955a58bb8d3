"""The fewest passes over an index that the derivation's algebra allows, whatever a plan makes of them.

Greedy in the order of computation: a fold runs in the first pass in which it can be kept beside those folds
that it depends on, what earlier passes have completed being constants. That is optimal within the algebra, for
more constants never stand in the way of a separation.
"""

from __future__ import annotations

from dataclasses import dataclass

from attnc.ir.cascade import Order, Reduce, Tensor
from attnc.ir.walk import walk
from attnc.passes.count import rounds_of
from attnc.passes.defined import dependencies, read_names
from attnc.passes.derive import check
from attnc.passes.derive.limit import TooLongError, limited, seconds_allowed
from attnc.passes.derive.problem import Problem, RefusedError
from attnc.passes.derive.reductions import Streamed, streamed
from attnc.passes.families import Shapes
from attnc.passes.wording import called, listed


@dataclass(frozen=True)
class Fewest:
    """A number of passes, and for each but the first what starts it and what that waits for."""

    passes: int
    reasons: tuple[str, ...]


def fewest(shapes: Shapes, index: str) -> Fewest | None:
    """The fewest passes over an index, or None where a recurrence along it is not rewritten."""
    family, outputs = shapes.family[index], shapes.cascade.outputs
    needed = set(outputs).union(*(dependencies(shapes, name) for name in outputs))
    order = [name for name in sorted(shapes.tensors, key=shapes.position.__getitem__) if name in needed]
    if any(name in shapes.recurrent and _along(shapes, shapes.tensors[name], family) for name in order):
        return None
    passes: dict[str, int] = {}
    reasons: dict[int, str] = {}
    for name in order:
        before = {other: passes[other] for other in _values(shapes, name) if other in passes}
        last = max(before.values(), default=1)
        latest = [other for other in order if before.get(other) == last]
        number = last
        if _folds(shapes.tensors[name], shapes, family):
            own = last if _fits(shapes, name, latest, family) else last + 1
            number = passes[name] = own + _rounds(shapes, name) - 1
        elif name in outputs and _along(shapes, shapes.tensors[name], family):
            number = last + bool(latest)
        if number > last:
            why = f"waits for {listed(shapes, latest)}" if latest else "is made anew in every round"
            reasons.setdefault(number, f"{called(shapes, name)} {why}")
    return Fewest(max((1, *passes.values(), *reasons)), tuple(reasons[number] for number in sorted(reasons)))


def _rounds(shapes: Shapes, name: str) -> int:
    """How often a fold is made anew: in every step of a recurrence along another index, else once."""
    step = next(step for step in shapes.cascade.steps if name in step.tensors)
    parts = shapes.tensors[name].parts if step.axes else ()
    return max((rounds_of(shapes.cascade, step, part) for part in parts), default=1)


def _values(shapes: Shapes, name: str) -> set[str]:
    """Every tensor that a tensor's values are made from; where they exist is no value."""
    found, queue = set[str](), [name]
    while queue:
        for part in shapes.tensors[queue.pop()].parts:
            new = {other for other in read_names(part.value) if other in shapes.tensors} - found
            found |= new
            queue += sorted(new)
    return found


def _fits(shapes: Shapes, name: str, beside: list[str], family: str) -> bool:
    """Whether a fold shares the pass of these others; what orders all values shares none with what it needs."""
    members = [_streamed(shapes, other, family) for other in (*beside, name)]
    if not beside:
        return True
    if not all(members):
        return False
    kept = tuple(item for item in members if item is not None)
    stored = frozenset(shapes.tensors) - frozenset(beside) - _between(shapes, name, beside)
    try:
        limited(seconds_allowed(), lambda: check(Problem(shapes, kept, (), stored - {name}, (), ())))
    except RefusedError:
        return False
    except TooLongError:
        return True  # nothing is claimed of what is not known
    return True


def _between(shapes: Shapes, name: str, beside: list[str]) -> frozenset[str]:
    """What depends on these folds: it is seen through, the rest is given."""
    found = (other for other in (name, *dependencies(shapes, name)) if dependencies(shapes, other) & set(beside))
    return frozenset(found)


def _streamed(shapes: Shapes, name: str, family: str) -> Streamed | None:
    part, *others = shapes.tensors[name].parts
    if others or not isinstance(part.value, Reduce):
        return None
    index = next((item for item in part.value.over if shapes.family[item] == family), None)
    return None if index is None else streamed(shapes, name, index)


def _folds(tensor: Tensor, shapes: Shapes, family: str) -> bool:
    """Whether a tensor folds, or orders, the values along a fibre."""
    nodes = (node for part in tensor.parts for node in walk(part) if isinstance(node, Reduce | Order))
    return any(shapes.family[index] == family for node in nodes for index in node.over)


def _along(shapes: Shapes, tensor: Tensor, family: str) -> bool:
    return any(shapes.family[index] == family for part in tensor.parts for index in part.indices)
