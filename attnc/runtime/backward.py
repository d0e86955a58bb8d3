"""The backward of a call as a function that PyTorch can differentiate in turn: that, by the definition."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch

from attnc.runtime.batches import in_front, over_batch
from attnc.runtime.bind import Bound
from attnc.runtime.build import announce
from attnc.runtime.call import Call, Tensors
from attnc.runtime.convert import in_memory
from attnc.runtime.definition import Function, Values, primal, pulled_back, pushed_forward
from attnc.runtime.execute import again, execute
from attnc.runtime.gradients import Gradients, gradients_of, run_backward

Names = tuple[str, ...]


def backward(call: Call, values: Tensors, wanted: Names, incoming: Tensors) -> Tensors:
    """The gradients of `wanted` inputs, from the inputs, what is held besides, and what comes in at outputs."""
    given = tuple(incoming)
    dense = map(in_memory, incoming.values())
    found = _Gradients.apply(call, wanted, given, *dense, *values.values())  # type: ignore[no-untyped-call]
    return dict(zip(reached(call, wanted, given), found, strict=True))


def gradients_from(call: Call, wanted: Names, incoming: Tensors, values: Tensors) -> Tensors:
    """The gradients of the inputs that are reached, from what comes in and all that is held; what ran is noted."""
    gradients = gradients_of(call.program, wanted, tuple(incoming), precise=call.precise)
    whole = call.gradients if call.wanted else gradients
    bound = Bound(_held(call, whole, values), call.sizes, call.device)
    run_again = again(call.program, bound, call.target, whole.backward.again)
    found, call.backward[:] = run_backward(gradients, Bound(run_again, call.sizes, call.device), incoming, call.target)
    return found


def reached(call: Call, wanted: Names, given: Names) -> Names:
    """The inputs of these whose gradients are computed from these outputs."""
    return tuple(sorted(gradients_of(call.program, wanted, given).reached))


class _Gradients(torch.autograd.Function):
    """What comes in at outputs, inputs and what is held, to gradients."""

    @staticmethod
    def forward(call: Call, wanted: Names, given: Names, *tensors: torch.Tensor) -> Values:
        """The gradients, by the derived kernels."""
        tensors = primal(tensors)
        values = dict(zip((*call.names, *call.saved), tensors[len(given) :], strict=True))
        found = gradients_from(call, wanted, dict(zip(given, tensors, strict=False)), values)
        return tuple(found[name] for name in reached(call, wanted, given))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Values) -> None:
        """What comes in and the inputs are kept: all else is computed from them."""
        ctx.call, ctx.wanted, ctx.given, *tensors = inputs
        kept = tensors[: len(ctx.given) + len(ctx.call.names)]
        ctx.save_for_backward(*kept)
        ctx.save_for_forward(*kept)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, *incoming: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        """What comes in at the gradients, handed on."""
        places, function, at = _by_definition(ctx)
        found = pulled_back(function, at, _filled(function(*at), incoming))
        handed = dict(zip(places, found, strict=True))
        return (None, None, None, *(handed.get(place) for place in range(len(ctx.needs_input_grad) - 3)))

    @staticmethod
    def vmap(
        info: Any, axes: Any, call: Call, wanted: Names, given: Names, *tensors: torch.Tensor
    ) -> tuple[Values, tuple[int, ...]]:
        """The gradients for every element of a batch: of each input its own, also where all elements share it."""
        pairs = tuple(zip(tensors, axes[3:], strict=True))
        inputs = dict(zip(call.names, pairs[len(given) :], strict=False))
        found, values = over_batch(call, inputs, info, wanted)
        incoming = dict(zip(given, pairs, strict=False))
        fronts = {n: in_front(*pair, info.batch_size) for n, pair in incoming.items() if n in found.names}
        own = replace(call, program=found.program, sizes=values.sizes, wanted=())
        gradients = backward(own, values.tensors, wanted, fronts)
        names = reached(call, wanted, given)
        return tuple(gradients[name] for name in names), (0,) * len(names)

    @staticmethod
    def jvp(ctx: Any, *tangents: torch.Tensor | None) -> Values:
        """The tangents of the gradients."""
        places, function, at = _by_definition(ctx)
        moving = _filled(at, (tangents[3 + place] for place in places))
        return pushed_forward(function, at, moving)


def _held(call: Call, gradients: Gradients, values: Tensors) -> Tensors:
    """The values, with what the backward reads and was not held: nobody had asked for gradients then."""
    missing = tuple(name for name in gradients.backward.saved if name not in values)
    if not missing:
        return values
    inputs = Bound({name: values[name] for name in call.names}, call.sizes, call.device)
    found, _ = execute(gradients.program, inputs, call.target, missing, call.types)
    return values | {name: found[name] for name in missing}


def _by_definition(ctx: Any) -> tuple[list[int], Function, Values]:
    """Which arguments are real, the gradients as a function of those, and their values."""
    call: Call = ctx.call
    announce(f"attnc: second derivatives of `{call.program.stated.name}` by statements, a slower path")
    tensors = primal(ctx.saved_tensors)
    places = [place for place, tensor in enumerate(tensors) if tensor.is_floating_point()]
    inputs = dict(zip(call.names, tensors[len(ctx.given) :], strict=True))
    reals = tuple(name for name, tensor in inputs.items() if tensor.is_floating_point())
    wanted = reached(call, ctx.wanted, ctx.given)
    function = call.definition(inputs).gradients(ctx.given, reals, wanted)
    return places, function, tuple(tensors[place] for place in places)


def _filled(like: Values, given: Iterable[torch.Tensor | None]) -> Values:
    """The tensors, nothing where there is none."""
    pairs = zip(like, given, strict=True)
    return tuple(torch.zeros_like(one) if found is None else found for one, found in pairs)
