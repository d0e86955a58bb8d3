"""PyTorch's functions by name, and what a call of one on scalars gives."""

from __future__ import annotations

from typing import Any

import torch

from attnc.flex import formulas
from attnc.flex.formulas import Operation, of
from attnc.flex.scalars import Scalar, unfit, unknown


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


_USUAL = (("inplace", False), ("out", None), ("approximate", "none"), ("memory_format", torch.preserve_format))
"""Arguments that change nothing."""


def _served(operation: Operation, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    told = {key: value for key, value in kwargs.items() if isinstance(value, Scalar) or (key, value) not in _USUAL}
    try:
        return operation(*args, **told)
    except TypeError:
        if len(args) == 1 and name.rpartition(".")[2] in ("max", "min"):
            raise unknown(name) from None
        raise unfit(f"`{name}` is not served with these arguments", "only its elementwise form is") from None


def _called(func: Operation) -> str:
    home = "Tensor" if getattr(torch.Tensor, func.__name__, None) is func else "torch"
    return f"{home}.{func.__name__}"


BINARY: dict[str, Operation] = {
    "add": formulas.add,
    "sub": formulas.sub,
    "subtract": formulas.sub,
    "mul": lambda x, y: of(x) * y,
    "multiply": lambda x, y: of(x) * y,
    "div": formulas.div,
    "divide": formulas.div,
    "truediv": formulas.div,
    "true_divide": formulas.div,
    "floordiv": lambda x, y: of(x) // y,
    "floor_divide": lambda x, y: of(x) // y,
    "mod": lambda x, y: of(x) % y,
    "remainder": lambda x, y: of(x) % y,
    "fmod": formulas.fmod,
    "pow": lambda x, y: of(x) ** y,
    "float_power": lambda x, y: formulas.real(x) ** y,
    "minimum": formulas.least,
    "maximum": formulas.most,
    "min": formulas.least,
    "max": formulas.most,
    "fmin": formulas.least,
    "fmax": formulas.most,
    "logaddexp": formulas.logaddexp,
    "and": lambda x, y: of(x) & y,
    "or": lambda x, y: of(x) | y,
    "xor": lambda x, y: of(x) ^ y,
    "bitwise_and": lambda x, y: of(x) & y,
    "bitwise_or": lambda x, y: of(x) | y,
    "bitwise_xor": lambda x, y: of(x) ^ y,
    "logical_and": formulas.logical("and"),
    "logical_or": formulas.logical("or"),
    "logical_xor": lambda x, y: of(x).truth() ^ of(y).truth(),
}
_SIGNS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_WORDS = {"not_equal": "ne", "less": "lt", "less_equal": "le", "greater": "gt", "greater_equal": "ge"}
COMPARISONS = {name: formulas.compared(op) for name, op in _SIGNS.items()}

FOUND: dict[str, Operation] = {
    **formulas.ELEMENTWISE,
    **{name: formulas.ELEMENTWISE[own] for name, own in formulas.ALIASES.items()},
    **BINARY,
    **COMPARISONS,
    **{name: COMPARISONS[own] for name, own in _WORDS.items()},
    "detach": formulas.stopped,
    "neg": lambda x: -of(x),
    "negative": lambda x: -of(x),
    "positive": of,
    "pos": of,
    "clone": lambda x, **_: of(x),
    "contiguous": lambda x, **_: of(x),
    "alias": of,
    "square": lambda x: of(x) * x,
    "reciprocal": lambda x: of(1.0) / x,
    "tan": lambda x: formulas.ELEMENTWISE["sin"](x) / formulas.ELEMENTWISE["cos"](x),
    "sinh": lambda x: (formulas.ELEMENTWISE["exp"](x) - formulas.ELEMENTWISE["exp"](-of(x))) / 2,
    "cosh": lambda x: (formulas.ELEMENTWISE["exp"](x) + formulas.ELEMENTWISE["exp"](-of(x))) / 2,
    "trunc": formulas.trunc,
    "fix": formulas.trunc,
    "frac": lambda x: of(x) - formulas.trunc(x),
    "logsigmoid": lambda x: -formulas.ELEMENTWISE["softplus"](-of(x)),
    "log_sigmoid": lambda x: -formulas.ELEMENTWISE["softplus"](-of(x)),
    "leaky_relu": lambda x, negative_slope=0.01: of(x).chosen(of(x) > 0, of(x) * negative_slope),
    "elu": lambda x, alpha=1.0: of(x).chosen(of(x) > 0, formulas.ELEMENTWISE["expm1"](x) * alpha),
    "relu6": lambda x: formulas.clamp(x, 0, 6),
    "hardtanh": lambda x, min_val=-1.0, max_val=1.0: formulas.clamp(x, min_val, max_val),
    "invert": lambda x: ~of(x),
    "bitwise_not": lambda x: ~of(x),
    "logical_not": lambda x: ~of(x).truth(),
    "clamp": formulas.clamp,
    "clip": formulas.clamp,
    "clamp_min": lambda x, min: formulas.most(x, min),
    "clamp_max": lambda x, max: formulas.least(x, max),
    "where": formulas.where,
    "masked_fill": formulas.masked,
    "zeros_like": formulas.filled(0),
    "ones_like": formulas.filled(1),
    "full_like": formulas.full,
    "new_zeros": formulas.shape("zeros"),
    "new_ones": formulas.shape("ones"),
    "new_full": lambda x, size, fill_value, **_: of(fill_value),
    "new_tensor": lambda x, data, **_: of(data),
    "float": formulas.real,
    "double": formulas.real,
    "half": formulas.real,
    "bfloat16": formulas.real,
    "int": formulas.integer,
    "long": formulas.integer,
    "short": formulas.integer,
    "bool": lambda x: of(x).truth(),
    "to": formulas.cast,
    "type": formulas.cast,
    "type_as": formulas.cast,
}

METHODS: dict[str, Operation] = {
    **FOUND,
    "where": lambda x, test, other: of(x).chosen(of(test).truth(), other),
    "size": lambda x: torch.Size(()),
    "dim": lambda x: 0,
    "numel": lambda x: 1,
}
