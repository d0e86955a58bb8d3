"""The monoid of values that are made tile by tile: one point, or one loop, and nothing that corrects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from attnc.ir.cascade import Choose, Const, Coord, Expr, Map, Reduce, Tensor, Var
from attnc.ir.indices import free_indices
from attnc.ir.stage import POINT, Accumulator, Finish, Lift, Monoid, Segment
from attnc.passes.direct import Direct
from attnc.passes.families import Shapes

PLAIN = {"real": "sum", "int": "sum", "bool": "any"}
ABSENT = {"real": 0.0, "int": -1, "bool": False}
IDENTITY = {"sum": (0, 0.0), "any": (False,), "all": (True,), "prod": (1, 1.0)}


def tiled(shapes: Shapes, role: Direct, emits: tuple[str, ...], stored: frozenset[str]) -> Monoid:
    """The monoid of a stage that makes these tensors from what is stored.

    Before   G[h,m,n] = sum[b](W[b,h,m,n] if n <= m else 0)
    After    segment b; G[m,n] = sum of W's definition where n <= m
    Holds    because adding the identity where a condition fails changes nothing, and absent points hold it.
    """
    made = [_made(shapes, role, shapes.tensors[name], stored) for name in emits]
    accumulators, finishes = (tuple(items) for items in zip(*made, strict=True))
    return Monoid((_segment(shapes, role),), (), accumulators, finishes)


def _segment(shapes: Shapes, role: Direct) -> Segment:
    if role.loop is None:
        return POINT
    item = shapes.cascade.range(role.loop)
    return Segment(role.loop, item.lo, item.hi, Coord(role.loop))


def _made(shapes: Shapes, role: Direct, tensor: Tensor, stored: frozenset[str]) -> tuple[Accumulator, Finish]:
    (part,) = tensor.parts
    when = tuple(shapes.open_all(test, stored) for test in part.when)
    op, body, tests = _lifted(shapes, role, tensor, stored)
    lift = Lift(0, body, tuple(dict.fromkeys((*when, *tests))), span=part.span)
    axes = tuple(index for index in (role.parallel, role.columns) if index is not None)
    axes += tuple(index for index in part.indices if index not in (*axes, *role.grid))
    shown = ABSENT[tensor.type] in IDENTITY.get(op, ())  # what is absent is stored as the identity anyway
    finish = Finish(tensor.name, part.left, part.indices, Var(tensor.name), () if shown else when, span=part.span)
    return Accumulator(tensor.name, op, axes, (lift,), span=part.span), finish


def _lifted(shapes: Shapes, role: Direct, tensor: Tensor, stored: frozenset[str]) -> tuple[str, Expr, tuple[Expr, ...]]:
    """The operation, what a point adds, and where it adds anything."""
    value = tensor.parts[0].value
    if role.loop is None:
        op = PLAIN[tensor.type]
        return op, *_unmasked(op, shapes.open_all(value, stored))
    reduce = cast(Reduce, value)
    body, tests = _unmasked(reduce.op, shapes.open_all(reduce.body, stored))
    tests = (*(shapes.open_all(test, stored) for test in reduce.when), *tests)
    rest = tuple(index for index in reduce.over if index != role.loop)
    inside = tuple(test for test in tests if free_indices(test) & set(rest))
    if rest:
        body = Reduce(reduce.op, rest, body, inside, span=reduce.span)
    return reduce.op, body, tuple(test for test in tests if test not in inside)


def _unmasked(op: str, body: Expr) -> tuple[Expr, tuple[Expr, ...]]:
    """The body without choices of the identity, and the conditions under which it is none."""
    match body:
        case Choose(test, then, Const(value)) if value in IDENTITY.get(op, ()):
            inner, tests = _unmasked(op, then)
            return inner, (*_conjuncts(test), *tests)
        case Choose(test, Const(value), other) if value in IDENTITY.get(op, ()):
            inner, tests = _unmasked(op, other)
            return inner, (Map("not", (test,)), *tests)
        case _:
            return body, ()


def _conjuncts(test: Expr) -> Iterator[Expr]:
    match test:
        case Map("and", args):
            for arg in args:
                yield from _conjuncts(arg)
        case _:
            yield test
