"""Elementwise operators with their derivatives: what no result depends on contributes exactly 0.

PyTorch's own backward multiplies a derivative by what comes in even where that is 0 because the point is
absent, and 0 * inf is NaN: log(x) at an absent x = 0. Here a product with nothing is nothing. Each derivative
is written with these same operators, so derivatives of derivatives hold as well.

The derivative of sqrt at 0 is 0, as that of a norm is there: a deviation of equal values teaches nothing, not NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import torch

from attnc.ir.interpret.maps import forward

Partial = Callable[..., torch.Tensor]


def elementwise(op: str, *args: torch.Tensor) -> torch.Tensor:
    """The operator's value; recorded for derivatives where they are asked for."""
    if op == "clamp":
        x, lo, hi = args
        return elementwise("min", elementwise("max", x, lo), hi)
    if op in PARTIALS and torch.is_grad_enabled() and any(arg.requires_grad for arg in args):
        return cast(torch.Tensor, _Recorded.apply(op, *args))  # type: ignore[no-untyped-call]
    return forward(op)(*args)


class _Recorded(torch.autograd.Function):
    """An operator whose derivatives are those of `PARTIALS`."""

    generate_vmap_rule = True

    @staticmethod
    def forward(op: str, *args: torch.Tensor) -> torch.Tensor:
        return forward(op)(*args)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        ctx.op, *args = inputs
        ctx.save_for_backward(*args, output)

    @staticmethod
    def backward(ctx: Any, incoming: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        *args, value = ctx.saved_tensors
        found: list[torch.Tensor | None] = [None]
        for place, arg in enumerate(args):
            if ctx.needs_input_grad[place + 1]:
                partial = PARTIALS[ctx.op](place, *args, value)
                found.append(_product(incoming, partial).sum_to_size(arg.shape))
            else:
                found.append(None)
        return tuple(found)


class _Product(torch.autograd.Function):
    """What comes in times a derivative: nothing where one of them is 0, whatever the other is."""

    generate_vmap_rule = True

    @staticmethod
    def forward(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a * b).masked_fill_((a == 0) | (b == 0), 0.0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor, torch.Tensor], output: torch.Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, incoming: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        a, b = ctx.saved_tensors
        return _product(incoming, b).sum_to_size(a.shape), _product(incoming, a).sum_to_size(b.shape)


def _product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return cast(torch.Tensor, _Product.apply(a, b))  # type: ignore[no-untyped-call]


class _Shared(torch.autograd.Function):
    """The common value of the hits along the last axis; what comes in is shared equally among them."""

    generate_vmap_rule = True

    @staticmethod
    def forward(data: torch.Tensor, value: torch.Tensor, hits: torch.Tensor) -> torch.Tensor:
        return value.detach().clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        ctx.save_for_backward(inputs[2])

    @staticmethod
    def backward(ctx: Any, incoming: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (hits,) = ctx.saved_tensors
        share = (incoming / hits.sum(-1).clamp(min=1)).unsqueeze(-1)
        return torch.where(hits, share, torch.zeros_like(share)), None, None


def shared(data: torch.Tensor, value: torch.Tensor, hits: torch.Tensor) -> torch.Tensor:
    """`value`, which the data have at the hits along their last axis: its derivative is shared among ties."""
    if torch.is_grad_enabled() and data.requires_grad:
        return cast(torch.Tensor, _Shared.apply(data, value, hits))  # type: ignore[no-untyped-call]
    return value


# ---- the derivative of each operator, by the place of the argument ---------------------------


def _one(x: torch.Tensor) -> torch.Tensor:
    return torch.ones((), dtype=x.dtype, device=x.device)


def _unless(test: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return torch.where(test, torch.zeros_like(x), x)


def _of_quotient(place: int, a: torch.Tensor, b: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    nothing = (a == 0) & (b == 0)
    return _unless(nothing, elementwise("div", _one(b), b) if place == 0 else -elementwise("div", y, b))


def _of_power(place: int, a: torch.Tensor, b: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    if place == 0:
        return _unless(b == 0, elementwise("mul", b, elementwise("pow", a, b - 1)))
    return _unless((a == 0) & (b >= 0), elementwise("mul", y, elementwise("log", a)))


def _of_shift(place: int, x: torch.Tensor, r: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return _one(x) if place == 0 else _unless(x == -torch.inf, -_one(x))


def _of_xlogx(place: int, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return _unless(x == 0, elementwise("log", x) + 1)


def _of_gelu(place: int, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    density = elementwise("exp", -0.5 * elementwise("mul", x, x)) / math.sqrt(2 * math.pi)
    below = 0.5 * (1 + elementwise("erf", x / math.sqrt(2)))
    return below + elementwise("mul", x, density)


def _of_silu(place: int, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    gate = elementwise("sigmoid", x)
    return gate + elementwise("mul", y, 1 - gate)


def _of_extreme(place: int, *args: torch.Tensor) -> torch.Tensor:
    """An equal share for each argument that has the value; a NaN is what made it NaN."""
    *operands, y = args
    hits = [(x == y) | torch.isnan(x) for x in operands]
    count = torch.stack(torch.broadcast_tensors(*(hit.to(y.dtype) for hit in hits))).sum(0)  # type: ignore[no-untyped-call]
    return torch.where(hits[place], 1 / count.clamp(min=1), torch.zeros_like(count))


def _of_remainder(place: int, a: torch.Tensor, b: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return _one(a) if place == 0 else -torch.floor(a / b).detach()


def _only(partial: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Partial:
    return lambda place, x, y: partial(x, y)


def _linear(*factors: float) -> Partial:
    return lambda place, *args: factors[place] * _one(args[-1])


def _reciprocal(x: torch.Tensor) -> torch.Tensor:
    return elementwise("div", _one(x), x)


PARTIALS: dict[str, Partial] = {
    "add": _linear(1, 1),
    "sub": _linear(1, -1),
    "neg": _linear(-1),
    "real": _linear(1),
    "mul": lambda place, a, b, y: b if place == 0 else a,
    "div": _of_quotient,
    "mod": _of_remainder,
    "pow": _of_power,
    "shift": _of_shift,
    "min": _of_extreme,
    "max": _of_extreme,
    "abs": _only(lambda x, y: torch.sign(x).detach()),
    "relu": _only(lambda x, y: (x > 0).to(x.dtype)),
    "exp": _only(lambda x, y: y),
    "exp2": _only(lambda x, y: y * math.log(2)),
    "expm1": _only(lambda x, y: y + 1),
    "log": _only(lambda x, y: _reciprocal(x)),
    "log2": _only(lambda x, y: _reciprocal(x) / math.log(2)),
    "log1p": _only(lambda x, y: _reciprocal(1 + x)),
    "sqrt": _only(lambda x, y: _unless(y == 0, _reciprocal(2 * y))),
    "rsqrt": _only(lambda x, y: -0.5 * elementwise("div", y, x)),
    "tanh": _only(lambda x, y: 1 - elementwise("mul", y, y)),
    "sigmoid": _only(lambda x, y: elementwise("mul", y, 1 - y)),
    "softplus": _only(lambda x, y: elementwise("sigmoid", x)),
    "silu": _of_silu,
    "gelu": _of_gelu,
    "erf": _only(lambda x, y: elementwise("exp", -elementwise("mul", x, x)) * (2 / math.sqrt(math.pi))),
    "sin": _only(lambda x, y: elementwise("cos", x)),
    "cos": _only(lambda x, y: -elementwise("sin", x)),
    "xlogx": _of_xlogx,
}
