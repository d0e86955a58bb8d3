"""What C++ calls the values of one kernel: arrays, their layout, loads that are read in place."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from attnc.codegen.compared import compared
from attnc.ir import kernel as k
from attnc.ir.kernel import Kernel, TileType
from attnc.ir.tile_types import tile_type
from attnc.ir.walk import walk

ELEMENT = {"float32": "float", "float64": "double", "float16": "float", "bfloat16": "float"}
ELEMENT |= {"int64": "int64_t", "int32": "int32_t", "bool": "bool"}
STACK = 2 << 20  # bytes of arrays that a thread's stack surely has room for


@dataclass
class Names:
    """Knows which arrays a kernel has and which of its loads are read in place."""

    kernel: Kernel
    named: dict[str, TileType] = field(default_factory=dict)
    views: dict[str, k.Load] = field(default_factory=dict)
    steps: dict[str, int | None] = field(default_factory=dict)
    temporaries: int = 0

    def __post_init__(self) -> None:
        """Takes the kernel's types and finds the loads that only matrix products read."""
        self.named = dict(self.kernel.types)
        self.axes = {axis.index: axis for axis in (*self.kernel.axes, *self.kernel.grid, *self.kernel.tiled)}
        self.parallel = self.kernel.parallel.index if self.kernel.parallel else None
        self.steps = {axis.index: axis.tile for axis in self.kernel.tiled if axis != self.kernel.parallel}
        self.plain = {dot for dots in compared(self.kernel) if not all(map(self._has_rows, dots)) for dot in dots}
        self.viewable = self._viewable()
        self.turned = self._turned()
        self.roomy = sum(map(self._bytes, self.named)) > STACK

    def _bytes(self, name: str) -> int:
        kind = self.named[name]
        widths = {axis.index: axis.extent or axis.tile for axis in self.axes.values()}
        return 8 * math.prod(max(1, widths[axis]) for axis in kind.axes)

    def _viewable(self) -> set[str]:
        """Names of loads without the parallel index, read by products alone, where they lie as they are."""
        plain: set[str] = set()
        elsewhere: set[str] = set()
        for statement in self._body():
            for node in walk(statement):
                if isinstance(node, k.Load):
                    (plain if self._in_place(node) else elsewhere).add(node.name)
                if isinstance(node, k.Dot) and self.is_matmul(node):
                    continue
                elsewhere |= {child.name for child in _direct(node) if isinstance(child, k.Use)}
        return plain - elsewhere

    def _turned(self) -> frozenset[str]:
        """Names that are summed over the tile's rows: what lies side by side in them then is another axis."""
        nodes = (node for statement in self._body() for node in walk(statement))
        sums = (node for node in nodes if isinstance(node, k.Dot) and self.is_across(node))
        return frozenset(node.b.name for node in sums if isinstance(node.b, k.Use))

    def _body(self) -> tuple[k.Statement, ...]:
        return (*self.kernel.setup, *self.kernel.loops, *self.kernel.finish)

    def is_across(self, dot: k.Dot) -> bool:
        """Whether a product sums over the tile's rows."""
        return self.parallel is not None and dot.over == self.parallel

    def is_matmul(self, dot: k.Dot) -> bool:
        """Whether the matrix kernel takes a product: one with rows of the tile, and so all it is compared with."""
        return dot not in self.plain and self._has_rows(dot)

    def _has_rows(self, dot: k.Dot) -> bool:
        assert isinstance(dot.a, k.Use)
        return self.parallel is not None and self.parallel in self.named[dot.a.name].axes

    def _in_place(self, load: k.Load) -> bool:
        kind = self.named[load.name]
        edges = all(isinstance(test, k.Inside) for test in load.when)
        return (
            self.parallel is not None
            and self.parallel not in kind.axes
            and len(kind.axes) == 2
            and edges
            and kind.dtype in ("float32", "float64", "bfloat16", "float16")
            and all(isinstance(sub, k.Coord) or not self._varies(sub, kind.axes) for sub in load.subs)
        )

    def _varies(self, sub: k.Value, axes: tuple[str, ...]) -> bool:
        """Whether a subscript that is no bare position changes along one of these axes."""
        for node in walk(sub):
            if isinstance(node, k.Coord) and node.index in axes:
                return True
            if isinstance(node, k.Use) and set(self.named[node.name].axes) & set(axes):
                return True
        return False

    # ---- names and types ---------------------------------------------------------------------

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
        if axis == self.parallel:
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


def _direct(node: object) -> list[object]:
    from attnc.ir.node import Node
    from attnc.ir.walk import children

    return list(children(node)) if isinstance(node, Node) else []
