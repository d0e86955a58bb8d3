"""The oracle: any cascade evaluated from its definition, one statement after another, with PyTorch.

It serves the stated and the explicit form, in float64 or any other real type; it is also the host plan.
What is no longer read is freed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch

from attnc.ir.cascade import Cascade, Read, Step
from attnc.ir.interpret.context import Context, Stored
from attnc.ir.interpret.expressions import value_of
from attnc.ir.interpret.parts import define
from attnc.ir.interpret.recurrence import run_recurrence
from attnc.ir.interpret.store import presented, stored_input
from attnc.ir.sizes import bind
from attnc.ir.walk import walk


@dataclass(frozen=True)
class Result:
    """Outputs and carried inputs by name, and the tensors that were asked for besides."""

    outputs: dict[str, torch.Tensor]
    carries: dict[str, torch.Tensor] = field(default_factory=dict)
    values: dict[str, torch.Tensor] = field(default_factory=dict)


def run(
    cascade: Cascade,
    inputs: Mapping[str, torch.Tensor | bool | int | float],
    dtype: torch.dtype = torch.float64,
    sizes: Mapping[str, int] | None = None,
    keep: Iterable[str] = (),
) -> Result:
    """The values of the cascade's outputs on these inputs, real arithmetic in `dtype`.

    `sizes` overrides the extents that the inputs' shapes give. `keep` names further tensors to return.
    """
    tensors = {name: value for name, value in inputs.items() if isinstance(value, torch.Tensor)}
    extents = dict(sizes) if sizes is not None else bind(cascade, {name: t.shape for name, t in tensors.items()})
    device = next((tensor.device for tensor in tensors.values()), torch.device("cpu"))
    context = Context(cascade, extents, dtype, device, {})
    for item in cascade.inputs:
        context.tensors[item.name] = stored_input(item, inputs.get(item.name), context, value_of)
    wanted = (*cascade.outputs, *keep)
    _run_steps(context, wanted)
    shown = {name: presented(name, context) for name in dict.fromkeys(wanted)}
    return Result(
        {name: shown[name] for name in cascade.outputs}, _carried(context), {name: shown[name] for name in keep}
    )


def _run_steps(context: Context, wanted: tuple[str, ...]) -> None:
    needed = set(wanted) | {
        node.tensor for carry in context.cascade.carries for node in walk(carry) if isinstance(node, Read)
    }
    last = _last_reads(context.cascade)
    for position, step in enumerate(context.cascade.steps):
        _run_step(step, context)
        for name, at in last.items():
            if at == position and name not in needed:
                context.tensors.pop(name, None)


def _last_reads(cascade: Cascade) -> dict[str, int]:
    """The last step that reads (or makes) each tensor."""
    last: dict[str, int] = {}
    for position, step in enumerate(cascade.steps):
        for name in step.tensors:
            tensor = cascade.tensor(name)
            assert tensor is not None
            last[name] = position
            for node in walk(tensor):
                if isinstance(node, Read):
                    last[node.tensor] = position
    return last


def _run_step(step: Step, context: Context) -> None:
    if step.axes:
        run_recurrence(step, context, value_of)
        return
    for name in step.tensors:
        tensor = context.cascade.tensor(name)
        assert tensor is not None
        context.tensors[name] = define(tensor, context, value_of)


def _carried(context: Context) -> dict[str, torch.Tensor]:
    from attnc.ir.interpret.store import presented_value

    carried = {}
    for carry in context.cascade.carries:
        given = context.cascade.input(carry.name)
        assert given is not None
        carried[carry.name] = presented_value(value_of(carry.value, context), given.indices, given.type, context)
    return carried


__all__ = ["Result", "Stored", "run"]
