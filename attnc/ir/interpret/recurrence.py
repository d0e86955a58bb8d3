"""Tensors that define each other: evaluated position by position along their recurrence axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from attnc.ir.cascade import Part, Step, Tensor
from attnc.ir.indices import free_indices
from attnc.ir.interpret.context import Context, Eval
from attnc.ir.interpret.lines import Line
from attnc.ir.interpret.parts import Canvas, bounds, part_lines, part_value
from attnc.ir.interpret.store import kind_of, spread
from attnc.ir.interpret.stored import Growing, Stored


@dataclass(frozen=True)
class _Part:
    """A part of a recurrence: at which positions it stands for which values of its indices, and its other axes."""

    number: int
    part: Part
    held: Mapping[int, Mapping[str, int]]
    lines: list[Line]


@dataclass(frozen=True)
class _Member:
    """A tensor of a recurrence: it is made `lag` positions behind, one slice of this base and shape after another."""

    tensor: Tensor
    lag: int
    parts: tuple[_Part, ...]
    base: tuple[int, ...]
    shape: tuple[int, ...]
    growing: Growing


def run_recurrence(step: Step, context: Context, value_of: Eval) -> None:
    """Fill the tensors of a cycle, earlier positions first."""
    members = []
    for name, axis, lag in zip(step.tensors, step.axes, step.lags, strict=True):
        tensor = context.cascade.tensor(name)
        assert tensor is not None
        members.append(_member(tensor, axis, lag if step.forward else -lag, context, value_of))
        context.growing[name] = members[-1].growing
    reached = [position + m.lag for m in members for position in m.growing.positions]
    line = range(min(reached, default=0), max(reached, default=-1) + 1)
    for position in line if step.forward else reversed(line):
        for member in members:
            _advance(member, position - member.lag, context, value_of)
    for name in step.tensors:
        context.tensors[name] = context.growing[name].whole()
        if name not in context.variables:
            del context.growing[name]


def _member(tensor: Tensor, axis: int, lag: int, context: Context, value_of: Eval) -> _Member:
    base, shape = bounds(tensor, context)
    parts = tuple(
        _Part(
            number,
            part,
            _held(part, axis, context, value_of),
            part_lines(part, base, shape, context, value_of, but=axis),
        )
        for number, part in enumerate(tensor.parts)
    )
    rest, kept = base[:axis] + base[axis + 1 :], shape[:axis] + shape[axis + 1 :]
    nothing = torch.zeros(kept, dtype=kind_of(tensor.type, context), device=context.device)
    absent = Stored(nothing, rest, ((torch.zeros((), dtype=torch.bool, device=context.device), ()),))
    positions = range(base[axis], base[axis] + shape[axis])
    return _Member(tensor, lag, parts, rest, kept, Growing(axis, positions, absent))


def _held(part: Part, axis: int, context: Context, value_of: Eval) -> dict[int, dict[str, int]]:
    """The positions of a part along the axis of the recurrence, each with the values of the indices there."""
    left = part.left[axis]
    indices = sorted(free_indices(left))
    starts = [context.range(index)[0] for index in indices]
    positions = spread(value_of(left, context).array, indices, context)
    places = torch.stack(torch.where(torch.ones_like(positions, dtype=torch.bool)), -1) if indices else [()]
    found = {}
    for place in places:
        offsets = [int(offset) for offset in place]
        found[int(positions[tuple(offsets)])] = {
            index: start + offset for index, start, offset in zip(indices, starts, offsets, strict=True)
        }
    return found


def _advance(member: _Member, position: int, context: Context, value_of: Eval) -> None:
    """Evaluate the points of a tensor that lie at this position."""
    canvas: Canvas | None = None
    for item in member.parts:
        if position not in item.held or position not in member.growing.positions:
            continue
        here = context.holding(item.held[position])
        if canvas is None:
            canvas = Canvas.blank(member.tensor, member.base, member.shape, context)
        canvas.put(item.number, item.lines, part_value(item.part, here, value_of), here)
    if canvas is not None:
        member.growing.put(position, canvas.stored(context))
