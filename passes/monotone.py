"""Maxima and minima of monotone functions of a score and a completed value: the function is applied afterwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from attnc.ir.cascade import Cascade, Choose, Const, Expr, Map, Part, Read, Reduce, Step, Tensor
from attnc.ir.indices import free_indices
from attnc.ir.operators import OPERATORS
from attnc.ir.walk import walk
from attnc.passes.defined import dependencies
from attnc.passes.derive.bounds import interval
from attnc.passes.families import Shapes

RISING = frozenset(("relu", "clamp", "max", "min", "real", "stop", "add"))
PROPER = frozenset(("neg", "real", "stop"))  # infinity, which is all that an empty row has, stays infinity


@dataclass(frozen=True)
class Peeled:
    """What a function is of: its core along the stream, how to apply it, whether it rises, whether inf stays inf."""

    core: Expr
    apply: Callable[[Expr], Expr]
    rises: bool
    proper: bool


def monotone(cascade: Cascade) -> Cascade:
    """The cascade with every extremum of a monotone function of a completed value taken of its core.

    Before   M[m] = max[n](exp(S[m,n] - R[m]) / D[m]), with R and D folded over n
    After    M_core[m] = max[n](S[m,n]); M[m] = exp(M_core[m] - R[m]) / D[m], -inf where nothing was folded
    Holds    because a function that never falls takes its largest value where its argument does; one that never
             rises, where its argument is smallest.
    """
    shapes, tensors, steps = Shapes(cascade), list[Tensor](), list[Step]()
    for step in cascade.steps:
        made = [] if step.axes else list(_parted(shapes, step.tensors[0]))
        tensors += made or [shapes.tensors[name] for name in step.tensors]
        steps += [Step((tensor.name,)) for tensor in made] or [step]
    return replace(cascade, tensors=tuple(tensors), steps=tuple(steps)) if steps != list(cascade.steps) else cascade


def _parted(shapes: Shapes, name: str) -> Iterator[Tensor]:
    """The core's extremum, whether there is one, and the tensor in terms of both; nothing where it stays."""
    tensor = shapes.tensors[name]
    part, *others = tensor.parts
    reduce = part.value
    if others or not isinstance(reduce, Reduce) or reduce.op not in ("max", "min") or len(reduce.over) != 1:
        return
    peeler = _Peeler(shapes, reduce.over[0])
    found = peeler.peeled(reduce.body) if peeler.waits(reduce.body) else None
    if found is None or found.core == reduce.body:
        return
    op = reduce.op if found.rises else {"max": "min", "min": "max"}[reduce.op]
    core = _named(shapes, tensor, "core", replace(reduce, op=op, body=found.core))
    yield core
    value = found.apply(Read(core.name, part.left, span=part.span))
    nothing = Const(-math.inf if reduce.op == "max" else math.inf)
    if not found.proper and not reduce.when:
        item = shapes.cascade.range(reduce.over[0])
        value = Choose(Map("lt", (item.lo, item.hi)), value, nothing, span=part.span)
    elif not found.proper:
        some = _named(shapes, tensor, "some", Reduce("any", reduce.over, Const(True), reduce.when, span=reduce.span))
        yield replace(some, type="bool")
        value = Choose(Read(some.name, part.left, span=part.span), value, nothing, span=part.span)
    yield replace(tensor, parts=(replace(part, value=value),))


def _named(shapes: Shapes, tensor: Tensor, word: str, value: Expr) -> Tensor:
    name = f"{tensor.name}_{word}"
    while name in shapes.tensors or shapes.cascade.input(name) is not None:
        name += "_"
    (part,) = tensor.parts
    own = Part(name, part.left, part.indices, value, part.when, span=part.span)
    return replace(tensor, name=name, parts=(own,))


@dataclass(frozen=True)
class _Peeler:
    """Takes functions apart along one stream."""

    shapes: Shapes
    stream: str

    def waits(self, expr: Expr) -> bool:
        """Whether a value needs a reduction over the stream."""
        names = {node.tensor for node in walk(expr) if isinstance(node, Read) and node.tensor in self.shapes.tensors}
        names |= {other for name in names for other in dependencies(self.shapes, name)}
        values = (part.value for name in names for part in self.shapes.tensors[name].parts)
        return any(isinstance(value, Reduce) and self.stream in value.over for value in values)

    def peeled(self, expr: Expr) -> Peeled | None:
        """The function that an expression is; None where it is none of one argument that varies along the stream."""
        if not self.waits(expr):
            return Peeled(expr, lambda core: core, True, True)
        match expr:
            case Read():
                value = self.shapes.opened(expr)
                return None if value is None else self.peeled(value)
            case Map(op, args):
                along = [place for place, arg in enumerate(args) if self.stream in free_indices(arg)]
                return self._mapped(op, args, along[0]) if len(along) == 1 else None
            case _:
                return None

    def _mapped(self, op: str, args: tuple[Expr, ...], place: int) -> Peeled | None:
        rises, inner = self._rises(op, args, place), self.peeled(args[place])
        if rises is None or inner is None:
            return None

        def apply(core: Expr) -> Expr:
            return Map(op, (*args[:place], inner.apply(core), *args[place + 1 :]), span=args[place].span)

        return Peeled(inner.core, apply, inner.rises == rises, inner.proper and op in PROPER)

    def _rises(self, op: str, args: tuple[Expr, ...], place: int) -> bool | None:
        """Whether an operation never falls in its argument (never rises: false); None where that is not plain."""
        if op in RISING or OPERATORS[op].increasing:
            return True if op != "clamp" or place == 0 else None
        if op == "neg":
            return False
        if op in ("sub", "shift"):
            return place == 0
        if op == "mul" or (op == "div" and place == 0):
            low, high = interval(self.shapes.open_all(args[1 - place], frozenset()))
            return True if low >= 0 else False if high <= 0 else None
        return None
