"""Calls that PyTorch differentiates: the backward runs by the derived kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from attnc.diagnostics import AttnError, Diagnostic, error
from attnc.ir.cascade import Cascade, Input
from attnc.ir.types import types_of
from attnc.runtime.bind import Bound
from attnc.runtime.build import Built, built, target_of
from attnc.runtime.execute import StageRun, again, execute
from attnc.runtime.gradients import Gradients, gradients_of, run_backward
from attnc.runtime.program import Program
from attnc.source import Span

Tensors = dict[str, torch.Tensor]


@dataclass
class Call:
    """One differentiable call: its program and extents, the inputs that have gradients, and what ran.

    It holds no tensor: those are PyTorch's to keep, which notices when one is changed in between.
    """

    program: Program
    sizes: dict[str, int]
    device: torch.device
    names: tuple[str, ...]
    wanted: tuple[str, ...]
    forward: list[StageRun] = field(default_factory=list)
    backward: list[StageRun] = field(default_factory=list)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs, each once."""
        return tuple(dict.fromkeys(self.program.explicit.outputs))

    @property
    def gradients(self) -> Gradients:
        """The whole backward, for every output that can have one: it decides what is held."""
        cascade = self.program.explicit
        types = types_of(cascade)
        return gradients_of(self.program, self.wanted, tuple(n for n in self.outputs if types[n] == "real"))

    def build(self, program: Program) -> Callable[..., Built]:
        """How the stages of a program become kernels here."""
        target = target_of(self.device)
        return lambda *stage: built(program, target, *stage)


def wanted_inputs(bound: Bound) -> tuple[str, ...]:
    """The inputs by which PyTorch may ask for a gradient."""
    if not torch.is_grad_enabled():
        return ()
    return tuple(name for name, tensor in sorted(bound.tensors.items()) if tensor.requires_grad)


def differentiable(program: Program, bound: Bound, wanted: tuple[str, ...]) -> tuple[Tensors, Call]:
    """The outputs by name, recorded for PyTorch's backward; error A402 where no path carries a gradient."""
    call = Call(program, bound.sizes, bound.device, tuple(bound.tensors), wanted)
    _refuse_unreached(call)
    values = _Attention.apply(call, *bound.tensors.values())  # type: ignore[no-untyped-call]
    return dict(zip(call.outputs, values, strict=True)), call


class _Attention(torch.autograd.Function):
    """Forward and backward of a call as PyTorch wants them."""

    @staticmethod
    def forward(ctx: Any, call: Call, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The outputs; what the backward reads is held."""
        gradients, given = call.gradients, dict(zip(call.names, tensors, strict=True))
        bound = Bound(given, call.sizes, call.device)
        held = tuple(name for name in gradients.backward.saved if name not in given)
        found, call.forward = execute(gradients.program, bound, call.build(gradients.program), held)
        ctx.call, ctx.held = call, held
        ctx.save_for_backward(*tensors, *(found[name] for name in held))
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*(found[name] for name in call.outputs if not found[name].is_floating_point()))
        return tuple(found[name] for name in call.outputs)

    @staticmethod
    def backward(ctx: Any, *incoming: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        """What comes in at the inputs, as far as it is asked for."""
        call: Call = ctx.call
        values = dict(zip((*call.names, *ctx.held), ctx.saved_tensors, strict=True))
        given = {name: value for name, value in zip(call.outputs, incoming, strict=True) if value is not None}
        asked = zip(call.names, ctx.needs_input_grad[1:], strict=True)
        found = _backward(call, values, tuple(sorted(name for name, needed in asked if needed)), given)
        return (None, *(found.get(name) for name in call.names))


def _backward(call: Call, values: Tensors, wanted: tuple[str, ...], given: Tensors) -> Tensors:
    bound = Bound(values, call.sizes, call.device)
    run_again = again(call.program, bound, call.build(call.program), call.gradients.backward.again)
    gradients = gradients_of(call.program, wanted, tuple(given))
    bound = Bound(run_again, call.sizes, call.device)
    found, runs = run_backward(gradients, bound, given, target_of(call.device))
    call.backward[:] = runs
    return found


def _refuse_unreached(call: Call) -> None:
    """Error A402 for each input by which no output can be differentiated."""
    lost: list[Diagnostic] = []
    stated = call.program.stated
    for name in call.wanted:
        item = stated.input(name)
        if name not in call.gradients.reached and item is not None:
            text = f"no gradient flows from the outputs of `{stated.name}` to `{name}`"
            helps = (f"pass `{name}.detach()`: what it decides has no derivative",)
            span, label, clashes = _places(stated, item)
            lost += error("A402", text, span, label, clashes=clashes, helps=helps).diagnostics
    if lost:
        raise AttnError(*lost)


def _places(stated: Cascade, item: Input) -> tuple[Span, str, tuple[tuple[Span, str], ...]]:
    """Where the path from an input ends, and where the input stands."""
    from attnc.passes.differentiate.ends import end_of_paths

    node, asked = end_of_paths(stated, item.name), (item.span, "a gradient is asked for")
    return (*asked, ()) if node is None else (node.span, "no derivative passes this", (asked,))
