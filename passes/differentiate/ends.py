"""Where the paths from an input to the outputs end for a derivative."""

from __future__ import annotations

from attnc.ir.cascade import Cascade, Map, Order, Read, Reduce
from attnc.ir.dependence import dependents, reads_of
from attnc.ir.node import Node
from attnc.ir.operators import COMPARISONS
from attnc.ir.walk import walk
from attnc.passes.differentiate.pullback import FLAT

WHOLE = ("argmax", "argmin", "any", "all", "argtopk", "topk", "argsort")


def end_of_paths(cascade: Cascade, name: str) -> Node | None:
    """The first operation that an input goes into and no derivative comes out of; selections before comparisons."""
    carried = {name, *dependents(reads_of(cascade), name)}
    nodes = [node for tensor in cascade.tensors for node in walk(tensor) if stops(node)]
    found = [node for node in nodes if any(isinstance(item, Read) and item.tensor in carried for item in walk(node))]
    return min(found, key=lambda node: isinstance(node, Map) and node.op in COMPARISONS, default=None)


def stops(node: Node) -> bool:
    """Whether a node's value does not change with what it is made of, but by jumps."""
    return (isinstance(node, Map) and node.op in FLAT) or (isinstance(node, Reduce | Order) and node.op in WHOLE)
