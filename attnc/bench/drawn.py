"""What the entries of the library are timed on: random inputs, of the size that each has in a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

import torch

from attnc.bench.entries import LENGTHS
from attnc.ir.cascade import Cascade, Coord, Input, Map, Read, Reduce, Size
from attnc.ir.indices import free_indices
from attnc.ir.node import Node
from attnc.ir.operators import COMPARISONS
from attnc.ir.walk import walk
from attnc.runtime.draw import draw

Sizes = Mapping[str, int]


def inputs(cascade: Cascade, shape: Sizes, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Inputs as `attnc run` draws them; weights are narrower, numbers that positions are compared with in the middle.

    A sum over a features with weights of variance 1 / a is as wide as what it sums. With wider ones scores reach
    hundreds: softmax is the largest score then, and where two are nearly alike their last bits decide.
    """
    middle = max((shape[index] for index in LENGTHS if index in shape), default=0) // 2
    given = {
        item.name: torch.full([shape[index] for index in item.indices], middle)
        for item in cascade.inputs
        if item.name in _bounds(cascade) and item.default is None
    }
    drawn = draw(cascade, shape, given, dtype, seed=0)
    return drawn | {name: drawn[name] * wide**-0.5 for name, wide in _weights(cascade, shape).items() if name in drawn}


def _weights(cascade: Cascade, shape: Sizes) -> dict[str, int]:
    """The inputs that no position has and that products sum over features; over how many."""
    alone = [item for item in cascade.inputs if item.type == "real" and _is_alone(item)]
    summed = {item.name: free for item in alone if (free := set(_summed(cascade, item)))}
    return {name: prod(max(1, shape.get(index, 1)) for index in free) for name, free in summed.items()}


def _is_alone(item: Input) -> bool:
    return len(item.indices) > 1 and {"b", *LENGTHS}.isdisjoint(item.indices)


def _summed(cascade: Cascade, item: Input) -> Iterator[str]:
    sums = (
        node for tensor in cascade.tensors for node in walk(tensor) if isinstance(node, Reduce) and node.op == "sum"
    )
    for node in sums:
        reads = (below for below in walk(node.body) if isinstance(below, Read) and below.tensor == item.name)
        yield from (index for read in reads for index in free_indices(read) & set(node.over))


def _bounds(cascade: Cascade) -> set[str]:
    """The integers with at most one axis that positions are compared with: lengths of sequences and of prompts."""
    few = {item.name for item in cascade.inputs if item.type == "int" and len(item.indices) < 2}
    tests = (node for tensor in cascade.tensors for node in walk(tensor) if isinstance(node, Map))
    pairs = (pair for test in tests if test.op in COMPARISONS for pair in (test.args, test.args[::-1]))
    sides = (side for side, other in pairs if _position(other, cascade))
    return few & {node.tensor for side in sides for node in walk(side) if isinstance(node, Read)}


def _position(expr: Node, cascade: Cascade) -> bool:
    walked = [cascade.range(node.index) for node in walk(expr) if isinstance(node, Coord)]
    return any(isinstance(node, Size) for item in walked for node in walk(item))
