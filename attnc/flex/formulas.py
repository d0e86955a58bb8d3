"""PyTorch's functions on scalars, each by its definition in the language."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch

from attnc.flex.scalars import Scalar
from attnc.ir.operators import FUNCTIONS
from attnc.trace.kinds import joined

Operation: TypeAlias = Callable[..., Any]
of = Scalar.of


# ---- one argument ------------------------------------------------------------------------------


def _elementwise(name: str) -> Operation:
    result = FUNCTIONS[name].result

    def operation(x: object) -> Any:
        value = of(x)
        return value.applied(name, kind=joined(value.kind) if result == "join" else result)

    return operation


_SAME = "exp exp2 log log2 log1p expm1 sqrt rsqrt abs sign floor ceil round tanh sigmoid softplus relu silu gelu"
ELEMENTWISE = {name: _elementwise(name) for name in (*_SAME.split(), "erf", "sin", "cos")}
ALIASES = {"absolute": "abs", "expit": "sigmoid", "sgn": "sign"}


def trunc(x: object) -> Any:
    """Rounded towards 0, an integer."""
    value = of(x)
    if value.kind != "real":
        return value
    return ELEMENTWISE["floor"](value).chosen(value >= 0, ELEMENTWISE["ceil"](value))


def real(x: object) -> Any:
    """The value as a real."""
    value = of(x)
    return value if value.kind == "real" else value * 1.0


def integer(x: object) -> Any:
    """The value as an integer: a real is rounded towards 0."""
    value = of(x)
    return of(1).chosen(value, 0) if value.kind == "bool" else trunc(value)


def cast(x: object, *given: Any, **named: Any) -> Any:
    """The value in another type; where it lies is no matter."""
    value = of(x)
    for item in (*given, *named.values()):
        dtype = getattr(item, "dtype", item)
        if isinstance(dtype, torch.dtype):
            return _typed(value, dtype)
    return value


def _typed(value: Scalar, dtype: torch.dtype) -> Any:
    if dtype == torch.bool:
        return value.truth()
    return real(value) if dtype.is_floating_point else integer(value)


def stopped(x: object) -> Any:
    """The value, through which no gradient flows."""
    value = of(x)
    return value.applied("stop") if value.kind == "real" else value


# ---- several -----------------------------------------------------------------------------------


def add(x: object, y: object, *, alpha: object = 1) -> Any:
    """The sum, the second times `alpha`."""
    return of(x) + (of(y) if alpha == 1 else of(y) * alpha)


def sub(x: object, y: object, *, alpha: object = 1) -> Any:
    """The difference, the second times `alpha`."""
    return of(x) - (of(y) if alpha == 1 else of(y) * alpha)


def div(x: object, y: object, *, rounding_mode: str | None = None) -> Any:
    """The quotient, rounded down or towards 0 if asked for."""
    match rounding_mode:
        case None:
            return of(x) / y
        case "floor":
            return of(x) // of(y)
        case _:
            return trunc(of(x) / y)


def fmod(x: object, y: object) -> Any:
    """The rest of a division that rounds towards 0."""
    a, b = of(x), of(y)
    return ELEMENTWISE["sign"](a) * (abs(a) % abs(b))


def extreme(name: str) -> Operation:
    """The smaller or the larger of two."""

    def operation(x: object, y: object) -> Any:
        a, b = of(x), of(y)
        return a.applied(name, b, kind=joined(a.kind, b.kind))

    return operation


least, most = extreme("min"), extreme("max")


def clamp(x: object, min: object = None, max: object = None) -> Any:
    """The value between two bounds, of which either may be missing."""
    low = of(x) if min is None else most(x, min)
    return low if max is None else least(low, max)


def where(test: object, x: object, y: object) -> Any:
    """x where the condition holds, else y."""
    return of(x).chosen(of(test).truth(), y)


def masked(x: object, test: object, value: object) -> Any:
    """x, but a value where the condition holds."""
    return of(value).chosen(of(test).truth(), x)


def logical(op: str) -> Operation:
    """A connective of two values that are true if not 0."""
    return lambda x, y: of(x).logical(op, of(x).truth(), of(y).truth())


def compared(op: str) -> Operation:
    """A comparison."""
    return lambda x, y: of(x).compared(op, y)


def logaddexp(x: object, y: object) -> Any:
    """log(exp(x) + exp(y))."""
    gap = ELEMENTWISE["exp"](-abs(of(x) - y))
    return most(x, y) + ELEMENTWISE["log1p"](gap)


def filled(value: object) -> Operation:
    """A tensor like a scalar: a scalar of one value."""
    return lambda *like, **_: of(value)


def full(x: object, *given: Any, **named: Any) -> Any:
    """The one value that something is filled with."""
    values = [item for item in (*given, named.get("fill_value")) if isinstance(item, bool | int | float | Scalar)]
    if len(values) != 1:
        raise TypeError("a scalar is filled with one value")
    return of(values[0])


def shape(kind: str) -> Operation:
    """`new_ones(size)` and its like: only without axes."""

    def operation(x: object, size: Any = (), *more: Any, dtype: torch.dtype | None = None, **_: Any) -> Any:
        if more or (isinstance(size, int) or len(size)):
            raise TypeError("a score has no axes: `new_ones(())`")
        one = kind == "ones"
        return of(one if dtype == torch.bool else int(one))

    return operation
