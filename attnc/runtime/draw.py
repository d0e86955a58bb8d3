"""Random inputs for a cascade at given extents."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from attnc.diagnostics import error
from attnc.ir.cascade import Cascade, Expr, Input, Read, Size
from attnc.ir.walk import walk


def draw(
    cascade: Cascade, shape: Mapping[str, int], given: Mapping[str, torch.Tensor], dtype: torch.dtype, seed: int
) -> dict[str, torch.Tensor]:
    """The given inputs, and for those without a default in-range integers, fair booleans, normal reals.

    Reals with fewer than two axes (slopes, gates, temperatures) are uniform in [0, 1).
    """
    known = {item.name for item in cascade.inputs}
    stray = sorted(set(given) - known)
    if stray:
        raise error("A606", f"`{cascade.name}` has no input `{stray[0]}`", helps=(f"its inputs are {sorted(known)}",))
    sizes = dict(shape)
    for item in cascade.inputs:
        if item.name in given:
            sizes |= dict(zip(item.indices, given[item.name].shape, strict=False))
    _check_shape(cascade, sizes, given)
    generator = torch.Generator().manual_seed(seed)
    drawn = {}
    for item in cascade.inputs:
        if item.name in given:
            drawn[item.name] = given[item.name]
        elif item.default is None:
            drawn[item.name] = _random(item, cascade, sizes, dtype, generator)
    return drawn


def _check_shape(cascade: Cascade, sizes: Mapping[str, int], given: Mapping[str, torch.Tensor]) -> None:
    drawn = [item for item in cascade.inputs if item.name not in given and item.default is None]
    needed = dict.fromkeys(index for item in drawn for index in item.indices)
    missing = [index for index in needed if index not in sizes]
    known = {index for item in cascade.inputs for index in item.indices}
    stray = [index for index in sizes if index not in known]
    if missing:
        example = ",".join(f"{index}={sizes.get(index, 8)}" for index in needed)
        raise error(
            "A625",
            f"`--shape` says nothing about {', '.join(f'`{index}`' for index in missing)}",
            helps=(f"`--shape {example}`",),
        )
    if stray:
        raise error(
            "A625",
            f"`--shape` names `{stray[0]}`, which is no index of the inputs",
            helps=(f"they are {', '.join(sorted(known))}",),
        )


def _random(
    item: Input, cascade: Cascade, sizes: Mapping[str, int], dtype: torch.dtype, generator: torch.Generator
) -> torch.Tensor:
    shape = [sizes[index] for index in item.indices]
    if item.type == "bool":
        return torch.rand(shape, generator=generator) < 0.5
    if item.type == "int":
        return torch.randint(0, max(1, _subscripted(item, cascade, sizes)), shape, generator=generator)
    if len(shape) < 2:  # slopes, gates, temperatures
        return torch.rand(shape, generator=generator).to(dtype)
    return torch.randn(shape, generator=generator).to(dtype)


def _subscripted(item: Input, cascade: Cascade, sizes: Mapping[str, int]) -> int:
    """The extent of the axis that an integer input subscripts, else 4."""
    from attnc.ir.sizes import evaluate

    for node in walk(cascade):
        if not isinstance(node, Read):
            continue
        for axis, sub in enumerate(node.subs):
            if any(isinstance(below, Read) and below.tensor == item.name for below in walk(sub)):
                return int(evaluate(_extent(cascade, node.tensor, axis), sizes))
    return 4


def _extent(cascade: Cascade, tensor: str, axis: int) -> Expr:
    given = cascade.input(tensor)
    if given is not None:
        return Size(given.indices[axis])
    defined = cascade.tensor(tensor)
    assert defined is not None
    return defined.axes[axis][1]
