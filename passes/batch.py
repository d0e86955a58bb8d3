"""A program over a batch: some inputs gain an axis in front, and so does all that reads them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from attnc.ir.cascade import Cascade, Const, Coord, Expr, Input, Part, Range, Read, Size, Step, Tensor
from attnc.ir.dependence import read_names
from attnc.ir.node import Node
from attnc.ir.walk import bottom_up


def batch(cascade: Cascade, inputs: Iterable[str]) -> Cascade:
    """The same program for every element of a batch: the last range is the batch's index.

    Before   O[m] = sum[n](A[m,n] * V[n])                    a batch of V
    After    O[batch,m] = sum[n](A[m,n] * V[batch,n])
    Holds    because a definition says nothing of axes that it does not name; what reads no element of the batch is
             the same for all, and random numbers are drawn at the coordinates that are written. A limit on passes
             speaks of the program without the batch: what is the same for all may be folded in a pass of its own.
    """
    index = _fresh("batch", cascade)
    made = _Batch(index, _reached(cascade, set(inputs)))
    return replace(
        cascade,
        inputs=tuple(made.input(item) for item in cascade.inputs),
        ranges=(*cascade.ranges, Range(index, Const(0), Size(index))),
        tensors=tuple(made.tensor(item) for item in cascade.tensors),
        steps=tuple(made.step(item) for item in cascade.steps),
        limits=(),
        carries=(),
    )


def _fresh(name: str, cascade: Cascade) -> str:
    taken = {item.index for item in cascade.ranges}
    taken |= {item.name for item in cascade.inputs} | {item.name for item in cascade.tensors}
    while name in taken:
        name += "_"
    return name


def _reached(cascade: Cascade, names: set[str]) -> frozenset[str]:
    """The inputs of the batch, and every input and tensor that reads one that is reached."""
    nodes: tuple[Input | Tensor, ...] = (*cascade.inputs, *cascade.tensors)
    while more := {node.name for node in nodes if node.name not in names and names & set(read_names(node))}:
        names |= more
    return frozenset(names)


@dataclass(frozen=True)
class _Batch:
    """The rewrite: `names` have an element for each position along `index`."""

    index: str
    names: frozenset[str]

    def input(self, item: Input) -> Input:
        if item.name not in self.names:
            return item
        own: Input = bottom_up(item, self.read)
        return replace(own, indices=(self.index, *item.indices))

    def tensor(self, item: Tensor) -> Tensor:
        if item.name not in self.names:
            return item
        axes: tuple[tuple[Expr, Expr], ...] = ((Const(0), Size(self.index)), *item.axes)
        return replace(item, axes=axes, parts=tuple(self.part(part) for part in item.parts))

    def part(self, item: Part) -> Part:
        part: Part = bottom_up(item, self.read)
        return replace(part, left=(Coord(self.index), *part.left), indices=(self.index, *part.indices))

    def read(self, node: Node) -> Node | None:
        if not isinstance(node, Read) or node.tensor not in self.names:
            return None
        return replace(node, subs=(Coord(self.index), *node.subs), tested=tuple(axis + 1 for axis in node.tested))

    def step(self, item: Step) -> Step:
        """Of tensors that are made together some may not be reached: where they exist, say."""
        axes = zip(item.tensors, item.axes, strict=False)
        return replace(item, axes=tuple(axis + (name in self.names) for name, axis in axes))
