"""What every cascade satisfies, and the named invariants that passes ask for and promise.

An invariant lists what it finds wrong, in words; nothing found means that it holds. A broken one is a
bug in attnc, never a mistake in a spec.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from attnc.ir.cascade import (
    Cascade,
    Coord,
    Default,
    Exists,
    Expr,
    Grad,
    Order,
    Part,
    Read,
    Reduce,
    Softmax,
    Tensor,
    Where,
)
from attnc.ir.cascade import Map as Operation
from attnc.ir.indices import free_indices
from attnc.ir.node import Node
from attnc.ir.operators import OPERATORS, ORDERINGS, REDUCTIONS, SUGARED_REDUCTIONS
from attnc.ir.types import type_of, types_of
from attnc.ir.walk import children, walk

Invariant = Callable[[Cascade], Iterator[str]]


class InvariantError(Exception):
    """A pass was given, or has made, a cascade that breaks an invariant: a bug in attnc."""


def verify(cascade: Cascade, invariants: Iterable[Invariant]) -> None:
    """Every invariant holds; if not, `InvariantError` names those that do not and where."""
    broken = [f"{invariant.__name__}: {fault}" for invariant in invariants for fault in invariant(cascade)]
    if broken:
        raise InvariantError("\n".join(broken))


def resolved(cascade: Cascade) -> Iterator[str]:
    """Every name means one thing, every read fits its tensor, every index is in scope and has a range."""
    yield from _names(cascade)
    for tensor in cascade.tensors:
        for part in tensor.parts:
            yield from (f"{tensor.name}: {fault}" for fault in _part(cascade, tensor, part))
    for carry in cascade.carries:
        source = cascade.input(carry.name)
        if source is None:
            yield f"carry {carry.name}: no such input"
        else:
            yield from (f"carry {carry.name}: {fault}" for fault in _scoped(cascade, carry.value, source.indices))


def ordered(cascade: Cascade) -> Iterator[str]:
    """Every tensor is evaluated once, after what it reads, or together with it in one recurrence."""
    done = {item.name for item in cascade.inputs}
    seen: list[str] = []
    for step in cascade.steps:
        seen += step.tensors
        together = set(step.tensors) if step.axes else set[str]()
        for name in step.tensors:
            tensor = cascade.tensor(name)
            needed = {node.tensor for node in walk(tensor) if isinstance(node, Read)} if tensor else set()
            yield from (f"{name} reads {other} before it is evaluated" for other in sorted(needed - done - together))
            done.add(name)
    if sorted(seen) != sorted(tensor.name for tensor in cascade.tensors):
        yield f"the steps evaluate {sorted(seen)}"


def stated(cascade: Cascade) -> Iterator[str]:
    """Existence is implicit: no statement and no reduction carries conditions."""
    for tensor in cascade.tensors:
        for node in walk(tensor):
            if isinstance(node, Part | Reduce | Order) and node.when:
                yield f"{tensor.name}: conditions beside a {type(node).__name__}"


def explicit(cascade: Cascade) -> Iterator[str]:
    """Existence is boolean algebra; reductions are primitive and, but for recurrences, statements."""
    kinds = types_of(cascade)
    recurrent = {name for step in cascade.steps if step.axes for name in step.tensors}
    for tensor in cascade.tensors:
        for node in walk(tensor):
            yield from (f"{tensor.name}: {fault}" for fault in _sugar(node))
            for test in node.when if isinstance(node, Part | Reduce | Order) else ():
                if type_of(test, kinds.__getitem__) != "bool":
                    yield f"{tensor.name}: a condition that is not boolean"
        if tensor.name not in recurrent:
            yield from (f"{tensor.name}: a {name} inside a statement" for name in _nested(tensor))


def _sugar(node: Node) -> Iterator[str]:
    match node:
        case Where() | Default() | Exists() | Softmax():
            yield f"{type(node).__name__} is not explicit"
        case Reduce(op) if op not in REDUCTIONS:
            yield f"{op} is not primitive"


def _nested(tensor: Tensor) -> Iterator[str]:
    for part in tensor.parts:
        roots = (
            (*children(part.value), *part.when) if isinstance(part.value, Reduce | Order) else (part.value, *part.when)
        )
        for root in roots:
            yield from _reductions(root)


def _reductions(node: Node) -> Iterator[str]:
    """The reductions at and below a node; what a derivative differentiates stays in one piece."""
    if isinstance(node, Reduce | Order):
        yield node.op
    if not isinstance(node, Grad):
        for child in children(node):
            yield from _reductions(child)


def _names(cascade: Cascade) -> Iterator[str]:
    names = [item.name for item in cascade.inputs] + [item.name for item in cascade.tensors]
    indices = [item.index for item in cascade.ranges]
    for name in sorted({name for name in names + indices if (names + indices).count(name) > 1}):
        yield f"{name} is defined twice"
    yield from (f"the output {name} is not defined" for name in cascade.outputs if name not in names)
    for source in cascade.inputs:
        yield from (f"{source.name}: {index} has no range" for index in source.indices if index not in indices)


def _part(cascade: Cascade, tensor: Tensor, part: Part) -> Iterator[str]:
    if part.tensor != tensor.name or len(part.left) != len(tensor.axes):
        yield f"a part of {part.tensor} with {len(part.left)} subscripts for {len(tensor.axes)} axes"
    mentioned = [node.index for sub in part.left for node in walk(sub) if isinstance(node, Coord)]
    if sorted(mentioned) != sorted(part.indices):
        yield f"the left side mentions {mentioned}, not each of {part.indices} once"
    for root in (part.value, *part.when):
        yield from _scoped(cascade, root, part.indices)


def _scoped(cascade: Cascade, root: Expr, indices: tuple[str, ...]) -> Iterator[str]:
    ranges = {item.index for item in cascade.ranges}
    loose = free_indices(root) - set(indices)
    if loose:
        yield f"{sorted(loose)} not in scope"
    for node in walk(root):
        match node:
            case Read():
                yield from _read(cascade, node)
            case Operation(op, args):
                low, high = OPERATORS[op].arity if op in OPERATORS else (1, 0)
                if len(args) < low or (high is not None and len(args) > high):
                    yield f"{op} of {len(args)} arguments"
            case Reduce(op, over) if op not in (*REDUCTIONS, *SUGARED_REDUCTIONS) or not set(over) <= ranges:
                yield f"{op} over {over}"
            case Order(op, over, slots) if op not in (*ORDERINGS, "kth") or not {*over, *slots} <= ranges:
                yield f"{op} over {over}"


def _read(cascade: Cascade, node: Read) -> Iterator[str]:
    source, tensor = cascade.input(node.tensor), cascade.tensor(node.tensor)
    if source is None and tensor is None:
        yield f"{node.tensor} is not defined"
        return
    rank = len(source.indices) if source else len(tensor.axes) if tensor else 0
    if len(node.subs) != rank or any(axis >= rank for axis in node.tested):
        yield f"{node.tensor} has {rank} axes, read with {len(node.subs)} subscripts"
    if node.part is not None and (tensor is None or node.part >= len(tensor.parts)):
        yield f"{node.tensor} has no part {node.part}"
