"""A reduction over a streaming axis, cut into the segments of that axis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

from attnc.ir.cascade import Const, Coord, Expr, Map, Read, Reduce
from attnc.ir.indices import at
from attnc.ir.node import Node
from attnc.ir.stage import Segment
from attnc.ir.walk import bottom_up, walk
from attnc.passes.expand.facts import decided
from attnc.passes.families import Shapes
from attnc.passes.simplify import FALSE, TRUE, simplify


@dataclass(frozen=True)
class Piece:
    """One segment's share of a reduction: body and conditions at that segment's points."""

    segment: Segment
    body: Expr
    when: tuple[Expr, ...]


@dataclass(frozen=True)
class Streamed:
    """A tensor defined by a reduction over a streaming index, in pieces."""

    tensor: str
    op: str
    indices: tuple[str, ...]
    inner: tuple[str, ...]
    pieces: tuple[Piece, ...]
    source: Reduce


def streamed(shapes: Shapes, tensor: str, index: str) -> Streamed | None:
    """The reduction that defines a tensor in pieces; None where the axis' parts cannot be told apart."""
    part = shapes.tensors[tensor].parts[0]
    reduce = cast(Reduce, part.value)
    rest = tuple(item for item in reduce.over if item != index)
    pieces = cut(shapes, reduce, index)
    return None if pieces is None else Streamed(tensor, reduce.op, part.indices, rest, pieces, reduce)


def cut(shapes: Shapes, reduce: Reduce, index: str) -> tuple[Piece, ...] | None:
    """A reduction over an index as one piece per segment of its axis, without those where nothing is folded."""
    cuts = _cuts(shapes, reduce, index)
    if cuts is None:
        return None
    pieces = []
    for segment, value in cuts:
        body, when = _at_segment(shapes, reduce, index, segment, value)
        if when is not None:
            pieces.append(Piece(segment, body, when))
    return tuple(pieces)


def _cuts(shapes: Shapes, reduce: Reduce, index: str) -> list[tuple[Segment, Expr]] | None:
    """The segments of the axis that the index walks, with the position of a point in each."""
    item = shapes.cascade.range(index)
    found: list[tuple[Expr, ...]] = []
    for tensor, axis in shapes.union_axes:
        if _walks(shapes, reduce, index, tensor.name, axis):
            found.append(tuple(part.left[axis] for part in tensor.parts))
    if not found:
        return [(Segment(index, item.lo, item.hi, Coord(index)), Coord(index))]
    if len(set(found)) > 1:
        return None
    return [(_segment(shapes, left), left) for left in found[0]]


def _walks(shapes: Shapes, expr: Node, index: str, name: str, axis: int, seen: frozenset[str] = frozenset()) -> bool:
    for node in walk(expr):
        if not isinstance(node, Read):
            continue
        if node.tensor == name and node.part is None and node.subs[axis] == Coord(index):
            return True
        tensor = shapes.tensors.get(node.tensor)
        if tensor is None or node.tensor in seen or Coord(index) not in node.subs:
            continue
        own = tensor.parts[0].indices
        if index in own and _walks(shapes, tensor.parts[0].value, index, name, axis, seen | {node.tensor}):
            return True
    return False


def _segment(shapes: Shapes, left: Expr) -> Segment:
    indices = [node.index for node in walk(left) if isinstance(node, Coord)]
    if not indices:
        return Segment(None, left, Map("add", (left, Const(1))), left)
    item = shapes.cascade.range(indices[0])
    return Segment(item.index, item.lo, item.hi, left)


def _at_segment(
    shapes: Shapes, reduce: Reduce, index: str, segment: Segment, value: Expr
) -> tuple[Expr, tuple[Expr, ...] | None]:
    """Body and conditions at a segment's point; None for conditions that never hold."""
    kinds = {t.name: t.type for t in shapes.cascade.tensors} | {i.name: i.type for i in shapes.cascade.inputs}
    place = _own_part(shapes, value)
    body = place(at(reduce.body, {index: value}))
    tests = []
    for test in reduce.when:
        short = simplify(decided(place(at(test, {index: value})), shapes.cascade.range), kinds.__getitem__)
        if short == FALSE:
            return body, None
        tests += _conjuncts(short)
    return body, tuple(test for test in tests if test != TRUE)


def _conjuncts(test: Expr) -> list[Expr]:
    match test:
        case Map("and", args):
            return [item for arg in args for item in _conjuncts(arg)]
        case _:
            return [test]


def _own_part(shapes: Shapes, value: Expr) -> Callable[[Expr], Expr]:
    """Reads of a union axis at a part's own position become reads of that part."""

    def rule(node: Node) -> Node | None:
        if not isinstance(node, Read) or node.part is not None:
            return None
        for tensor, axis in shapes.union_axes:
            if tensor.name == node.tensor and node.subs[axis] == value:
                numbers = [k for k, part in enumerate(tensor.parts) if part.left[axis] == value]
                return replace(node, part=numbers[0]) if len(numbers) == 1 else None
        return None

    return lambda expr: cast(Expr, bottom_up(expr, rule))
