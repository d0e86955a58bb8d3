"""Calls that PyTorch watches rather than runs: they become one operator of its graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import index

import torch

from attnc.runtime.precision import lowered
from attnc.runtime.signature import Signature
from attnc.runtime.site import described


def watched() -> bool:
    """Whether a compiler traces what is called, or a mode wants to see it."""
    return torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() > 0


def recorded(values: Iterable[object]) -> bool:
    """Whether a call is to be seen as an operator: by a compiler, a mode or one of its tensors."""
    return watched() or any(isinstance(value, torch.Tensor) and _sees_operators(value) for value in values)


def _sees_operators(tensor: torch.Tensor) -> bool:
    watches = type(tensor).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__
    return watches and tensor.layout == torch.strided and not tensor.is_nested  # others are refused with a word


def record(
    reference: str, signature: Signature, args: tuple[object, ...], named: Mapping[str, object], step: bool = False
) -> tuple[str, list[torch.Tensor]]:
    """The description of the call and its outputs, of which the first are the attention's own."""
    from attnc.runtime import operators  # PyTorch's compiler comes with it, which plain calls do without

    names = (*signature.inputs[: len(args)], *named)
    given = [lowered(value) for value in (*args, *named.values())]
    pairs = list(zip(names, given, strict=False))  # more than there are inputs: an error of the description
    tensors = {name: value for name, value in pairs if isinstance(value, torch.Tensor)}
    asked = tensors.items() if torch.is_grad_enabled() else ()
    wanted = tuple(sorted([name for name, tensor in asked if tensor.requires_grad]))
    settings = {name: _constant(value) for name, value in pairs if name not in tensors}
    call = described(reference, (len(args), *named), tuple(tensors), wanted, settings, step)
    if torch._C._are_functorch_transforms_active():
        from attnc.runtime.transforms import transformed

        return call, transformed(call, list(tensors.values()))
    return call, operators.forward(call, list(tensors.values()))


def _constant(value: object) -> object:
    """A number as a constant of the graph, also where a compiler keeps numbers open."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return index(value)
    return value.__float__() if isinstance(value, float) else value
