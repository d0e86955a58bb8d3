"""Autocast regions: what they cast, and arithmetic that they leave alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

from attnc.runtime.convert import REALS, SERVED

P = ParamSpec("P")
R = TypeVar("R")


def autocast() -> bool:
    """Whether this is a region that casts."""
    return torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda")


def lowered(value: object) -> object:
    """A real tensor in the type of the autocast region that it is used in; float64 and all else as it came."""
    if not isinstance(value, torch.Tensor) or value.dtype not in REALS or value.dtype == torch.float64:
        return value
    kind = value.device.type
    return value.to(torch.get_autocast_dtype(kind)) if kind in SERVED and torch.is_autocast_enabled(kind) else value


def exact(function: Callable[P, R]) -> Callable[P, R]:
    """The function outside of every autocast region: statements are evaluated in the type that is asked for."""

    @wraps(function)
    def own(*args: P.args, **named: P.kwargs) -> R:
        if not autocast():
            return function(*args, **named)
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            return function(*args, **named)

    return own
