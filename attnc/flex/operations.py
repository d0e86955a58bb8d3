"""PyTorch's functions on scalars, each by its definition in the language."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch

from attnc.flex.scalars import Scalar, unfit, unknown
from attnc.ir.operators import FUNCTIONS
from attnc.trace.values import joined

Operation: TypeAlias = Callable[..., Any]
of = Scalar.of


def computed(func: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a function of PyTorch gives; error A677 for one that is not served."""
    name = func.__name__
    plain = name.strip("_") if name.startswith("__") else name
    if func is torch.Tensor.where:
        return METHODS["where"](*args, **kwargs)
    if plain not in FOUND and plain[:1] == "r" and plain[1:] in FOUND and len(args) == 2:
        plain, args = plain[1:], args[::-1]
    if plain not in FOUND:
        raise unknown(_called(func))
    return _served(FOUND[plain], _called(func), args, kwargs)


def method(name: str) -> Operation:
    """A method of tensors, on scalars."""
    if name not in METHODS:
        raise unknown(f"Tensor.{name}")
    return lambda *args, **kwargs: _served(METHODS[name], f"Tensor.{name}", args, kwargs)


_USUAL = {"inplace": False, "out": None, "approximate": "none", "memory_format": torch.preserve_format}
"""Arguments that change nothing."""


