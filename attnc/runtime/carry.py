"""The state that a call hands to the next one: `carry` clauses as further outputs of the same program."""

from __future__ import annotations

from dataclasses import replace

from attnc.ir.cascade import Cascade, Coord, Part, Step, Tensor

NEXT = "_next"


def next_name(name: str) -> str:
    """The output that holds the next call's value of an input."""
    return name + NEXT


def with_carries(cascade: Cascade) -> Cascade:
    """The cascade whose outputs are followed by the carried inputs' next values."""
    tensors = tuple(_next_value(cascade, carry.name, index) for index, carry in enumerate(cascade.carries))
    names = tuple(tensor.name for tensor in tensors)
    return replace(
        cascade,
        tensors=cascade.tensors + tensors,
        steps=cascade.steps + tuple(Step((name,)) for name in names),
        outputs=cascade.outputs + names,
        carries=(),
    )


def _next_value(cascade: Cascade, name: str, index: int) -> Tensor:
    carry = cascade.carries[index]
    given = cascade.input(name)
    assert given is not None
    ranges = [cascade.range(item) for item in given.indices]
    left = tuple(Coord(item, span=carry.span) for item in given.indices)
    part = Part(next_name(name), left, given.indices, carry.value, span=carry.span)
    return Tensor(next_name(name), tuple((item.lo, item.hi) for item in ranges), given.type, (part,), span=carry.span)
