"""Calls as PyTorch's graphs hold them: two operators, `attnc::forward` and `attnc::backward`.

Each has a call's description as a string and its tensors as lists, so one pair of operators serves every attention,
and a program that holds one can be saved: whoever loads it imports this module, and need not load the spec. Outputs
are contiguous. What a graph differentiates is the first derivative; plain calls do not come here, for an operator
takes longer to be called than a small kernel runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from attnc.ir.cascade import Cascade, Expr
from attnc.ir.sizes import whole
from attnc.runtime.autograd import forward_values, refuse, wanted_inputs
from attnc.runtime.backward import gradients_from, reached
from attnc.runtime.batches import in_front, over_batch
from attnc.runtime.bind import Bound
from attnc.runtime.call import Call
from attnc.runtime.execute import owned
from attnc.runtime.site import site_of
from attnc.runtime.types import value_types

Pulled: TypeAlias = list[Tensor | None]


@torch.library.custom_op("attnc::forward", mutates_args=())
def forward(call: str, tensors: list[Tensor]) -> list[Tensor]:
    """The outputs of a call, then what else its backward reads."""
    site = site_of(call)
    own, bound = site.bound(tensors)
    refuse(own, bound)
    site.attention.check(own.program, own.wanted)
    with torch.no_grad(), _autograd():
        target = own.target if own.wanted else own.target.for_plain_calls  # as an eager call has it
        found = forward_values(own, bound.tensors, target)
    site.ran(own)
    return _own(found, (*own.outputs, *own.further), tensors)


@forward.register_fake
def _(call: str, tensors: list[Tensor]) -> list[Tensor]:
    own, bound = site_of(call).bound(tensors)
    refuse(own, bound)
    return [_empty(own, bound, name) for name in (*own.outputs, *own.further)]


@torch.library.custom_op("attnc::backward", mutates_args=())
def backward(call: str, wanted: str, given: str, incoming: list[Tensor], tensors: list[Tensor]) -> list[Tensor]:
    """The gradients of the `wanted` inputs that are reached, from what comes in at the outputs that are `given`.

    `tensors` are the inputs of the call and what was held.
    """
    site = site_of(call)
    own, bound = site.bound(tensors)
    values = bound.tensors | dict(zip(own.saved, tensors[len(site.inputs) :], strict=True))
    names = reached(own, _names(wanted), _names(given))
    with torch.no_grad(), _autograd():
        found = gradients_from(own, _names(wanted), dict(zip(_names(given), incoming, strict=True)), values)
    site.ran(own)
    return _own(found, names, (*incoming, *tensors))


@backward.register_fake
def _(call: str, wanted: str, given: str, incoming: list[Tensor], tensors: list[Tensor]) -> list[Tensor]:
    own, bound = site_of(call).bound(tensors)
    found = (bound.tensors[name] for name in reached(own, _names(wanted), _names(given)))
    return [torch.empty(tensor.shape, dtype=tensor.dtype, device=tensor.device) for tensor in found]


def _autograd() -> Any:
    """A region where autograd works, which an operator is shielded from: statements are differentiated by it."""
    included, excluded = torch._C._dispatch_tls_local_include_set(), torch._C._dispatch_tls_local_exclude_set()
    return torch._C._ForceDispatchKeyGuard(included, excluded.remove(torch._C.DispatchKey.AutogradFunctionality))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _own(found: dict[str, Tensor], names: tuple[str, ...], given: Any) -> list[Tensor]:
    """The values in memory of their own, row-major: what a graph was told of them."""
    dense = {name: found[name].contiguous() for name in names}
    return list(owned(dense, given).values())


def _empty(call: Call, bound: Bound, name: str) -> Tensor:
    program = call.gradients.program if call.wanted else call.program
    shape = [max(0, whole(hi, call.sizes) - whole(lo, call.sizes)) for lo, hi in _axes(program.explicit, name)]
    return torch.empty(shape, dtype=value_types(program, bound.types)[name], device=bound.device)


def _axes(cascade: Cascade, name: str) -> tuple[tuple[Expr, Expr], ...]:
    """The axes of a tensor, or of an input, which may be held too where it was not given."""
    tensor, item = cascade.tensor(name), cascade.input(name)
    if tensor is not None:
        return tensor.axes
    assert item is not None, "what a call gives is defined"
    return tuple((cascade.range(index).lo, cascade.range(index).hi) for index in item.indices)


# ---- derivatives -------------------------------------------------------------------------------


class Held(NamedTuple):
    """A call whose gradients are asked for: what was saved of it, and which inputs want theirs."""

    call: str
    saved: Sequence[Tensor]
    needed: Sequence[bool]


def keep(ctx: Any, inputs: tuple[str, Sequence[Tensor]], output: Sequence[Tensor]) -> None:
    """Saves the inputs, and what of the outputs the backward reads."""
    call, tensors = inputs
    own = site_of(call).call(tensors)
    found = dict(zip((*own.outputs, *own.further), output, strict=True))
    ctx.call = call
    ctx.save_for_backward(*tensors, *(found[name] for name in own.saved))
    ctx.set_materialize_grads(False)


def pulled(held: Held, incoming: Iterable[Tensor | None], gradients: Callable[..., list[Tensor]]) -> Pulled:
    """What comes in at each input, by a function that is called as the operator `attnc::backward` is."""
    site = site_of(held.call)
    own = site.call(held.saved)
    pairs = zip(own.outputs, incoming, strict=False)
    given = {name: value for name, value in pairs if value is not None and name in own.real_outputs}
    wanted = tuple(sorted(name for name, needed in zip(site.inputs, held.needed, strict=True) if needed))
    names = reached(own, wanted, tuple(given))
    found = gradients(held.call, " ".join(wanted), " ".join(given), list(given.values()), list(held.saved))
    by_name = dict(zip(names, found, strict=True))
    return [by_name.get(name) for name in site.inputs]


def _pull(ctx: Any, incoming: list[Tensor | None]) -> tuple[None, Pulled]:
    held = Held(ctx.call, ctx.saved_tensors, ctx.needs_input_grad[1])
    return None, pulled(held, incoming, torch.ops.attnc.backward)


forward.register_autograd(_pull, setup_context=keep)


# ---- batches -----------------------------------------------------------------------------------


@forward.register_vmap
def _(info: Any, axes: Any, call: str, tensors: list[Tensor]) -> tuple[list[Tensor], list[int | None]]:
    site = site_of(call)
    pairs = zip(tensors, axes[1], strict=True)
    whole = site.call(tensors)
    found, bound = over_batch(whole, dict(zip(site.inputs, pairs, strict=True)), info)
    own = site.over(found.inputs, tuple(name for name in wanted_inputs(bound) if name in site.inputs))
    outputs = torch.ops.attnc.forward(own.written(), [bound.tensors[name] for name in own.inputs])
    names, further = whole.outputs, whole.further
    places = [0 if name in found.names else None for name in names]
    nothing = [tensors[0].new_empty(0) for _ in further]  # what is held is computed again: see `backward`
    return [*outputs[: len(names)], *nothing], [*places, *(None for _ in further)]


@backward.register_vmap
def _(
    info: Any, axes: Any, call: str, wanted: str, given: str, incoming: list[Tensor], tensors: list[Tensor]
) -> tuple[list[Tensor], list[int]]:
    site = site_of(call)
    pairs = dict(zip(site.inputs, zip(tensors, axes[4], strict=True), strict=False))
    found, bound = over_batch(site.call(tensors), pairs, info, _names(wanted))
    arriving = dict(zip(_names(given), zip(incoming, axes[3], strict=True), strict=True))
    fronts = {n: in_front(*pair, info.batch_size) for n, pair in arriving.items() if n in found.names}
    own, values = site.over(found.inputs, ()), [bound.tensors[name] for name in site.inputs]
    result = torch.ops.attnc.backward(own.written(), wanted, " ".join(fronts), list(fronts.values()), values)
    return result, [0] * len(result)
