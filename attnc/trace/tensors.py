"""Indices and tensors as Python values: subscripts read them, assignments to subscripts define them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from attnc.diagnostics import error
from attnc.ir import syntax as syn
from attnc.trace.kinds import Kind
from attnc.trace.names import several
from attnc.trace.places import here
from attnc.trace.recording import current
from attnc.trace.values import Value, literal

KINDS: dict[type, Kind] = {bool: "bool", int: "int", float: "real"}


class Index(Value):
    """A named index: a position where it stands in an expression."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        """Names the index."""
        super().__init__(syn.Name(name), "int")
        self.name = name

    @property
    def extent(self) -> Value:
        """How many positions it has."""
        return Value(syn.Apply(syn.Name("extent"), (self.node,), span=here()), "int", None, 1)

    def runs(self, start: object, stop: object | None = None) -> None:
        """Says where it runs, as `range` does: from 0 up to `start`, or from `start` up to `stop`."""
        name = syn.Name(self.name, span=here())
        first, last = (None, literal(start)) if stop is None else (literal(start), literal(stop))
        if first is None:
            test = syn.Compare(("<",), (name, last.node), span=here())
        else:
            test = syn.Compare(("<=", "<"), (first.node, name, last.node), span=here())
        item = syn.Range(test, span=here())
        current("the range of an index").statements.append(syn.Indices((item,), span=here()))


def index(names: str) -> Any:
    """The indices of these names: `b, h, m = attnc.index("b h m")`; one alone as itself."""
    found = tuple(Index(name) for name in several(names, "an index"))
    return found[0] if len(found) == 1 else found


class Variable(Value):
    """A tensor of the program: `T[b,m]` reads it, `T[b,m] = ..` defines it, `T` is what its definition says."""

    __slots__ = ("name",)

    def __init__(self, name: str, kind: Kind | None = None) -> None:
        """Names the tensor."""
        super().__init__(syn.Name(name), kind)
        self.name = name

    def __getitem__(self, subs: Any) -> Value:
        """The tensor at a position; `:` keeps an axis, in the argument of a call."""
        found = tuple(_sub(item) for item in _listed(subs))
        return Value(syn.At(self.node, found, span=here()), self.kind, None, 1 + _depth(subs))

    def __setitem__(self, subs: Any, value: object) -> None:
        """Defines the tensor, or a part of it, at all positions of the indices."""
        nodes = tuple(literal(item).node for item in _listed(subs))
        place = syn.Place(self.name, nodes, span=here())
        program = current("a definition")
        program.taken.add(self.name)
        if isinstance(value, Output):
            value.assigned(place, program.statements)
        else:
            program.statements.append(syn.Define((place,), literal(value).node, span=here()))


def tensor(names: str) -> Any:
    """Tensors of these names, to be defined: `S, A = attnc.tensor("S A")`; one alone as itself."""
    found = tuple(Variable(name) for name in several(names, "a tensor"))
    return found[0] if len(found) == 1 else found


@dataclass
class Output:
    """One output of a called attention; when all have their places, the statement is complete."""

    call: syn.Apply
    number: int
    places: list[syn.Place | None]

    def assigned(self, place: syn.Place, statements: list[syn.Statement]) -> None:
        """Gives it its place."""
        self.places[self.number] = place
        found = [item for item in self.places if item is not None]
        if len(found) == len(self.places):
            statements.append(syn.Define(tuple(found), self.call, span=self.call.span))


class Call(Value):
    """A call of an attention: a whole right side, with as many places on the left as it has outputs."""

    __slots__ = ("outputs",)

    def __init__(self, node: syn.Apply, outputs: int) -> None:
        """Keeps how many outputs there are."""
        super().__init__(node, "real")
        self.outputs = outputs

    def __iter__(self) -> Iterator[Output]:  # type: ignore[override]
        assert isinstance(self.node, syn.Apply)
        places: list[syn.Place | None] = [None] * self.outputs
        return iter([Output(self.node, number, places) for number in range(self.outputs)])


@dataclass(frozen=True)
class Axes:
    """What an annotation says of an input: its indices and its type."""

    indices: tuple[str, ...]
    kind: Kind | None


class Tensor:
    """The annotation of an input: `Tensor[b,h,m,e]`, `Tensor[b,n,int]`, `Tensor[()]` for a number."""

    def __class_getitem__(cls, items: Any) -> Axes:
        """The axes in brackets; a Python type last says what the elements are."""
        found = list(_listed(items))
        kind = KINDS[found.pop()] if found and isinstance(found[-1], type) and found[-1] in KINDS else None
        for item in found:
            if not isinstance(item, Index):
                helps = ('write `Tensor[b,h]` with `b, h = attnc.index("b h")`; a type stands last: `Tensor[b,int]`',)
                raise error("A670", f"the axis `{item!r}` of a tensor is no index", here(), "here", helps=helps)
        return Axes(tuple(item.name for item in found), kind)


def _listed(subs: Any) -> tuple[Any, ...]:
    return subs if isinstance(subs, tuple) else (subs,)


def _sub(item: object) -> syn.Expr | syn.All:
    return syn.All(span=here()) if isinstance(item, slice) and item == slice(None) else literal(item).node


def _depth(subs: Any) -> int:
    return max((item.depth for item in _listed(subs) if isinstance(item, Value)), default=0)
