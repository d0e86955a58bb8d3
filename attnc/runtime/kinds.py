"""What a call, or a run of a program's stages, depends on besides the values of its tensors."""

from __future__ import annotations

import os
from collections.abc import Collection, Hashable, Iterable, Mapping

import torch
from torch.autograd import forward_ad

from attnc.runtime.convert import SERVED
from attnc.runtime.precision import autocast
from attnc.runtime.threads import threads

SETTINGS = ("ATTNC_CPU_ISA", "ATTNC_SCHEDULE", "ATTNC_SPANS", "ATTNC_STRICT", "ATTNC_TUNE")
# The dictionary below: `os.environ` raises and catches an error for each name that is not set, before each call.
_ENVIRONMENT: Mapping[object, Hashable] = os.environ._data  # type: ignore[attr-defined]
_KEYS = tuple(map(os.environ.encodekey, SETTINGS))
PLAIN = (torch.Tensor, torch.nn.Parameter)
VALUES = (bool, int, float, str, type(None))


def kind_of(args: tuple[object, ...], named: Mapping[str, object]) -> Hashable | None:
    """What a plain call depends on besides the values of its tensors; None for any other call.

    It is asked for before each call, when little of it is in the processor's caches: hence the dispatch keys, which
    tell all at once that a tensor's values are not simply what lies in memory.
    """
    if autocast() or torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0:
        return None
    about: list[Hashable] = [*named, *_settings()]
    differentiated, tensors = torch.is_grad_enabled(), set[int]()
    for value in (*args, *named.values()):
        kind = type(value)
        if kind in PLAIN:
            assert isinstance(value, torch.Tensor)
            keys = torch._C._dispatch_keys(value).raw_repr()
            if not _is_plain(value, keys) or (differentiated and value.requires_grad) or id(value) in tensors:
                return None
            tensors.add(id(value))
            about += keys, value.get_device(), value.dtype, value.shape, value.stride()
        elif kind in VALUES:
            about.append((kind, repr(value)))  # 1, 1.0 and True are equal, so are 0.0 and -0.0
        else:
            return None
    return tuple(about)


def kind_of_run(
    tensors: Mapping[str, torch.Tensor],
    sizes: Mapping[str, int],
    place: Hashable,
    held: Iterable[str],
    types: Mapping[str, torch.dtype],
) -> Hashable | None:
    """What a run of a program's stages depends on besides the values of its tensors; None if one is given twice."""
    if _repeated(tensors.values()):
        return None
    layouts = tuple(map(_layout, tensors.values()))
    return (place, tuple(tensors), layouts, *sizes.items(), *held, *types.items(), *_settings())


def _settings() -> tuple[Hashable, ...]:
    return threads(), *map(_ENVIRONMENT.get, _KEYS)


def _layout(tensor: torch.Tensor) -> Hashable:
    return tensor.device, tensor.dtype, tensor.shape, tensor.stride()


def _repeated(tensors: Collection[torch.Tensor]) -> bool:
    """Whether a tensor has several places: those that come later may have one each."""
    return len({*map(id, tensors)}) < len(tensors)


def tensors_of(args: tuple[object, ...], named: Mapping[str, object]) -> list[torch.Tensor]:
    """The tensors among the arguments, in order."""
    return [value for value in (*args, *named.values()) if isinstance(value, torch.Tensor)]


_PLAIN_KEYS: dict[int, bool] = {}


def _is_plain(tensor: torch.Tensor, keys: int) -> bool:
    """Whether the tensor's values are what lies in memory at its strides, as its dispatch keys tell."""
    if keys not in _PLAIN_KEYS:
        dense = tensor.device.type in SERVED and tensor.layout is torch.strided and not tensor.is_nested
        _PLAIN_KEYS[keys] = dense and not tensor.is_neg() and not tensor._is_zerotensor()
    return _PLAIN_KEYS[keys]
