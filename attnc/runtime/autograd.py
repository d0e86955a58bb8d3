"""Calls that PyTorch differentiates, backward and forward, by the derived kernels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from attnc.ir.target import Target
from attnc.runtime.backward import backward
from attnc.runtime.batches import over_batch
from attnc.runtime.bind import Bound
from attnc.runtime.build import announce
from attnc.runtime.call import Call, Tensors
from attnc.runtime.convert import in_memory
from attnc.runtime.definition import Values, moves, primal, pushed_forward
from attnc.runtime.execute import execute
from attnc.runtime.program import Program
from attnc.runtime.tangents import Pushed, tangents_of
from attnc.runtime.types import rounding_shows
from attnc.runtime.unreached import refuse_through_defaults, refuse_unreached

Types = dict[str, torch.dtype]


def wanted_inputs(bound: Bound) -> tuple[str, ...]:
    """The inputs by which PyTorch may ask for a gradient."""
    if not torch.is_grad_enabled():
        return ()
    return tuple(name for name, tensor in sorted(bound.tensors.items()) if tensor.requires_grad)


def moving_inputs(bound: Bound) -> tuple[str, ...]:
    """The inputs that come with a tangent."""
    return tuple(name for name, tensor in sorted(bound.tensors.items()) if moves(tensor))


def differentiable(program: Program, bound: Bound, wanted: tuple[str, ...]) -> tuple[Tensors, Call]:
    """The outputs by name, recorded for PyTorch; error A402 or A403 where a path carries none."""
    precise = rounding_shows(program, bound.types, wanted)
    call = Call(program, bound.sizes, bound.device, tuple(bound.tensors), wanted, precise=precise)
    refuse(call, bound)
    moving = moving_inputs(bound)
    pushed = tangents_of(program, moving) if moving else None
    if pushed is not None:
        refuse_unreached(program.stated, set(moving) - pushed.inputs.keys(), "a tangent is given")
    return _outputs(call, bound.tensors), call


def refuse(call: Call, bound: Bound) -> None:
    """Error A402 or A403 where a gradient is asked for and none flows."""
    refuse_through_defaults(call.program.stated, bound.tensors, {*call.wanted, *moving_inputs(bound)})
    if call.wanted:
        refuse_unreached(call.program.stated, set(call.wanted) - call.gradients.reached, "a gradient is asked for")


def forward_values(call: Call, tensors: Tensors, target: Target) -> Tensors:
    """The outputs, and what else the backward reads; what ran is noted."""
    program = call.gradients.program if call.wanted else call.program
    bound = Bound(tensors, call.sizes, call.device)
    found, call.forward[:] = execute(program, bound, target, call.saved, call.types)
    return found


def _outputs(call: Call, tensors: Tensors) -> Tensors:
    values = _Attention.apply(call, *(tensors[name] for name in call.names))  # type: ignore[no-untyped-call]
    return dict(zip(call.outputs, values, strict=False))


class _Attention(torch.autograd.Function):
    """A call and its derivatives as PyTorch wants them; its values are the outputs and what else is held."""

    @staticmethod
    def forward(call: Call, *tensors: torch.Tensor) -> Values:
        """The outputs, and what else the backward reads."""
        found = forward_values(call, dict(zip(call.names, primal(tensors), strict=True)), call.target)
        return tuple(found[name] for name in (*call.outputs, *call.further))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Values) -> None:
        """The inputs are kept, then what is held."""
        ctx.call, *tensors = inputs
        call: Call = ctx.call
        found = dict(zip((*call.outputs, *call.further), output, strict=True))
        ctx.save_for_backward(*tensors, *(found[name] for name in call.saved))
        ctx.save_for_forward(*tensors)
        ctx.kinds = {name: (found[name].shape, found[name].dtype) for name in call.real_outputs}
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*(found[name] for name in found if name not in call.real_outputs))

    @staticmethod
    def backward(ctx: Any, *incoming: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        """What comes in at the inputs, as far as it is asked for."""
        call: Call = ctx.call
        values = dict(zip((*call.names, *call.saved), ctx.saved_tensors, strict=True))
        given = {name: value for name, value in zip(call.outputs, incoming, strict=False) if value is not None}
        asked = zip(call.names, ctx.needs_input_grad[1:], strict=True)
        found = backward(call, values, tuple(sorted(name for name, needed in asked if needed)), given)
        return (None, *(found.get(name) for name in call.names))

    @staticmethod
    def vmap(info: Any, axes: Any, call: Call, *tensors: torch.Tensor) -> tuple[Values, tuple[int | None, ...]]:
        """The outputs for every element of a batch, by a program of its own; its derivatives hold nothing else."""
        found, given = over_batch(call, dict(zip(call.names, zip(tensors, axes[1:], strict=True), strict=True)), info)
        own = replace(call, program=found.program, sizes=given.sizes, wanted=wanted_inputs(given))
        if not call.types:  # the tangent of an output need not depend on all
            refuse(own, given)
        outputs = _outputs(own, given.tensors)
        nothing = torch.empty(0, device=call.device)
        places = tuple(0 if name in found.names else None for name in call.outputs)
        further = (nothing,) * len(call.further)
        return (*(outputs[name] for name in call.outputs), *further), (*places, *(None for _ in further))

    @staticmethod
    def jvp(ctx: Any, *tangents: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        """The tangents of the outputs, zeros where one does not change."""
        call: Call = ctx.call
        tensors = dict(zip(call.names, primal(ctx.saved_tensors), strict=True))
        given = zip(call.names, tangents[1:], strict=True)
        moving = {name: in_memory(value) for name, value in given if value is not None}
        pushed = tangents_of(call.program, tuple(sorted(moving)))
        types = {name: dtype for name, (_, dtype) in ctx.kinds.items()}
        found = _pushed(call, pushed, tensors, moving, types) if pushed else _by_definition(call, tensors, moving)
        shown = {name: found[name].to(types[name]) if name in found else call.zeros(*ctx.kinds[name]) for name in types}
        return tuple(shown.get(name) for name in (*call.outputs, *call.further))


def _pushed(call: Call, pushed: Pushed, tensors: Tensors, moving: Tensors, types: Types) -> Tensors:
    """The tangents of the outputs, by a program of their own: differentiable as any other."""
    if not pushed.outputs:
        return {}
    for stage in pushed.program.heavy:
        announce(f"attnc: `{stage.name}` of `{pushed.program.stated.name}` by statements, a slower path")
    every = tensors | {own: moving[name] for name, own in pushed.inputs.items()}
    given = {item.name: every[item.name] for item in pushed.program.explicit.inputs if item.name in every}
    own_types = {own: types[name] for name, own in pushed.outputs.items()}
    wanted = wanted_inputs(Bound(given, call.sizes, call.device))
    own = Call(pushed.program, call.sizes, call.device, tuple(given), wanted, own_types, call.tangent)
    found = _outputs(own, given)
    return {name: found[tangent] for name, tangent in pushed.outputs.items()}


def _by_definition(call: Call, tensors: Tensors, moving: Tensors) -> Tensors:
    """The tangents of the outputs, of the statements one by one."""
    announce(f"attnc: the tangents of `{call.program.stated.name}` by statements, a slower path")
    still = {name: tensor for name, tensor in tensors.items() if name not in moving}
    definition = call.definition(tensors).holding(still)
    function = definition.outputs(call.real_outputs, tuple(moving))
    found = pushed_forward(function, tuple(tensors[name] for name in moving), tuple(moving.values()))
    return dict(zip(call.real_outputs, found, strict=True))
