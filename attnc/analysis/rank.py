"""How large a state must be to read a stream once, measured: the rank of what later values can tell of earlier ones.

For a prefix x of a stream and suffixes y, the derivatives of f(x y) by x have at most the rank of any smooth state
that an algorithm may keep of x. A rank that stays as the prefix grows is evidence for a bounded state, one that
grows with it against. It proves neither: functions made of pieces show only what survives at the drawn values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from attnc.ir.cascade import Cascade
from attnc.ir.interpret import run

TOLERANCE = 1e-9  # of the largest singular value: derivatives are exact to about 1e-13


def ranks(
    cascade: Cascade,
    index: str,
    shape: Mapping[str, int],
    prefixes: Sequence[int] = (4, 8, 16),
    *,
    suffixes: int = 24,
    scale: float = 1.0,
    seed: int = 0,
) -> tuple[int, ...]:
    """The rank for each length of prefix; `shape` gives the extents of the other indices."""
    generator = torch.Generator().manual_seed(seed)
    fixed = {
        item.name: torch.randn([shape[i] for i in item.indices], generator=generator, dtype=torch.float64)
        for item in cascade.inputs
        if index not in item.indices
    }
    tails = [_drawn(cascade, index, shape, 1 + number % 3, scale, generator) for number in range(suffixes)]
    found = []
    for length in prefixes:
        head = _drawn(cascade, index, shape, length, scale, generator)
        rows = torch.cat([_derivative(cascade, index, fixed, head, tail) for tail in tails])
        values = torch.linalg.svdvals(rows)
        found.append(int((values > TOLERANCE * values.max()).sum()))
    return tuple(found)


def _drawn(
    cascade: Cascade, index: str, shape: Mapping[str, int], length: int, scale: float, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """Random values of every input along the stream."""
    sizes = {**shape, index: length}
    return {
        item.name: scale * torch.randn([sizes[i] for i in item.indices], generator=generator, dtype=torch.float64)
        for item in cascade.inputs
        if index in item.indices
    }


def _derivative(
    cascade: Cascade,
    index: str,
    fixed: Mapping[str, torch.Tensor],
    head: Mapping[str, torch.Tensor],
    tail: Mapping[str, torch.Tensor],
) -> torch.Tensor:
    """The derivatives of all outputs by all values of the prefix, a row for each output value."""
    given = {name: value.clone().requires_grad_() for name, value in head.items()}
    axes = {item.name: item.indices.index(index) for item in cascade.inputs if index in item.indices}
    whole = {name: torch.cat([given[name], tail[name]], axes[name]) for name in given}
    outputs = run(cascade, {**fixed, **whole}).outputs.values()
    values = torch.cat([output.flatten() for output in outputs])
    return torch.stack([_gradient(value, list(given.values())) for value in values])


def _gradient(value: torch.Tensor, given: list[torch.Tensor]) -> torch.Tensor:
    found = torch.autograd.grad(value, given, retain_graph=True, allow_unused=True)
    parts = zip(found, given, strict=True)
    return torch.cat([(torch.zeros_like(x) if part is None else part).flatten() for part, x in parts])
