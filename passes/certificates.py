"""Why no algorithm with a state of bounded size reads a stream once: certificates from the structure of a function."""

from __future__ import annotations

from collections.abc import Iterator

from attnc.ir.cascade import Const, Order, Read, Reduce, Tensor
from attnc.ir.indices import free_indices
from attnc.ir.walk import walk
from attnc.passes.defined import dependencies
from attnc.passes.families import Shapes
from attnc.passes.wording import called


def certificate(shapes: Shapes, index: str) -> str:
    """A reason for two passes at least over an index, or nothing.

    An output along the stream that needs a completed reduction over it: the first value is known after the last.
    A fold of what was normalised across: each term waits for the fold of all before. An order statistic whose
    rank grows: one pass would need memory that grows with the stream (Munro and Paterson, 1980).
    """
    outputs = shapes.cascade.outputs
    needed = set(outputs).union(*(dependencies(shapes, name) for name in outputs))
    order = [name for name in sorted(shapes.tensors, key=shapes.position.__getitem__) if name in needed]
    found = (*_outputs(shapes, index), *_across(shapes, order, index), *_ranks(shapes, order, index))
    return next(iter(found), "")


def _outputs(shapes: Shapes, index: str) -> Iterator[str]:
    for name in shapes.cascade.outputs:
        tensor = shapes.tensors.get(name)
        if tensor is not None and any(index in part.indices for part in tensor.parts):
            waits = _completed(shapes, name, index)
            if waits:
                yield f"output `{name}` has a value for each {index} and needs a completed reduction over {index}"


def _completed(shapes: Shapes, name: str, index: str) -> str:
    """A reduction over the index whose value a tensor needs; one that the tensor itself makes does not count."""
    seen, queue = {name}, [name]
    while queue:
        for node in walk(shapes.tensors[queue.pop()]):
            if not isinstance(node, Read) or node.tensor not in shapes.tensors:
                continue
            if index not in free_indices(node) and _reduces(shapes.tensors[node.tensor], index):
                return node.tensor
            if node.tensor not in seen:
                seen.add(node.tensor)
                queue.append(node.tensor)
    return ""


def _across(shapes: Shapes, order: list[str], index: str) -> Iterator[str]:
    """Folds over the index of a tensor along it that folds another length of what such a fold has completed."""
    for name in order:
        if not _reduces(shapes.tensors[name], index):
            continue
        for other in (item for item in order if item in _reads(shapes, name)):
            tensor = shapes.tensors[other]
            along = any(index in part.indices for part in tensor.parts)
            if along and _crosses(tensor, index) and _completed(shapes, other, index):
                whole = called(shapes, other)
                yield f"{called(shapes, name)} folds over {index} what {whole} normalises across, from such a fold"


def _ranks(shapes: Shapes, order: list[str], index: str) -> Iterator[str]:
    for name in order:
        for node in walk(shapes.tensors[name]):
            grows = isinstance(node, Order) and not (
                node.op in ("kth", "topk", "argtopk") and isinstance(node.k, Const)
            )
            if isinstance(node, Order) and grows and index in node.over:
                what = called(shapes, name)
                yield f"{what} orders all values: in one pass that needs memory that grows with their number"


def _reads(shapes: Shapes, name: str) -> set[str]:
    """The tensors that a fold walks along, definitions opened down to other folds."""
    found, queue = set[str](), [name]
    while queue:
        for other in shapes.reads[queue.pop()]:
            if other not in found:
                found.add(other)
                if not any(isinstance(node, Reduce) for node in walk(shapes.tensors[other])):
                    queue.append(other)
    return found


def _crosses(tensor: Tensor, index: str) -> bool:
    """Whether a tensor folds something else than the index."""
    nodes = (node for part in tensor.parts for node in walk(part.value) if isinstance(node, Reduce))
    return any(index not in node.over for node in nodes)


def _reduces(tensor: Tensor, index: str) -> bool:
    nodes = (node for part in tensor.parts for node in walk(part.value) if isinstance(node, Reduce))
    return any(index in node.over for node in nodes)
