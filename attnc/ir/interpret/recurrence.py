"""Tensors that define each other: evaluated position by position along their recurrence axes."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from attnc.ir.cascade import Expr, Part, Step, Tensor
from attnc.ir.indices import free_indices
from attnc.ir.interpret.context import Context, Stored
from attnc.ir.interpret.parts import bounds, part_value, place, settle
from attnc.ir.interpret.reads import Eval
from attnc.ir.interpret.store import kind_of


def run_recurrence(step: Step, context: Context, value_of: Eval) -> None:
    """Fill the tensors of a cycle, earlier positions first."""
    tensors = [tensor for name in step.tensors if (tensor := context.cascade.tensor(name)) is not None]
    present: dict[str, torch.Tensor] = {}
    for tensor in tensors:
        base, shape = bounds(tensor, context)
        kind = kind_of(tensor.type, context)
        context.tensors[tensor.name] = Stored(torch.zeros(shape, dtype=kind, device=context.device), base)
        present[tensor.name] = torch.zeros(shape, dtype=torch.bool, device=context.device)
    for position in _positions(step, tensors, context):
        for tensor, axis, lag in zip(tensors, step.axes, step.lags, strict=True):
            here = position - lag if step.forward else position + lag
            for number, part in enumerate(tensor.parts):
                _advance(part, number, axis, here, present[tensor.name], context, value_of)
            settle_now(context.tensors[tensor.name], present[tensor.name])


def settle_now(stored: Stored, present: torch.Tensor) -> None:
    """Reads see which points exist so far."""
    stored.when = ()
    settle(stored, present.clone())


def _positions(step: Step, tensors: list[Tensor], context: Context) -> Iterator[int]:
    """Every position along the recurrence axes, in the direction of the recurrence, and what runs behind."""
    ends = []
    for tensor, axis, lag in zip(tensors, step.axes, step.lags, strict=True):
        lo, hi = tensor.axes[axis]
        behind = lag if step.forward else -lag
        ends.append((int(context.number(lo)) + behind, int(context.number(hi)) + behind))
    line = range(min(lo for lo, _ in ends), max(hi for _, hi in ends))
    yield from line if step.forward else reversed(line)


def _advance(
    part: Part, number: int, axis: int, position: int, present: torch.Tensor, context: Context, value_of: Eval
) -> None:
    """Evaluate the points of a part that lie at this position."""
    here = _solve(part.left[axis], position, context, value_of)
    if here is None:
        return
    place(context.tensors[part.tensor], present, number, part, part_value(part, here, value_of), here, value_of)


def _solve(left: Expr, position: int, context: Context, value_of: Eval) -> Context | None:
    """The context in which the left subscript stands at the position; None if it never does."""
    indices = sorted(free_indices(left) - set(context.fixed))
    if not indices:
        return context if int(value_of(left, context).array.data) == position else None
    (index,) = indices
    lo, hi = context.range(index)
    if hi <= lo:
        return None
    first = int(value_of(left, context.holding(index, lo)).array.data)
    if hi - lo == 1:
        return context.holding(index, lo) if first == position else None
    stride = int(value_of(left, context.holding(index, lo + 1)).array.data) - first
    offset, rest = divmod(position - first, stride)
    if rest or not lo <= lo + offset < hi:
        return None
    return context.holding(index, lo + offset)
