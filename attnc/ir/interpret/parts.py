"""Definitions: a value over a part's indices becomes a stretch of its tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from attnc.ir.cascade import Part, Tensor
from attnc.ir.interpret.context import Context, Eval
from attnc.ir.interpret.lines import Line, line, placed
from attnc.ir.interpret.store import kind_of
from attnc.ir.interpret.stored import Condition, Stored
from attnc.ir.interpret.value import Array, Value, joined, total


def part_value(part: Part, context: Context, value_of: Eval) -> Value:
    """A part's value with all its conditions."""
    value = value_of(part.value, context)
    return Value(value.array, (*value.when, *(total(value_of(test, context)) for test in part.when)))


def bounds(tensor: Tensor, context: Context) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where each axis starts, and its extent."""
    base = tuple(int(context.number(lo)) for lo, _ in tensor.axes)
    shape = tuple(max(0, int(context.number(hi)) - lo) for (_, hi), lo in zip(tensor.axes, base, strict=True))
    return base, shape


def define(tensor: Tensor, context: Context, value_of: Eval) -> Stored:
    """The tensor in memory."""
    base, shape = bounds(tensor, context)
    lines = [part_lines(part, base, shape, context, value_of) for part in tensor.parts]
    canvas = Canvas.blank(tensor, base, shape, context)
    for number, part in enumerate(tensor.parts):
        canvas.put(number, lines[number], part_value(part, context, value_of), context)
    if len(tensor.parts) == 1 and all(line.full for line in lines[0]):
        return Stored(context.recorded(tensor.name, canvas.data), base, canvas.own[0])
    return canvas.stored(context)


def part_lines(
    part: Part, base: Sequence[int], shape: Sequence[int], context: Context, value_of: Eval, but: int | None = None
) -> list[Line]:
    """The lines of a part along the axes of its tensor, but one."""
    axes = [axis for axis in range(len(shape)) if axis != but]
    return [line(part.left[axis], base[axis], shape[axis], context, value_of) for axis in axes]


@dataclass
class Canvas:
    """A tensor that is being put together from its parts.

    `present` says at which points something is, `axes` along which of the tensor's axes that varies, `own` holds
    the conditions of each part by itself.
    """

    name: str
    base: tuple[int, ...]
    data: torch.Tensor
    present: torch.Tensor
    axes: set[int] = field(default_factory=set)
    own: dict[int, tuple[Condition, ...]] = field(default_factory=dict)

    @classmethod
    def blank(cls, tensor: Tensor, base: tuple[int, ...], shape: tuple[int, ...], context: Context) -> Canvas:
        """Nothing is there yet."""
        data = torch.zeros(shape, dtype=kind_of(tensor.type, context), device=context.device)
        return cls(tensor.name, base, data, torch.zeros(shape, dtype=torch.bool, device=context.device))

    def put(self, number: int, lines: Sequence[Line], value: Value, context: Context) -> None:
        """The points of a part are there."""
        true = Array(torch.ones((), dtype=torch.bool, device=context.device), ())
        self.data = placed(self.data, lines, value.array, context)
        self.present = placed(self.present, lines, joined(value.when) or true, context)
        self.own[number] = tuple(self._condition(test, lines, context) for test in value.when)
        uncovered = {axis for axis, line in enumerate(lines) if not line.full}
        self.axes |= uncovered.union(*(axes for _, axes in self.own[number]))

    def _condition(self, test: Array, lines: Sequence[Line], context: Context) -> Condition:
        """A condition over just the axes that it mentions."""
        axes = tuple(axis for axis, line in enumerate(lines) if set(line.indices) & set(test.dims))
        blank = torch.zeros([self.data.shape[axis] for axis in axes], dtype=torch.bool, device=test.data.device)
        return placed(blank, [lines[axis] for axis in axes], test, context), axes

    def stored(self, context: Context) -> Stored:
        """The tensor as it is, with one condition: at which points something is."""
        data = context.recorded(self.name, self.data)
        if bool(self.present.all()):
            return Stored(data, self.base, (), self.own)
        mask = self.present
        for axis in reversed(range(mask.dim())):
            mask = mask if axis in self.axes else mask.select(axis, 0)
        return Stored(data, self.base, ((mask, tuple(sorted(self.axes))),), self.own)
