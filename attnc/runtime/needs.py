"""What a stage of a plan needs before it can run: tensors, compiled-in extents, and for PyTorch its own cascade."""

from __future__ import annotations

from dataclasses import dataclass

from attnc.ir.cascade import Cascade, Input, Range, Read, Size
from attnc.ir.dependence import piece
from attnc.ir.stage import Stage, Stream, inner_indices
from attnc.ir.walk import walk


@dataclass(frozen=True)
class Needs:
    """The tensors that a stage reads, and for a stream those it writes besides; the input indices that are compiled in.

    `cascade` computes a host stage; a stream has none.
    """

    tensors: tuple[str, ...]
    compiled_in: tuple[str, ...] = ()
    cascade: Cascade | None = None


def needs_of(stage: Stage, cascade: Cascade) -> Needs:
    """What a stage needs."""
    if isinstance(stage, Stream):
        return Needs(stream_tensors(stage), compiled_in(stage, cascade))
    own = carve(cascade, stage.tensors)
    return Needs(tuple(item.name for item in own.inputs), cascade=own)


def compiled_in(stream: Stream, cascade: Cascade) -> tuple[str, ...]:
    """The input indices whose extents a kernel of this stage is compiled for: those of inner indices."""
    inner = inner_indices(stream, cascade)
    ranges = [item for item in cascade.ranges if item.index in inner]
    return tuple(sorted({node.index for item in ranges for node in walk(item) if isinstance(node, Size)}))


def stream_tensors(stage: Stream) -> tuple[str, ...]:
    """The tensors that a streamed stage reads and writes, and those that become of them."""
    read = {node.tensor for node in walk(stage.monoid) if isinstance(node, Read)}
    return tuple(sorted(read | {item.tensor for item in stage.monoid.ends} | {*stage.towards}))


def carve(cascade: Cascade, names: tuple[str, ...]) -> Cascade:
    """The cascade that computes just these tensors; everything else they read becomes an input.

    What lies between a value and what it is differentiated by is evaluated again: it has to be one piece.
    """
    evaluated = piece(cascade, names)
    tensors = tuple(tensor for tensor in cascade.tensors if tensor.name in evaluated)
    read = {node.tensor for tensor in tensors for node in walk(tensor) if isinstance(node, Read)} - evaluated
    inputs, ranges = [], list(cascade.ranges)
    for name in sorted(read):
        given = cascade.input(name)
        if given is not None:
            inputs.append(Input(name, given.indices, given.type))
            continue
        tensor = cascade.tensor(name)
        assert tensor is not None
        axes = tuple(f"{name}.{axis}" for axis in range(len(tensor.axes)))
        ranges += [Range(index, lo, hi) for index, (lo, hi) in zip(axes, tensor.axes, strict=True)]
        inputs.append(Input(name, axes, tensor.type))
    steps = tuple(step for step in cascade.steps if set(step.tensors) & evaluated)
    return Cascade(cascade.name, tuple(inputs), cascade.options, tuple(ranges), tensors, steps, names)
