"""Tensors that a callable captures: inputs of the program, read at the positions that it asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from attnc.diagnostics import AttnError, error
from attnc.flex.operations import computed
from attnc.flex.scalars import Scalar, unfit
from attnc.ir import syntax as syn
from attnc.runtime.convert import KINDS
from attnc.source import Span
from attnc.trace.names import is_name
from attnc.trace.places import here, user_frame
from attnc.trace.values import Kind

_POSITIONS = {"b": "B", "h": "H", "m": "M", "n": "N"}


@dataclass
class Captures:
    """The tensors read so far, by the names of their inputs, and what their axes must hold."""

    extents: Mapping[str, int]
    params: dict[str, syn.Param] = field(default_factory=dict)
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    requires: dict[syn.Expr, syn.Require] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    computed: bool = False
    _names: dict[int, str] = field(default_factory=dict)

    def named(self, tensor: torch.Tensor) -> str:
        """The input that a tensor is: the one it was before, or a new one called as the user calls it."""
        if id(tensor) not in self._names:
            name = self._free(_called(tensor))
            indices = tuple(f"{name}_{axis}" for axis in range(tensor.dim()))
            kind = kind_of(tensor)
            self.params[name] = syn.Param(name, indices, None if kind == "real" else kind, span=here())
            self.tensors[name] = tensor
            self._names[id(tensor)] = name
        return self._names[id(tensor)]

    def _free(self, wanted: str) -> str:
        number, name = 1, wanted
        while name.upper() in self.taken:
            number, name = number + 1, f"{wanted}{number + 1}"
        self.taken.add(name.upper())
        return name

    def read(self, tensor: torch.Tensor, subs: tuple[Scalar, ...]) -> Scalar:
        """An element of a tensor."""
        name, span = self.named(tensor), here()
        nodes = tuple(self._position(name, axis, sub, tensor, span) for axis, sub in enumerate(subs))
        depth = 1 + max((sub.depth for sub in subs), default=0)
        return Scalar(syn.At(syn.Name(name, span=span), nodes, span=span), kind_of(tensor), None, depth + 2)

    def _position(self, name: str, axis: int, sub: Scalar, tensor: torch.Tensor, span: Span) -> syn.Expr:
        """A subscript; a plain position must fit, another counts from the end where it is negative, as PyTorch does."""
        extent = syn.Apply(syn.Name("extent"), (syn.Name(f"{name}_{axis}"),), span=span)
        if isinstance(sub.node, syn.Name) and sub.node.name in _POSITIONS:
            length = self.extents[sub.node.name]
            if length > tensor.shape[axis]:
                raise _short(name, axis, tensor.shape[axis], sub.node.name, length)
            test = syn.Compare(("<=",), (syn.Name(_POSITIONS[sub.node.name]), extent), span=span)
            self.requires[test] = syn.Require(test, span=span)
            return sub.node
        if not_negative(sub.node):
            return sub.node
        test = syn.Compare((">=",), (sub.node, syn.Number(0)), span=span)
        return syn.Choose(sub.node, test, syn.Binary("+", sub.node, extent, span=span), span=span)


def _short(name: str, axis: int, extent: int, index: str, length: int) -> AttnError:
    words = {"b": "batches", "h": "heads", "m": "queries", "n": "keys"}
    what = f"`{name}` has {extent} positions on axis {axis}, but is read at each of {length} {words[index]}"
    return error("A679", what, here(), "read here", helps=("capture a tensor that is long enough",))


CAPTURES: ContextVar[Captures | None] = ContextVar("CAPTURES", default=None)


def not_negative(node: syn.Expr) -> bool:
    """Whether an integer expression is shown not to be negative by how it is written."""
    match node:
        case syn.Name(name):
            return name in _POSITIONS
        case syn.Number():
            return True
        case syn.Binary("+" | "*" | "//", a, b):
            return not_negative(a) and not_negative(b)
        case syn.Binary("%", _, b):
            return not_negative(b)
        case syn.Apply(syn.Name("max"), args):
            return any(map(not_negative, args))
        case syn.Apply(syn.Name("min"), args):
            return all(map(not_negative, args))
        case syn.Choose(then, _, other):
            return not_negative(then) and not_negative(other)
        case syn.Apply(syn.Name("abs")):
            return True
        case _:
            return False


def kind_of(tensor: torch.Tensor) -> Kind:
    """The type of a captured tensor's elements."""
    for kind, dtypes in KINDS.items():
        if tensor.dtype in dtypes:
            return kind
    raise unfit(f"a captured tensor is {tensor.dtype}", "capture real, integer or boolean tensors")


def _called(tensor: torch.Tensor) -> str:
    """What the user's function calls a tensor, else `t`."""
    frame = user_frame()
    if frame is not None:
        own = {name: frame.f_globals.get(name) for name in frame.f_code.co_names}
        for name, value in (*frame.f_locals.items(), *own.items()):
            if value is tensor and is_name(name):
                return name
    return "t"


def element(tensor: torch.Tensor) -> Scalar:
    """A tensor of one element in an expression."""
    captures = CAPTURES.get()
    if tensor.dim() or captures is None:
        what = f"a whole tensor of shape {tuple(tensor.shape)} meets one score"
        raise unfit(what, "read the element that is meant: `bias[h]`, `bias[q_idx, kv_idx]`")
    return captures.read(tensor, ())


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
    __lt__ = __le__ = __gt__ = __ge__ = __and__ = __or__ = __neg__ = __bool__ = __matmul__ = _refuse


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


def _subscripted(tensor: torch.Tensor, indices: Any) -> Scalar | Rows:
    """A captured tensor at positions: numbers and slices are taken at once, the rest is read by the program."""
    items = _whole(indices, tensor.dim())
    if any(isinstance(item, torch.Tensor) for item in items):
        items = [Scalar.of(item) if isinstance(item, torch.Tensor) else item for item in items]
    plain = tuple(slice(None) if isinstance(item, Scalar) else item for item in items)
    if any(not isinstance(item, slice) or item != slice(None) for item in plain):
        _computing()
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
            return _subscripted(args[0], args[1])
        for item in (*args, *named.values()):
            if isinstance(item, Scalar):
                return computed(func, args, named)
            if isinstance(item, Rows):
                raise item.unread()
        _computing()
        return func(*args, **named)


def _computing() -> None:
    """Notes that PyTorch computes something of its own, which the next call has to do anew."""
    captures = CAPTURES.get()
    if captures is not None:
        captures.computed = True


def _has_scalars(indices: Any) -> bool:
    items = indices if isinstance(indices, tuple) else (indices,)
    return any(isinstance(item, Scalar) for item in items)
