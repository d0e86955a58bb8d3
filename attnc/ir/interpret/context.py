"""What an evaluation has at hand: extents, tensors computed so far, indices held at one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from attnc.ir.cascade import Cascade, Expr
from attnc.ir.interpret.value import Array, Value
from attnc.ir.sizes import evaluate, whole


@dataclass
class Stored:
    """A tensor in memory: its data, where each axis starts, and its conditions by axis positions.

    `parts` holds for a tensor defined by parts the conditions of each part alone.
    """

    data: torch.Tensor
    base: tuple[int, ...]
    when: tuple[tuple[torch.Tensor, tuple[int, ...]], ...] = ()
    parts: dict[int, tuple[tuple[torch.Tensor, tuple[int, ...]], ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """One evaluation: `fixed` are the indices of a recurrence that stand at one position."""

    cascade: Cascade
    sizes: Mapping[str, int]
    dtype: torch.dtype
    device: torch.device
    tensors: dict[str, Stored]
    fixed: Mapping[str, int] = field(default_factory=dict)
    ranges: dict[str, tuple[int, int]] = field(default_factory=dict)

    def holding(self, index: str, position: int) -> Context:
        """The context with one index held at a position."""
        return replace(self, fixed={**self.fixed, index: position})

    def number(self, expr: Expr) -> Any:
        """The value of an expression of sizes."""
        return evaluate(expr, self.sizes)

    def range(self, index: str) -> tuple[int, int]:
        """The positions lo <= index < hi."""
        if index not in self.ranges:
            item = self.cascade.range(index)
            lo = whole(item.lo, self.sizes)
            self.ranges[index] = (lo, max(lo, whole(item.hi, self.sizes)))
        return self.ranges[index]

    def extent(self, index: str) -> int:
        """How many positions an index has."""
        lo, hi = self.range(index)
        return hi - lo

    def coordinate(self, index: str) -> Value:
        """The positions along an index, as an array over it (a number where it is held)."""
        if index in self.fixed:
            return self.constant(self.fixed[index])
        lo, hi = self.range(index)
        return Value(Array(torch.arange(lo, hi, device=self.device), (index,)))

    def constant(self, value: bool | int | float) -> Value:
        """A number as a value without axes."""
        kind = torch.bool if isinstance(value, bool) else torch.int64 if isinstance(value, int) else self.dtype
        return Value(Array(torch.tensor(value, dtype=kind, device=self.device), ()))
