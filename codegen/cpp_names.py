"""What C++ calls the values of one kernel: arrays, their types and their layout."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from attnc.ir import kernel as k
from attnc.ir.kernel import Kernel, TileType
from attnc.ir.tile_types import tile_type

STORED = {"float32": "float", "float64": "double", "float16": "float16", "bfloat16": "bfloat16"}
STORED |= {"int64": "int64_t", "int32": "int32_t", "bool": "bool"}
"""Types of elements in memory."""

ELEMENT = {"float32": "float", "float64": "double", "float16": "float", "bfloat16": "float"}
ELEMENT |= {"int64": "int64_t", "int32": "int32_t", "bool": "bool"}
"""Types of elements in arithmetic."""

STACK = 2 << 20  # bytes of arrays that a thread's stack surely has room for

FEW = 16
"""Rows of a tile that fill the widest vector of floats."""


def lanes_of(kernel: Kernel) -> str | None:
    """The index along which values lie side by side: the rows, or what is streamed where a tile has few rows."""
    if kernel.parallel is None:
        return None
    streamed = [axis.index for axis in kernel.axes if axis.extent is None]
    few = kernel.parallel.tile < FEW and kernel.columns is None and not kernel.serial
    return streamed[0] if few and len(streamed) == 1 else kernel.parallel.index


@dataclass
class Names:
    """Knows which arrays a kernel has and how they lie in memory."""

    kernel: Kernel
    named: dict[str, TileType] = field(default_factory=dict)
    steps: dict[str, int | None] = field(default_factory=dict)
    temporaries: int = 0

    def __post_init__(self) -> None:
        """Takes the kernel's types and axes."""
        self.named = dict(self.kernel.types)
        self.axes = {axis.index: axis for axis in (*self.kernel.axes, *self.kernel.grid, *self.kernel.tiled)}
        self.parallel = lanes_of(self.kernel)
        self.rows = self.kernel.parallel.index if self.kernel.parallel else None
        self.steps = {axis.index: axis.tile for axis in self.kernel.tiled if axis.index != self.parallel}
        self.roomy = sum(map(self._bytes, self.named)) > STACK

    def _bytes(self, name: str) -> int:
        kind = self.named[name]
        widths = {axis.index: axis.extent or axis.tile for axis in self.axes.values()}
        return 8 * math.prod(max(1, widths[axis]) for axis in kind.axes)

    def _body(self) -> tuple[k.Statement, ...]:
        return (*self.kernel.setup, *self.kernel.loops, *self.kernel.finish)

    @property
    def few(self) -> bool:
        """Whether a tile has few rows, and lanes lie along what is streamed."""
        return self.rows != self.parallel

    def tensor(self, name: str) -> str:
        """The pointer of a tensor."""
        return f"t_{name}"

    def type_of(self, value: k.Value) -> TileType:
        """The axes of a value here, in the kernel's order, and the type of its elements."""
        found = tile_type(value, self.named, self._tiled, self.kernel.compute)
        order = [axis for axis in self._order() if axis in found.axes]
        return TileType(tuple(order), found.dtype)

    def _order(self) -> list[str]:
        return [axis.index for axis in (*self.kernel.tiled, *self.kernel.axes)]

    def _tiled(self, index: str) -> bool:
        if index in self.steps:
            return self.steps[index] is not None
        return (
            any(axis.index == index for axis in self.kernel.axes) and self._extent(index) is not None
        ) or index == self.parallel

    def _extent(self, index: str) -> int | None:
        return self.axes[index].extent

    @contextmanager
    def walking(self, index: str, step: int | None) -> Iterator[None]:
        """Inside a loop over the index, in tiles of `step` or point by point."""
        self.steps[index] = step
        yield
        del self.steps[index]

    def _length(self, axis: str) -> int:
        """How many elements an array has along an axis."""
        step = self.steps.get(axis)
        return step if step is not None else self.axes[axis].extent or self.axes[axis].tile

    def _count(self, axis: str) -> str:
        """How many of them a loop goes through."""
        if axis in (self.parallel, self.rows):
            return str(self.axes[axis].tile)
        if axis in self.steps:
            return f"{axis}_count"
        return str(max(0, self._extent(axis) or 0))

    def _layout(self, axes: tuple[str, ...]) -> tuple[str, ...]:
        """The axes in memory: the parallel one last."""
        return (*(axis for axis in axes if axis != self.parallel), *(axis for axis in axes if axis == self.parallel))

    def element(self, name: str) -> str:
        """The C++ type of the elements of a name; positions are wide where they stand alone."""
        kind = self.named[name]
        return ELEMENT[kind.dtype] if kind.axes or kind.dtype != "int32" else "int64_t"

    def varies(self, value: k.Value) -> bool:
        """Whether a value changes along the parallel index."""
        return self.parallel is not None and self.parallel in self.type_of(value).axes
