"""A call's outputs held against the oracle by the numerics contract, piece by piece where they are large."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch

from attnc.contract import Reference, Verdict, judge, references
from attnc.ir.cascade import Cascade
from attnc.runtime.bind import bind
from attnc.runtime.memory import enough_memory
from attnc.runtime.pieces import Piece, cut, output_axes, pieces
from attnc.runtime.program import Program

Watch = Callable[[Iterable[Piece], int], Iterable[Piece]]


@dataclass
class _Gathered:
    """The references of one output over all pieces."""

    axes: tuple[str, ...]
    exact: torch.Tensor
    plain: torch.Tensor
    scale: float = 0.0

    def put(self, found: Reference, piece: Piece) -> None:
        cut(self.exact, self.axes, piece).copy_(found.exact)
        cut(self.plain, self.axes, piece).copy_(found.plain)
        self.scale = max(self.scale, found.scale)


def verify(
    program: Program,
    inputs: Mapping[str, torch.Tensor],
    outputs: Mapping[str, torch.Tensor],
    watch: Watch = lambda items, _: items,
) -> list[Verdict]:
    """The verdict on each output; `watch` sees the pieces go by."""
    at_home = {name: tensor.cpu() for name, tensor in inputs.items()}
    with enough_memory("to verify by the definition, which keeps whole tensors", "run with `--no-verify`"):
        found = _references(program.stated, at_home, {name: tensor.dtype for name, tensor in outputs.items()}, watch)
    return [judge(name, value.cpu(), found[name]) for name, value in outputs.items()]


def _references(
    cascade: Cascade, inputs: Mapping[str, torch.Tensor], types: Mapping[str, torch.dtype], watch: Watch
) -> dict[str, Reference]:
    every = list(pieces(cascade, bind(cascade, (), inputs).sizes))
    if every == [{}]:
        return references(cascade, inputs, types)
    gathered: dict[str, _Gathered] = {}
    axes = {item.name: item.indices for item in cascade.inputs}
    for piece in watch(every, len(every)):
        part = {name: cut(tensor, axes[name], piece) for name, tensor in inputs.items()}
        for name, found in references(cascade, part, types).items():
            if name not in gathered:
                gathered[name] = _empty(cascade, name, found, every)
            gathered[name].put(found, piece)
    return {name: Reference(item.exact, item.plain, item.scale) for name, item in gathered.items()}


def _empty(cascade: Cascade, name: str, found: Reference, every: list[Piece]) -> _Gathered:
    """Room for an output of as many pieces as there are."""
    axes = output_axes(cascade, name)
    length = {index: 1 + max(piece[index] for piece in every) for index in every[0]}
    shape = [length.get(index, extent) for index, extent in zip(axes, found.exact.shape, strict=True)]
    return _Gathered(axes, found.exact.new_empty(shape), found.plain.new_empty(shape))
