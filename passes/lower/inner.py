"""Loops over an inner index, point by point or in chunks: values would carry three axes, or too many lanes."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast
from zlib import crc32

from attnc.ir import kernel as k
from attnc.ir.cascade import Expr, Read, Reduce, Var
from attnc.ir.indices import free_indices
from attnc.ir.node import Node
from attnc.ir.walk import top_down, walk
from attnc.passes.lower.lanes import identity
from attnc.passes.lower.products import Product, axes_of
from attnc.passes.lower.values import Values

INNER = "inner."  # names of reductions completed before a loop over their index
CHUNK = 128  # inner lanes that one product takes at a time on a GPU,
MOST_LANES = 256  # where there are more than these


class NeedsPointsError(Exception):
    """A value of the segment would carry three axes: the segment is walked point by point instead of in tiles."""


def stepping(values: Values, over: tuple[str, ...], parts: tuple[Expr, ...]) -> str | None:
    """The inner index to walk so that values of three axes carry two; None where none carries more.

    Of several it is the one on which most reductions inside depend: a loop outside one that they do not depend on
    would only repeat them. Where a loop must repeat one, a GPU's stream is walked point by point instead: a row's
    inner values then lie side by side.
    """
    heavy = [axes for part in parts if len(axes := axes_of(values, part)) > 2]
    inside = [free_indices(node) for part in parts for node in walk(part) if isinstance(node, Reduce)]
    found = [index for index in over if index in values.frame.inner and values.scope.tiled(index)]
    carried = [index for index in found if any(index in axes for axes in heavy)]
    common = [index for index in carried if all(index in axes for axes in heavy)]
    step = max(common or carried, key=lambda index: sum(index in free for free in inside), default=None)
    on_gpu = values.frame.target.kind != "cpu"
    if step is not None and on_gpu and walks_tiles(values) and _repeats_reads(values, step, parts):
        raise NeedsPointsError
    return step


def _repeats_reads(values: Values, index: str, parts: tuple[Expr, ...]) -> bool:
    """Whether each turn of a loop over this index folds, over another, what is read at places of the other two axes.

    These places are the same every turn, and have to be computed again.
    """
    inside = (node for part in parts for node in walk(part) if isinstance(node, Reduce) and index not in node.over)
    read = (axes_of(values, leaf) - set(node.over) for node in inside for leaf in walk(node) if isinstance(leaf, Read))
    return any(index in axes and len(axes) > 2 for axes in read)


def completed(values: Values, index: str, parts: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """The parts with every reduction in them that binds the index itself computed beforehand."""

    def rule(node: Node) -> Node | None:
        if not isinstance(node, Reduce) or index not in node.over:
            return None
        name = f"{INNER}{crc32(repr(node).encode()):x}"
        values.bound[name] = values.of(node)
        return Var(name, span=node.span)

    return tuple(cast(Expr, top_down(part, rule)) for part in parts)


def chunk(values: Values, over: tuple[str, ...], product: Product) -> str | None:
    """An inner index too long for one product on a GPU."""
    if values.frame.target.kind == "cpu":
        return None
    for index in over:
        if index in values.frame.inner and values.scope.tiled(index) and not values.scope.level(index):
            carriers = [item for item in product.above if index in axes_of(values, item)]
            if len(carriers) > 1 and values.frame.extent(index) > MOST_LANES:
                return index
    return None


def walks_tiles(values: Values) -> bool:
    """Whether the stream is walked in tiles here."""
    return any(block.index in values.frame.streams and block.tiled for block in values.scope.blocks)


def looped(
    values: Values, op: str, index: str, step: int, lift: Callable[[], k.Value], parts: tuple[Expr, ...], source: Expr
) -> k.Value:
    """A loop over an inner index, by points or chunks, with a running tile."""
    scope = values.scope
    level = _level(values, parts, index)
    key = ("loop", op, index, parts, values.masks)
    names = {node.name for part in parts for node in walk(part) if isinstance(node, Var)}
    plain = all(name.startswith(INNER) for name in names)
    known = scope.recall(key, level) if plain else None
    if known is not None:
        return k.Use(known)
    axis = values.frame.axis(index)
    with scope.block(index, tiled=step > 1, level=level) as block:
        value = lift()
        kind = scope.type(value)
    state = scope.state(op, kind, identity(op, kind.dtype), level, block.body)
    update = k.Update(state, op, (), value)
    body = (*block.body, k.Fold((update,), span=source.span))
    cut = values.frame.extent(index) % step != 0
    scope.blocks[level].body.append(k.Loop(index, axis.lo, axis.hi, step, cut, body, "inner", span=source.span))
    if plain:
        scope.blocks[level].known[key] = state
    return k.Use(state)


def _level(values: Values, parts: tuple[Expr, ...], index: str) -> int:
    """The block in which a value over these expressions is complete."""
    free = {name for part in parts for name in free_indices(part)} - {index}
    levels = [values.scope.level(name) for name in free]
    names = {node.name for part in parts for node in walk(part) if isinstance(node, Var)}
    levels += [values.scope.depth(values.bound[name]) for name in names]
    if any(name in values.frame.streams for name in free):
        levels += [values.scope.depth(mask) for mask in values.masks]
    return max(levels, default=0)
