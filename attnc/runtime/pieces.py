"""A program's inputs cut along the indices that it treats one by one, so that the definition fits in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

import torch

from attnc.ir.cascade import Cascade, Const, Coord, Grad, Order, Read, Reduce, Size, Softmax
from attnc.ir.node import Node
from attnc.ir.sizes import whole
from attnc.ir.walk import children, walk

LARGE = 2**24
"""Elements of the largest tensor from which on a program is evaluated piece by piece."""

Piece = dict[str, int]


def pieces(cascade: Cascade, sizes: Mapping[str, int]) -> Iterator[Piece]:
    """The pieces of a program at these extents, as positions of indices; one empty piece if it is small."""
    indices, left = list[str](), dict(sizes)
    for index in independent(cascade):
        cut_here = {**left, index: min(1, left[index])}
        if LARGE < _largest(cascade, left) > _largest(cascade, cut_here):
            indices.append(index)
            left = cut_here
    for positions in product(*(range(sizes[index]) for index in indices)):
        yield dict(zip(indices, positions, strict=True))


def cut(tensor: torch.Tensor, axes: tuple[str, ...], piece: Mapping[str, int]) -> torch.Tensor:
    """The part of a tensor at the positions of a piece; its axes stay, with length 1."""
    for axis, index in enumerate(axes):
        if index in piece:
            tensor = tensor.narrow(axis, piece[index], 1)
    return tensor


def output_axes(cascade: Cascade, name: str) -> tuple[str, ...]:
    """The index that each axis of a tensor carries in all its parts; empty text where there is no such."""
    tensor, given = cascade.tensor(name), cascade.input(name)
    if tensor is None:
        return given.indices if given is not None else ()
    first, *others = (part.left for part in tensor.parts)
    same = [all(left[axis] == sub for left in others) for axis, sub in enumerate(first)]
    return tuple(sub.index if alike and isinstance(sub, Coord) else "" for sub, alike in zip(first, same, strict=True))


def independent(cascade: Cascade) -> tuple[str, ...]:
    """The indices of inputs along which nothing is shared, reduced, gathered or told by position."""
    indices = dict.fromkeys(index for item in cascade.inputs for index in item.indices)
    return tuple(index for index in indices if _is_independent(cascade, index))


def _is_independent(cascade: Cascade, index: str) -> bool:
    item = cascade.range(index)
    if (item.lo, item.hi) != (Const(0), Size(index)):
        return False
    if not all(index in output_axes(cascade, name) for name in cascade.outputs):
        return False
    others = (*(span for span in cascade.ranges if span is not item), *cascade.requires, *cascade.inputs)
    if any(node == Size(index) for other in others for node in walk(other)):
        return False
    return all(
        _plain(cascade, part.value, index)
        and all(sub == Coord(index) or not _mentions(sub, index) for sub in part.left)
        for tensor in cascade.tensors
        for part in tensor.parts
    )


def _plain(cascade: Cascade, node: Node, index: str) -> bool:
    """Whether an expression uses the index only to read tensors along an axis that is the index's own."""
    match node:
        case Coord() | Size():
            return node.index != index
        case Reduce(over=over) | Softmax(over=over) | Order(over=over) if index in over:
            return False
        case Grad():
            return not _mentions(node, index)
        case Read(tensor, subs):
            axes = output_axes(cascade, tensor)
            pairs = list(zip(subs, axes, strict=True))
            whole_axis = all((sub == Coord(index)) == (axis == index) for sub, axis in pairs)
            return whole_axis and all(sub == Coord(index) or _plain(cascade, sub, index) for sub, _ in pairs)
        case _:
            return all(_plain(cascade, child, index) for child in children(node))


def _mentions(node: Node, index: str) -> bool:
    return any(isinstance(item, Coord | Size) and item.index == index for item in walk(node))


def _largest(cascade: Cascade, sizes: Mapping[str, int]) -> int:
    most = 0
    for tensor in cascade.tensors:
        total = 1
        for lo, hi in tensor.axes:
            total *= max(0, whole(hi, sizes) - whole(lo, sizes))
        most = max(most, total)
    return most