def _served(operation: Operation, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    told = {key: value for key, value in kwargs.items() if _USUAL.get(key, ...) != value}
    try:
        return operation(*args, **told)
    except TypeError:
        if len(args) == 1 and name.rpartition(".")[2] in ("max", "min"):
            raise unknown(name) from None
        raise unfit(f"`{name}` is not served with these arguments", "only its elementwise form is") from None


def _called(func: Operation) -> str:
    home = "Tensor" if getattr(torch.Tensor, func.__name__, None) is func else "torch"
    return f"{home}.{func.__name__}"


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


def _trunc(x: object) -> Any:
    """Rounded towards 0, an integer."""
    value = of(x)
    if value.kind != "real":
        return value
    return ELEMENTWISE["floor"](value).chosen(value >= 0, ELEMENTWISE["ceil"](value))


def _real(x: object) -> Any:
    value = of(x)
    return value if value.kind == "real" else value * 1.0


def _integer(x: object) -> Any:
    value = of(x)
    return of(1).chosen(value, 0) if value.kind == "bool" else _trunc(value)


def _cast(x: object, *given: Any, **named: Any) -> Any:
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
    return _real(value) if dtype.is_floating_point else _integer(value)


def _stopped(x: object) -> Any:
    value = of(x)
    return value.applied("stop") if value.kind == "real" else value


# ---- several -----------------------------------------------------------------------------------


def _add(x: object, y: object, *, alpha: object = 1) -> Any:
    return of(x) + (of(y) if alpha == 1 else of(y) * alpha)


def _sub(x: object, y: object, *, alpha: object = 1) -> Any:
    return of(x) - (of(y) if alpha == 1 else of(y) * alpha)


def _div(x: object, y: object, *, rounding_mode: str | None = None) -> Any:
    match rounding_mode:
        case None:
            return of(x) / y
        case "floor":
            return of(x) // of(y)
        case _:
            return _trunc(of(x) / y)


def _fmod(x: object, y: object) -> Any:
    a, b = of(x), of(y)
    return ELEMENTWISE["sign"](a) * (abs(a) % abs(b))


def _extreme(name: str) -> Operation:
    def operation(x: object, y: object) -> Any:
        a, b = of(x), of(y)
        return a.applied(name, b, kind=joined(a.kind, b.kind))

    return operation


_least, _most = _extreme("min"), _extreme("max")


def _clamp(x: object, min: object = None, max: object = None) -> Any:
    low = of(x) if min is None else _most(x, min)
    return low if max is None else _least(low, max)


def _where(test: object, x: object, y: object) -> Any:
    return of(x).chosen(of(test).truth(), y)


def _masked(x: object, test: object, value: object) -> Any:
    return of(value).chosen(of(test).truth(), x)


def _logical(op: str) -> Operation:
    return lambda x, y: of(x).logical(op, of(x).truth(), of(y).truth())


def _compared(op: str) -> Operation:
    return lambda x, y: of(x).compared(op, y)


def _logaddexp(x: object, y: object) -> Any:
    gap = ELEMENTWISE["exp"](-abs(of(x) - y))
    return _most(x, y) + ELEMENTWISE["log1p"](gap)


def _filled(value: object) -> Operation:
    """A tensor like a scalar: a scalar of one value."""
    return lambda *like, **_: of(value)


def _full(x: object, *given: Any, **named: Any) -> Any:
    values = [item for item in (*given, named.get("fill_value")) if isinstance(item, bool | int | float | Scalar)]
    if len(values) != 1:
        raise TypeError("a scalar is filled with one value")
    return of(values[0])


def _shape(kind: str) -> Operation:
    """`new_ones(size)` and its like: only without axes."""

    def operation(x: object, size: Any = (), *more: Any, dtype: torch.dtype | None = None, **_: Any) -> Any:
        if more or (isinstance(size, int) or len(size)):
            raise TypeError("a score has no axes: `new_ones(())`")
        one = kind == "ones"
        return of(one if dtype == torch.bool else int(one))

    return operation


BINARY: dict[str, Operation] = {
    "add": _add,
    "sub": _sub,
    "subtract": _sub,
    "mul": lambda x, y: of(x) * y,
    "multiply": lambda x, y: of(x) * y,
    "div": _div,
    "divide": _div,
    "truediv": _div,
    "true_divide": _div,
    "floordiv": lambda x, y: of(x) // y,
    "floor_divide": lambda x, y: of(x) // y,
    "mod": lambda x, y: of(x) % y,
    "remainder": lambda x, y: of(x) % y,
    "fmod": _fmod,
    "pow": lambda x, y: of(x) ** y,
    "float_power": lambda x, y: _real(x) ** y,
    "minimum": _least,
    "maximum": _most,
    "min": _least,
    "max": _most,
    "fmin": _least,
    "fmax": _most,
    "logaddexp": _logaddexp,
    "and": lambda x, y: of(x) & y,
    "or": lambda x, y: of(x) | y,
    "xor": lambda x, y: of(x) ^ y,
    "bitwise_and": lambda x, y: of(x) & y,
    "bitwise_or": lambda x, y: of(x) | y,
    "bitwise_xor": lambda x, y: of(x) ^ y,
    "logical_and": _logical("and"),
    "logical_or": _logical("or"),
    "logical_xor": lambda x, y: of(x).truth() ^ of(y).truth(),
}
_SIGNS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_WORDS = {"not_equal": "ne", "less": "lt", "less_equal": "le", "greater": "gt", "greater_equal": "ge"}
COMPARISONS = {name: _compared(op) for name, op in _SIGNS.items()}

FOUND: dict[str, Operation] = {
    **ELEMENTWISE,
    **{name: ELEMENTWISE[own] for name, own in ALIASES.items()},
    **BINARY,
    **COMPARISONS,
    **{name: COMPARISONS[own] for name, own in _WORDS.items()},
    "detach": _stopped,
    "neg": lambda x: -of(x),
    "negative": lambda x: -of(x),
    "positive": of,
    "pos": of,
    "clone": lambda x, **_: of(x),
    "contiguous": lambda x, **_: of(x),
    "alias": of,
    "square": lambda x: of(x) * x,
    "reciprocal": lambda x: of(1.0) / x,
    "tan": lambda x: ELEMENTWISE["sin"](x) / ELEMENTWISE["cos"](x),
    "sinh": lambda x: (ELEMENTWISE["exp"](x) - ELEMENTWISE["exp"](-of(x))) / 2,
    "cosh": lambda x: (ELEMENTWISE["exp"](x) + ELEMENTWISE["exp"](-of(x))) / 2,
    "trunc": _trunc,
    "fix": _trunc,
    "frac": lambda x: of(x) - _trunc(x),
    "logsigmoid": lambda x: -ELEMENTWISE["softplus"](-of(x)),
    "log_sigmoid": lambda x: -ELEMENTWISE["softplus"](-of(x)),
    "leaky_relu": lambda x, negative_slope=0.01: of(x).chosen(of(x) > 0, of(x) * negative_slope),
    "elu": lambda x, alpha=1.0: of(x).chosen(of(x) > 0, ELEMENTWISE["expm1"](x) * alpha),
    "relu6": lambda x: _clamp(x, 0, 6),
    "hardtanh": lambda x, min_val=-1.0, max_val=1.0: _clamp(x, min_val, max_val),
    "invert": lambda x: ~of(x),
    "bitwise_not": lambda x: ~of(x),
    "logical_not": lambda x: ~of(x).truth(),
    "clamp": _clamp,
    "clip": _clamp,
    "clamp_min": lambda x, min: _most(x, min),
    "clamp_max": lambda x, max: _least(x, max),
    "where": _where,
    "masked_fill": _masked,
    "zeros_like": _filled(0),
    "ones_like": _filled(1),
    "full_like": _full,
    "new_zeros": _shape("zeros"),
    "new_ones": _shape("ones"),
    "new_full": lambda x, size, fill_value, **_: of(fill_value),
    "new_tensor": lambda x, data, **_: of(data),
    "float": _real,
    "double": _real,
    "half": _real,
    "bfloat16": _real,
    "int": _integer,
    "long": _integer,
    "short": _integer,
    "bool": lambda x: of(x).truth(),
    "to": _cast,
    "type": _cast,
    "type_as": _cast,
}

METHODS: dict[str, Operation] = {
    **FOUND,
    "where": lambda x, test, other: of(x).chosen(of(test).truth(), other),
    "size": lambda x: torch.Size(()),
    "dim": lambda x: 0,
    "numel": lambda x: 1,
}
