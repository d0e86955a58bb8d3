"""Rules remembered by all that their callables read, so that what is the same is not traced again.

A callable is known by its code and by the values of its cells, defaults and globals: numbers by value, tensors by type,
rank and which of them are one and the same. One that reads anything else, an attribute of an object say, or that
computes with tensors on the way, is traced at every call: a change is never missed.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import torch

from attnc.flex.rules import Call, Rule, Rules, rules_of

Tensors = dict[str, torch.Tensor]

_KNOWN: dict[Hashable, tuple[Rules, dict[str, int]]] = {}
_MOST = 1024  # numbers that change at every call would fill the memory
_PLAIN = frozenset({type(None), bool, int, float, str, torch.dtype})
_PURE = (None, "builtins", "math")


class _UnknownError(Exception):
    """Something whose changes cannot be seen."""


@dataclass
class _Seen:
    """What was met on the way: tensors and functions in order, and how far the call's positions go."""

    lengths: tuple[int, ...]
    tensors: list[torch.Tensor] = field(default_factory=list)
    functions: list[Any] = field(default_factory=list)

    def tensor(self, value: torch.Tensor) -> Hashable:
        """Which one it is, its type, and which of its axes are as long as a position goes."""
        place = next((i for i, item in enumerate(self.tensors) if item is value), len(self.tensors))
        if place == len(self.tensors):
            self.tensors.append(value)
        alike = [extent == length for extent in value.shape for length in self.lengths]
        return place, value.dtype, value.dim(), *alike


def recalled(score_mod: Rule | None, masks: Iterable[Rule], call: Call) -> tuple[Rules, Tensors]:
    """The rules of these callables, and the tensors that they read by input name."""
    masks, seen = tuple(masks), _Seen(tuple(call.extents.values()))
    try:
        key: Hashable = (call.device, call.real, _known_by((score_mod, masks), seen))
    except _UnknownError:
        key = None
    if key in _KNOWN:
        rules, places = _KNOWN[key]
        return rules, {name: seen.tensors[place] for name, place in places.items()}
    traced = rules_of(score_mod, masks, call)
    if key is not None and not traced.computed:
        _remember(key, traced.rules, traced.tensors, seen.tensors)
    return traced.rules, traced.tensors


def _remember(key: Hashable, rules: Rules, tensors: Tensors, found: list[torch.Tensor]) -> None:
    """Keeps the rules if every tensor they read is one that the key saw."""
    places = {
        name: place
        for name, tensor in tensors.items()
        for place in (next((i for i, item in enumerate(found) if item is tensor), None),)
        if place is not None
    }
    if len(places) == len(tensors):
        if len(_KNOWN) >= _MOST:
            _KNOWN.clear()
        _KNOWN[key] = rules, places


def _known_by(value: Any, seen: _Seen) -> Hashable:
    """All that a value says."""
    kind = type(value)
    if kind in _PLAIN:
        return kind, value
    if kind is FunctionType:
        return _function(value, seen)
    if kind is tuple or kind is list:
        return kind, *[_known_by(item, seen) for item in value]
    if kind is dict:
        return kind, *[(key, _known_by(item, seen)) for key, item in value.items()]
    if kind is ModuleType and (value is math or _of_torch(value.__name__)):
        return kind, value
    if kind is BuiltinFunctionType and (value.__module__ in _PURE or _of_torch(value.__module__)):
        return kind, value
    if kind is partial:
        return kind, _known_by((value.func, value.args, value.keywords), seen)
    if isinstance(value, torch.Tensor):
        return seen.tensor(value)
    raise _UnknownError


def _of_torch(name: str | None) -> bool:
    return name is not None and name.partition(".")[0] == "torch"


def _function(function: FunctionType, seen: _Seen) -> Hashable:
    for number, other in enumerate(seen.functions):
        if function is other:
            return "one of those around", number
    seen.functions.append(function)
    code, scope = function.__code__, function.__globals__
    held = list(function.__defaults__ or ())
    if function.__kwdefaults__:
        held.append(function.__kwdefaults__)
    if not _of_torch(function.__module__):
        held += [scope[name] for name in _global_names(code) if name in scope]
    try:
        held += [cell.cell_contents for cell in function.__closure__ or ()]
    except ValueError:  # a cell that is still empty
        raise _UnknownError from None
    return code, *[_known_by(item, seen) for item in held]


@lru_cache(maxsize=1024)
def _global_names(code: CodeType) -> tuple[str, ...]:
    """The names that a function may look up in its module; attributes are among them, which does no harm."""
    inner = (name for item in code.co_consts if isinstance(item, CodeType) for name in _global_names(item))
    return tuple(dict.fromkeys((*code.co_names, *inner)))
