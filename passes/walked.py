"""Which inner indices a tile walks point by point, so that no value in it has three axes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from attnc.ir.cascade import Expr, Map, Reduce
from attnc.ir.indices import free_indices
from attnc.ir.node import Node
from attnc.ir.walk import children, walk


@dataclass(frozen=True)
class Walked:
    """The indices that loops inside a turn walk, and the reductions that are completed by such a loop."""

    indices: frozenset[str]
    folds: frozenset[Reduce]


def walked(exprs: Iterable[Expr], tiles: frozenset[str], inner: frozenset[str]) -> Walked:
    """What the lowering will walk of these expressions, of whose indices `tiles` are axes of values, some `inner`.

    Before   max[u](sum[e](Q[m,e] * K[j,u,e])): a value for m, j and u
    After    u is walked: each turn multiplies Q by the keys of one u
    """
    indices: set[str] = set()
    folds: set[Reduce] = set()
    left = [(expr, tiles) for expr in exprs]
    while left:
        expr, axes = left.pop()
        for node in _outermost(expr):
            over, parts = opened(node, axes)
            own = frozenset(_steps(over, parts, axes & inner, axes))
            indices |= own
            folds |= {node} if own else set()
            left += [(part, axes - own) for part in parts]
    return Walked(frozenset(indices), frozenset(folds))


def _outermost(expr: Node) -> Iterator[Reduce]:
    """The reductions that are inside no other."""
    if isinstance(expr, Reduce):
        yield expr
        return
    for child in children(expr):
        yield from _outermost(child)


def _steps(over: tuple[str, ...], parts: list[Expr], inner: frozenset[str], axes: frozenset[str]) -> Iterator[str]:
    """The indices of a reduction that loops take until none of its parts has three axes."""
    inside = [free_indices(item) for part in parts for item in walk(part) if isinstance(item, Reduce)]
    while True:
        heavy = [own for part in parts if len(own := free_indices(part) & axes) > 2]
        carried = [index for index in over if index in inner & axes and any(index in own for own in heavy)]
        common = [index for index in carried if all(index in own for own in heavy)]
        if not carried:
            return
        step = max(common or carried, key=lambda index: sum(index in free for free in inside))
        axes -= {step}
        yield step


def opened(node: Reduce, axes: frozenset[str]) -> tuple[tuple[str, ...], list[Expr]]:
    """The indices of a reduction and its parts: of a sum the factors and the conditions.

    A sum among the factors whose value would have three of the axes is taken together with it.
    """
    if node.op != "sum":
        return node.over, [node.body, *node.when]
    over, parts = multiplied(node.body, axes)
    return (*over, *node.over), [*parts, *node.when]


def multiplied(body: Expr, axes: frozenset[str]) -> tuple[tuple[str, ...], list[Expr]]:
    """The factors of a product, and the indices of the sums among them that are opened."""
    over, parts = tuple[str, ...](), list[Expr]()
    for item in factors(body):
        inside = isinstance(item, Reduce) and item.op == "sum" and len(free_indices(item) & axes) > 2
        indices, own = opened(item, axes) if inside and isinstance(item, Reduce) else ((), [item])
        over, parts = (*over, *indices), [*parts, *own]
    return over, parts


def factors(expr: Expr) -> Iterator[Expr]:
    """What a product multiplies or divides by."""
    match expr:
        case Map("mul" | "div" | "neg" | "real", args):
            for arg in args:
                yield from factors(arg)
        case _:
            yield expr
