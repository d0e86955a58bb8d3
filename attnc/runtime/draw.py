"""Random inputs for a cascade at given extents."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch

from attnc.diagnostics import error
from attnc.ir.cascade import Cascade, Expr, Input, Read, Size
from attnc.ir.sizes import whole
from attnc.ir.walk import walk
from attnc.runtime.memory import enough_memory
from attnc.runtime.shapes import checked_shape, require_extents


def draw(
    cascade: Cascade,
    shape: Mapping[str, int],
    given: dict[str, torch.Tensor],
    dtype: torch.dtype,
    seed: int,
    also: Collection[str] = (),
) -> dict[str, torch.Tensor]:
    """The given inputs, and for those without a default (or in `also`) integers that subscript, fair booleans,
    normal reals.

    Reals with fewer than two axes (slopes, gates, temperatures) are uniform in [0, 1).
    """
    known = {item.name for item in cascade.inputs}
    stray = sorted(set(given) - known)
    if stray:
        raise error("A606", f"`{cascade.name}` has no input `{stray[0]}`", helps=(f"its inputs are {sorted(known)}",))
    sizes = checked_shape(cascade, shape)
    for item in cascade.inputs:
        if item.name in given:
            sizes |= dict(zip(item.indices, given[item.name].shape, strict=False))
    wanted = [item for item in cascade.inputs if item.name not in given and (item.default is None or item.name in also)]
    require_extents(sizes, (index for item in wanted for index in item.indices))
    generator = torch.Generator().manual_seed(seed)
    with enough_memory(f"to draw the inputs of `{cascade.name}`"):
        drawn = {item.name: _random(item, cascade, sizes, dtype, generator) for item in wanted}
    found = given | drawn
    return {item.name: found[item.name] for item in cascade.inputs if item.name in found}


def _random(
    item: Input, cascade: Cascade, sizes: Mapping[str, int], dtype: torch.dtype, generator: torch.Generator
) -> torch.Tensor:
    shape = [sizes[index] for index in item.indices]
    if item.type == "bool":
        return torch.rand(shape, generator=generator) < 0.5
    if item.type == "int":
        low, high = _subscripted(item, cascade, sizes)
        return torch.randint(low, high, shape, generator=generator)
    if len(shape) < 2:  # slopes, gates, temperatures
        return torch.rand(shape, generator=generator).to(dtype)
    return torch.randn(shape, generator=generator).to(dtype)


def _subscripted(item: Input, cascade: Cascade, sizes: Mapping[str, int]) -> tuple[int, int]:
    """From -1, which pads, to the end of the axis that an integer input subscripts; else 0 to 4."""
    for node in walk(cascade):
        if not isinstance(node, Read):
            continue
        for axis, sub in enumerate(node.subs):
            if any(isinstance(below, Read) and below.tensor == item.name for below in walk(sub)):
                return -1, max(0, whole(_extent(cascade, node.tensor, axis), sizes))
    return 0, 4


def _extent(cascade: Cascade, tensor: str, axis: int) -> Expr:
    given = cascade.input(tensor)
    if given is not None:
        return Size(given.indices[axis])
    defined = cascade.tensor(tensor)
    assert defined is not None
    return defined.axes[axis][1]
