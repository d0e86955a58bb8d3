"""Derivatives of any order by the definition itself, as PyTorch takes them of the statements one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch.autograd import forward_ad

from attnc.ir.cascade import Cascade
from attnc.ir.interpret import run as interpret
from attnc.runtime.precision import exact

Values = tuple[torch.Tensor, ...]
Function = Callable[..., Values]


@dataclass(frozen=True)
class Definition:
    """The statements of a program at the extents of a call, in one type; `fixed` inputs have no derivative."""

    cascade: Cascade
    sizes: Mapping[str, int]
    compute: torch.dtype
    fixed: Mapping[str, torch.Tensor]

    def holding(self, inputs: Mapping[str, torch.Tensor]) -> Definition:
        """The same with these inputs fixed."""
        return replace(self, fixed={**self.fixed, **inputs})

    def outputs(self, names: tuple[str, ...], given: tuple[str, ...]) -> Function:
        """These outputs as a function of these inputs."""

        def function(*tensors: torch.Tensor) -> Values:
            inputs = {**self.fixed, **dict(zip(given, tensors, strict=True))}
            found = interpret(self.cascade, inputs, dtype=self.compute, sizes=self.sizes).outputs
            return tuple(found[name] for name in names)

        return function

    def gradients(self, names: tuple[str, ...], given: tuple[str, ...], wanted: tuple[str, ...]) -> Function:
        """The gradients of `wanted` inputs as a function of what comes in at these outputs and of these inputs."""

        def function(*tensors: torch.Tensor) -> Values:
            incoming = tuple(tensor.to(self.compute) for tensor in tensors[: len(names)])
            inputs = dict(zip(given, tensors[len(names) :], strict=True))
            rest = {name: tensor for name, tensor in inputs.items() if name not in wanted}
            function = self.holding(rest).outputs(names, wanted)
            return pulled_back(function, tuple(inputs[name] for name in wanted), incoming)

        return function


def primal(tensors: Iterable[torch.Tensor]) -> Values:
    """The tensors without the tangents that they come with."""
    return tuple(forward_ad.unpack_dual(tensor).primal for tensor in tensors)  # type: ignore[no-untyped-call]


def moves(tensor: torch.Tensor) -> bool:
    """Whether a tensor comes with a tangent."""
    return forward_ad.unpack_dual(tensor).tangent is not None  # type: ignore[no-untyped-call]


@exact
def pulled_back(function: Function, at: Values, incoming: Values) -> Values:
    """What comes in at a function's arguments, given what comes in at its values."""
    pull: Function = torch.func.vjp(function, *at)[1]
    return pull(incoming)


@exact
def pushed_forward(function: Function, at: Values, tangents: Values) -> Values:
    """The tangents of a function's values, given those of its arguments.

    Before   pull(u) = u J
    After    (pull's own pull)(t) = J t
    Holds    because pull is linear; so that the rules of the language for derivatives are written once.
    """
    values, pull, *_ = torch.func.vjp(function, *at)
    nothing = tuple(torch.zeros_like(value) for value in values)
    return pulled_back(lambda *incoming: pull(incoming), nothing, tangents)
