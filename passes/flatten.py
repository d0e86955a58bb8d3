"""Reductions over several lengths, walked as one index."""

from __future__ import annotations

from dataclasses import replace

from attnc.ir.cascade import Cascade, Const, Coord, Expr, Map, Range, Reduce, Tensor
from attnc.ir.indices import at
from attnc.passes.families import Shapes
from attnc.passes.stages import roles
from attnc.passes.sums import normal


def flatten(cascade: Cascade) -> Cascade:
    """The cascade with reductions over several lengths walking them as one, where that makes them streams.

    Before   O[u,w] = sum[y,x](A[u,w,y,x] * V[y,x])
    After    O[u,w] = sum[y_x](A[u,w,y_x // X,y_x % X] * V[y_x // X,y_x % X]), y_x < Y * X
    Holds    because the points are the same, and in the same order.
    """
    shapes = Shapes(cascade)
    ranges: dict[str, Range] = {}
    tensors = tuple(_flattened(shapes, tensor, ranges) for tensor in cascade.tensors)
    if not ranges:
        return cascade
    whole = replace(cascade, tensors=tensors, ranges=(*cascade.ranges, *ranges.values()))
    streamed = roles(Shapes(whole))
    kept = tuple(new if new.name in streamed else old for new, old in zip(tensors, cascade.tensors, strict=True))
    return cascade if kept == cascade.tensors else replace(whole, tensors=kept)


def _flattened(shapes: Shapes, tensor: Tensor, ranges: dict[str, Range]) -> Tensor:
    part, *others = tensor.parts
    reduce = part.value
    if others or not isinstance(reduce, Reduce) or reduce.op in ("argmax", "argmin"):
        return tensor
    together = [shapes.cascade.range(index) for index in reduce.over if index in shapes.lengths]
    if len(together) < 2:
        return tensor
    names = tuple(item.index for item in together)
    one = Range(_fresh("_".join(names), shapes), Const(0), _points(together), names, span=reduce.span)
    ranges[one.index] = one
    values = _positions(one, together)
    rest = tuple(index for index in reduce.over if index not in values)
    body, when = at(reduce.body, values), tuple(at(test, values) for test in reduce.when)
    walked = replace(reduce, over=(*rest, one.index), body=body, when=when)
    return replace(tensor, parts=(replace(part, value=walked),))


def _fresh(name: str, shapes: Shapes) -> str:
    """The name, or one with more underscores where the spec has an index of that name."""
    taken = {item.index for item in shapes.cascade.ranges}
    while name in taken:
        name += "_"
    return name


def _positions(one: Range, together: list[Range]) -> dict[str, Expr]:
    """Where a point of the one index lies along each of the others, row-major."""
    found: dict[str, Expr] = {}
    for place, item in enumerate(together):
        behind = _points(together[place + 1 :])
        step: Expr = Coord(one.index) if behind == Const(1) else Map("floordiv", (Coord(one.index), behind))
        offset = step if place == 0 else Map("mod", (step, _extent(item)))
        found[item.index] = offset if item.lo == Const(0) else Map("add", (offset, item.lo))
    return found


def _extent(item: Range) -> Expr:
    return normal(item.hi if item.lo == Const(0) else Map("sub", (item.hi, item.lo)))


def _points(items: list[Range]) -> Expr:
    total: Expr = Const(1)
    for item in items:
        total = normal(Map("mul", (total, _extent(item))))
    return total
