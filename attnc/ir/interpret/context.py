"""What an evaluation has at hand: extents, tensors computed so far, indices held at one value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

import torch

from attnc.ir.cascade import Cascade, Expr, Grad
from attnc.ir.interpret.stored import Growing, Stored
from attnc.ir.interpret.value import Array, Value
from attnc.ir.sizes import evaluate, whole


@dataclass(frozen=True)
class Context:
    """One evaluation: `fixed` are the indices of a recurrence that stand at one position.

    `growing` holds the tensors of a recurrence position by position, while it runs and as long as derivatives
    need it; `derivatives` gives for every derivative in the cascade the indices over which it may be taken at once,
    `nothing` is a 0 that is recorded where an input is.
    """

    cascade: Cascade
    sizes: Mapping[str, int]
    dtype: torch.dtype
    device: torch.device
    tensors: dict[str, Stored]
    fixed: Mapping[str, int] = field(default_factory=dict)
    ranges: dict[str, tuple[int, int]] = field(default_factory=dict)
    derivatives: Mapping[Grad, frozenset[str]] = field(default_factory=dict)
    growing: dict[str, Growing] = field(default_factory=dict)
    nothing: torch.Tensor | None = None

    @cached_property
    def variables(self) -> frozenset[str]:
        """The tensors that some derivative is taken by: they are recorded even where nothing else is."""
        return frozenset(item.x.tensor for item in self.derivatives)

    def holding(self, positions: Mapping[str, int]) -> Context:
        """The context with these indices held at these positions."""
        return replace(self, fixed={**self.fixed, **positions}) if positions else self

    def releasing(self, indices: Iterable[str]) -> Context:
        """The context with these indices running along their axes."""
        return replace(self, fixed={index: at for index, at in self.fixed.items() if index not in indices})

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

    def at_hand(self, name: str) -> Stored | Growing:
        """The tensor as it can be read: position by position, or whole."""
        return self.growing[name] if name in self.growing else self.tensors[name]

    def recorded(self, name: str, data: torch.Tensor) -> torch.Tensor:
        """The data of a tensor, such that derivatives by it can be taken if any are."""
        if name not in self.variables or data.requires_grad or not data.is_floating_point():
            return data
        if self.nothing is not None:  # inside `torch.func` a tensor cannot be made to ask for gradients
            return data.detach() + self.nothing.to(data.dtype)
        return data.detach().requires_grad_(True)


Eval: TypeAlias = Callable[[Expr, Context], Value]
