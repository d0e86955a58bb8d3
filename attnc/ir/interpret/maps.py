"""The elementwise operators on tensors, by the language's rules for division, integers and infinities."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from attnc.ir.interpret.context import Context
from attnc.ir.interpret.value import Array, Value


def divide(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """a / b with 0 / 0 = 0; other divisions by zero are IEEE."""
    both = (a == 0) & (b == 0)
    quotient = a / b
    return quotient.masked_fill_(both, 0.0) if bool(both.any()) else quotient


def shift(x: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
    """x - r, and -inf where x is -inf."""
    distance = x - r
    return torch.where(x == -torch.inf, x, distance) if bool((r == -torch.inf).any()) else distance


def xlogx(x: torch.Tensor) -> torch.Tensor:
    """x * log(x), 0 at 0."""
    return torch.log(x).mul_(x).masked_fill_(x == 0, 0.0)


def floor_divide(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """a // b rounded down; where b is 0 the value is absent and its number is arbitrary."""
    return torch.div(a, torch.where(b == 0, torch.ones_like(b), b), rounding_mode="floor")


def modulo(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The remainder with the divisor's sign."""
    return torch.remainder(a, torch.where(b == 0, torch.ones_like(b), b))


def power(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """a ** b; of an integer to a negative power what is whole."""
    if a.is_floating_point() or not bool((b < 0).any()):
        return torch.pow(a, b)
    unit = torch.where(a.abs() == 1, torch.where(b % 2 == 0, 1, a), 0)
    return torch.where(b < 0, unit, torch.pow(a, b.clamp(min=0)))


def forward(op: str) -> Callable[..., torch.Tensor]:
    """The operator on tensors of one type."""
    return REAL.get(op) or ARITHMETIC[op]


def promoted(values: Sequence[Value], context: Context, *, real: bool = False) -> list[Value]:
    """The operands in one type: the widest, at least int; real where asked."""
    floats = real or any(value.array.data.is_floating_point() for value in values)
    kind = context.dtype if floats else torch.int64
    return [
        value if value.array.data.dtype == kind else Value(Array(value.array.data.to(kind), value.dims), value.when)
        for value in values
    ]


def _fold(pair: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Callable[..., torch.Tensor]:
    def folded(*args: torch.Tensor) -> torch.Tensor:
        result = args[0]
        for arg in args[1:]:
            result = pair(result, arg)
        return result

    return folded


ARITHMETIC: dict[str, Callable[..., torch.Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "floordiv": floor_divide,
    "mod": modulo,
    "pow": power,
    "neg": torch.neg,
    "abs": torch.abs,
    "sign": torch.sign,
    "relu": torch.relu,
    "min": _fold(torch.minimum),
    "max": _fold(torch.maximum),
    "clamp": lambda x, lo, hi: torch.minimum(torch.maximum(x, lo), hi),
    "stop": lambda x: x.detach(),
}
REAL: dict[str, Callable[..., torch.Tensor]] = {
    "div": divide,
    "exp": torch.exp,
    "exp2": torch.exp2,
    "log": torch.log,
    "log2": torch.log2,
    "log1p": torch.log1p,
    "expm1": torch.expm1,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    "silu": torch.nn.functional.silu,
    "gelu": torch.nn.functional.gelu,
    "erf": torch.erf,
    "sin": torch.sin,
    "cos": torch.cos,
    "xlogx": xlogx,
    "shift": shift,
    "real": lambda x: x,
}
ROUNDING: dict[str, Callable[..., torch.Tensor]] = {"floor": torch.floor, "ceil": torch.ceil, "round": torch.round}
COMPARE: dict[str, Callable[..., torch.Tensor]] = {
    "eq": torch.eq,
    "ne": torch.ne,
    "lt": torch.lt,
    "le": torch.le,
    "gt": torch.gt,
    "ge": torch.ge,
}
LOGIC: dict[str, Callable[..., torch.Tensor]] = {
    "and": _fold(torch.logical_and),
    "or": _fold(torch.logical_or),
    "not": torch.logical_not,
}
