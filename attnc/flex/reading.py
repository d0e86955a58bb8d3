"""Captured tensors in the callables' own code: what subscripts read, and what PyTorch's functions do meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from attnc.diagnostics import AttnError
from attnc.flex.captured import CAPTURES, computing
from attnc.flex.operations import computed
from attnc.flex.scalars import Scalar, unfit


class Rows:
    """A captured tensor read at some of its axes: the rest are still to be given."""

    def __init__(self, tensor: torch.Tensor, subs: tuple[Scalar | None, ...]) -> None:
        """Keeps what is given; None for an axis that is not."""
        self.tensor, self.subs = tensor, subs

    def __getitem__(self, indices: Any) -> Scalar | Rows:
        """The element, or what is still rows."""
        open_ = [axis for axis, sub in enumerate(self.subs) if sub is None]
        given = _whole(indices, len(open_))
        subs = list(self.subs)
        for axis, item in zip(open_, given, strict=False):
            if not (isinstance(item, slice) and item == slice(None)):
                subs[axis] = Scalar.of(item)
        return read(self.tensor, tuple(subs))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise self.unread()

    @classmethod
    def __torch_function__(cls, func: Any, types: object, args: Any = (), kwargs: Any = None) -> Any:
        """Nothing is computed of rows."""
        raise next(item for item in (*args, *(kwargs or {}).values()) if isinstance(item, Rows)).unread()

    def unread(self) -> AttnError:
        """The word on an axis without a position."""
        left = sum(sub is None for sub in self.subs)
        what = f"{left} of {len(self.subs)} axes of this tensor are not read at a position"
        return unfit(
            what, "give each axis one: `bias[h, q_idx, kv_idx]`; a sum over an axis belongs outside the callable"
        )

    def _refuse(self, *_: object) -> Any:
        raise self.unread()

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = __and__ = __rand__ = __or__ = __ror__ = _refuse
    __xor__ = __rxor__ = __neg__ = __invert__ = __abs__ = __bool__ = __iter__ = __len__ = __float__ = _refuse
    __hash__ = object.__hash__


def read(tensor: torch.Tensor, subs: tuple[Scalar | None, ...]) -> Scalar | Rows:
    """An element of a tensor, or what is still rows of it."""
    captures = CAPTURES.get()
    assert captures is not None, "tensors are read while a callable runs"
    for sub in subs:
        if sub is not None and sub.kind != "int":
            raise unfit(f"a position is an integer, but this is {sub.kind}", "round it: `.long()`, `//`")
    given = tuple(sub for sub in subs if sub is not None)
    return captures.read(tensor, given) if len(given) == len(subs) else Rows(tensor, subs)


def _whole(indices: Any, rank: int) -> list[Any]:
    """The subscripts of all axes, `...` written out."""
    items = list(indices) if isinstance(indices, tuple) else [indices]
    named = sum(item is not None and item is not Ellipsis for item in items)
    if named > rank:
        raise unfit(f"{named} subscripts are given for {rank} axes", "give one for each axis")
    rest = [slice(None)] * (rank - named)
    place = next((i for i, item in enumerate(items) if item is Ellipsis), len(items))
    return [*items[:place], *rest, *items[place + 1 :]]


def subscripted(tensor: torch.Tensor, indices: Any) -> Scalar | Rows:
    """A captured tensor at positions: numbers and slices are taken at once, the rest is read by the program."""
    items = _whole(indices, tensor.dim())
    if any(isinstance(item, torch.Tensor) for item in items):
        items = [Scalar.of(item) if isinstance(item, torch.Tensor) else item for item in items]
    plain = tuple(slice(None) if isinstance(item, Scalar) else item for item in items)
    if any(not isinstance(item, slice) or item != slice(None) for item in plain):
        computing()
        tensor = tensor[plain]
    kept = [item for item in items if not isinstance(item, int)]
    return read(tensor, tuple(item if isinstance(item, Scalar) else None for item in kept))


class Tracing(TorchFunctionMode):
    """What PyTorch's functions do while a callable runs: those of scalars are written down, others simply happen."""

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """The function's value."""
        named = kwargs or {}
        if func is torch.Tensor.__getitem__ and _has_scalars(args[1]):
            return subscripted(args[0], args[1])
        for item in (*args, *named.values()):
            if isinstance(item, Scalar):
                return computed(func, args, named)
            if isinstance(item, Rows):
                raise item.unread()
        computing()
        return func(*args, **named)


def _has_scalars(indices: Any) -> bool:
    items = indices if isinstance(indices, tuple) else (indices,)
    return any(isinstance(item, Scalar) for item in items)
