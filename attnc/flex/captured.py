"""Tensors that a callable captures: inputs of the program, read at the positions that it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch

from attnc.diagnostics import AttnError, error
from attnc.flex.scalars import Scalar, unfit
from attnc.ir import syntax as syn
from attnc.runtime.convert import KINDS
from attnc.source import Span
from attnc.trace.kinds import Kind
from attnc.trace.names import is_name
from attnc.trace.places import here, user_frame

_POSITIONS = {"b": "B", "h": "H", "m": "M", "n": "N"}


@dataclass
class Captures:
    """The tensors read so far, by the names of their inputs, and what their axes must hold."""

    extents: Mapping[str, int]
    device: torch.device
    real: torch.dtype
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)
    read_at: dict[tuple[str, int], dict[str, Span]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    computed: bool = False
    _names: dict[int, str] = field(default_factory=dict)

    @property
    def types(self) -> dict[str, torch.dtype]:
        """The types of scalars, by their kind."""
        return {"bool": torch.bool, "int": torch.int64, "real": self.real}

    def named(self, tensor: torch.Tensor) -> str:
        """The input that a tensor is: the one it was before, or a new one called as the user calls it."""
        if id(tensor) not in self._names:
            name = self._free(_called(tensor))
            self.tensors[name], self.spans[name] = tensor, here()
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
        plain = sub.node.name if isinstance(sub.node, syn.Name) and sub.node.name in _POSITIONS else ""
        self.read_at.setdefault((name, axis), {}).setdefault(plain, span)
        if plain and self.extents[plain] > tensor.shape[axis]:
            raise _short(name, axis, tensor.shape[axis], plain, self.extents[plain])
        if plain or not_negative(sub.node):
            return sub.node
        test = syn.Compare((">=",), (sub.node, syn.Number(0)), span=span)
        return syn.Choose(sub.node, test, syn.Binary("+", sub.node, _extent(name, axis), span=span), span=span)

    def declared(self) -> tuple[tuple[syn.Param, ...], tuple[syn.Require, ...]]:
        """The inputs, and how long their axes must be.

        An axis that is read at one position alone, and is as long, is that position's; another has an index of its own.
        """
        params, requires = [], []
        for name, tensor in self.tensors.items():
            indices: list[str] = []
            for axis, length in enumerate(tensor.shape):
                at = self.read_at[name, axis]
                own = next(iter(at)) if len(at) == 1 else ""
                shared = own != "" and own not in indices and self.extents[own] == length
                indices.append(own if shared else f"{name}_{axis}")
                requires += [] if shared else [_fits(index, name, axis, span) for index, span in at.items() if index]
            kind = kind_of(tensor)
            written = None if kind == "real" else kind
            params.append(syn.Param(name, tuple(indices), written, span=self.spans[name]))
        return tuple(params), tuple(requires)


def _extent(name: str, axis: int) -> syn.Expr:
    return syn.Apply(syn.Name("extent"), (syn.Name(f"{name}_{axis}"),))


def _fits(index: str, name: str, axis: int, span: Span) -> syn.Require:
    """An axis is at least as long as a position goes."""
    test = syn.Compare(("<=",), (syn.Name(_POSITIONS[index]), _extent(name, axis)), span=span)
    return syn.Require(test, span=span)


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


def computing() -> None:
    """Notes that PyTorch computes something of its own, which the next call has to do anew."""
    captures = CAPTURES.get()
    if captures is not None:
        captures.computed = True
