"""Calls in a graph that `torch.func` differentiates on the way: the two operators as functions that it can take apart.

An operator's own derivative is for PyTorch's plain autograd alone. Here the first derivative backward is the same
operator; no graph holds a formula of further ones, or of tangents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from attnc.diagnostics import AttnError, error
from attnc.runtime import operators
from attnc.runtime.definition import moves
from attnc.runtime.operators import Held
from attnc.runtime.site import site_of

Values = tuple[Tensor, ...]


@torch.compiler.allow_in_graph  # type: ignore[untyped-decorator]
def transformed(call: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    """What the operator gives, differentiable by `torch.func`."""
    if any(map(moves, tensors)):
        raise _no_formula(call, "tangents are taken")
    return list(_Forward.apply(call, *tensors))  # type: ignore[no-untyped-call]


class _Forward(torch.autograd.Function):
    """`attnc::forward`."""

    generate_vmap_rule = True

    @staticmethod
    def forward(call: str, *tensors: Tensor) -> Values:
        """The outputs of the call, and what else its backward reads."""
        return tuple(operators.forward(call, list(tensors)))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Values) -> None:
        """The inputs are kept, then what is held."""
        call, *tensors = inputs
        operators.keep(ctx, (call, tensors), output)

    @staticmethod
    def backward(ctx: Any, *incoming: Tensor | None) -> tuple[Tensor | None, ...]:
        """What comes in at the inputs."""
        held = Held(ctx.call, ctx.saved_tensors, ctx.needs_input_grad[1:])
        return None, *operators.pulled(held, incoming, _gradients)


class _Backward(torch.autograd.Function):
    """`attnc::backward`; `count` tensors come in at outputs, the others are inputs or held."""

    generate_vmap_rule = True

    @staticmethod
    def forward(call: str, wanted: str, given: str, count: int, *tensors: Tensor) -> Values:
        """The gradients that are reached."""
        return tuple(operators.backward(call, wanted, given, list(tensors[:count]), list(tensors[count:])))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Values) -> None:
        """Only whose it is."""
        ctx.call = inputs[0]

    @staticmethod
    def backward(ctx: Any, *incoming: Tensor | None) -> Any:
        """No second derivatives: a word on it."""
        raise _no_formula(ctx.call, "a second derivative is taken")


def _gradients(call: str, wanted: str, given: str, incoming: list[Tensor], tensors: list[Tensor]) -> list[Tensor]:
    return list(_Backward.apply(call, wanted, given, len(incoming), *incoming, *tensors))  # type: ignore[no-untyped-call]


def _no_formula(call: str, what: str) -> AttnError:
    name = site_of(call).attention.signature.name
    helps = ("take it outside of what is compiled or traced: plain calls have every derivative",)
    return error("A404", f"{what} of `{name}` in a graph, which holds the first derivative backward alone", helps=helps)
