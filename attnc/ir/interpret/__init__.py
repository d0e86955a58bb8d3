"""The oracle: any cascade evaluated from its definition, one statement after another, with PyTorch.

It serves the stated and the explicit form, in float64 or any other real type; it is also the host plan.
What is no longer read is freed. Outputs are differentiable by whatever inputs ask for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch

from attnc.ir.cascade import Cascade, Grad, Step
from attnc.ir.dependence import aligned_indices, read_names
from attnc.ir.interpret.context import Context
from attnc.ir.interpret.expressions import value_of
from attnc.ir.interpret.parts import define
from attnc.ir.interpret.recurrence import run_recurrence
from attnc.ir.interpret.store import presented, presented_value, stored_input
from attnc.ir.sizes import bind
from attnc.ir.walk import walk

Given = Mapping[str, torch.Tensor | bool | int | float]
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Result:
    """Outputs and carried inputs by name, and the tensors that were asked for besides."""

    outputs: Tensors
    carries: Tensors = field(default_factory=dict)
    values: Tensors = field(default_factory=dict)


def run(
    cascade: Cascade,
    inputs: Given,
    dtype: torch.dtype = torch.float64,
    sizes: Mapping[str, int] | None = None,
    keep: Iterable[str] = (),
) -> Result:
    """The values of the cascade's outputs on these inputs, real arithmetic in `dtype`.

    `sizes` overrides the extents that the inputs' shapes give. `keep` names further tensors to return.
    """
    keep = tuple(keep)
    tensors = {name: value for name, value in inputs.items() if isinstance(value, torch.Tensor)}
    extents = dict(sizes) if sizes is not None else bind(cascade, {name: t.shape for name, t in tensors.items()})
    device = next((tensor.device for tensor in tensors.values()), torch.device("cpu"))
    derivatives = {node: aligned_indices(node, cascade) for node in walk(cascade) if isinstance(node, Grad)}
    recorded = [tensor for tensor in tensors.values() if tensor.requires_grad and torch.is_grad_enabled()]
    nothing = recorded[0].flatten()[:0].sum() if recorded and derivatives else None
    context = Context(cascade, extents, dtype, device, {}, derivatives=derivatives, nothing=nothing)
    if not derivatives:
        return _result(context, inputs, keep)
    with torch.inference_mode(False), torch.enable_grad():  # these are taken whether or not the caller asks for any
        result = _result(context, {name: _recordable(value) for name, value in inputs.items()}, keep)
    return result if recorded else _detached(result)


def _recordable(value: torch.Tensor | bool | int | float) -> torch.Tensor | bool | int | float:
    return value.clone() if isinstance(value, torch.Tensor) and value.is_inference() else value


def _result(context: Context, inputs: Given, keep: tuple[str, ...]) -> Result:
    cascade = context.cascade
    for item in cascade.inputs:
        context.tensors[item.name] = stored_input(item, inputs.get(item.name), context, value_of)
    _run_steps(context, (*cascade.outputs, *keep))
    shown = {name: presented(name, context) for name in dict.fromkeys((*cascade.outputs, *keep))}
    outputs = {name: shown[name] for name in cascade.outputs}
    return Result(outputs, _carried(context), {name: shown[name] for name in keep})


def _detached(result: Result) -> Result:
    groups = (result.outputs, result.carries, result.values)
    return Result(*({name: tensor.detach() for name, tensor in group.items()} for group in groups))


def _run_steps(context: Context, wanted: tuple[str, ...]) -> None:
    needed = {*wanted, *(name for carry in context.cascade.carries for name in read_names(carry))}
    last = _last_reads(context.cascade)
    for position, step in enumerate(context.cascade.steps):
        _run_step(step, context)
        for name, at in last.items():
            if at == position and name not in needed:
                context.tensors.pop(name, None)
                context.growing.pop(name, None)


def _last_reads(cascade: Cascade) -> dict[str, int]:
    """The last step that reads (or makes) each tensor."""
    last: dict[str, int] = {}
    for position, step in enumerate(cascade.steps):
        for name in step.tensors:
            last[name] = position
            last |= dict.fromkeys(read_names(cascade.tensor(name) or cascade), position)
    return last


def _run_step(step: Step, context: Context) -> None:
    if step.axes:
        run_recurrence(step, context, value_of)
        return
    for name in step.tensors:
        tensor = context.cascade.tensor(name)
        assert tensor is not None
        context.tensors[name] = define(tensor, context, value_of)


def _carried(context: Context) -> Tensors:
    carried = {}
    for carry in context.cascade.carries:
        given = context.cascade.input(carry.name)
        assert given is not None
        carried[carry.name] = presented_value(value_of(carry.value, context), given.indices, given.type, context)
    return carried


__all__ = ["Result", "run"]
