"""Kernel values and assignments in C++: elements inside loop nests, micro-kernel calls for matrix products."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from attnc.codegen.compared import compared
from attnc.ir import kernel as k
from attnc.ir.kernel import Kernel, TileType
from attnc.ir.tile_types import tile_type
from attnc.ir.walk import walk

INFIX = {"add": ("+", 11), "sub": ("-", 11), "mul": ("*", 12), "lt": ("<", 9), "le": ("<=", 9), "gt": (">", 9)}
INFIX |= {"ge": (">=", 9), "eq": ("==", 8), "ne": ("!=", 8), "and": ("&", 7), "or": ("|", 5)}
ROUND = {"floor": "floor_", "ceil": "ceil_", "round": "nearbyint_"}
ELEMENT = {"float32": "float", "float64": "double", "float16": "float", "bfloat16": "float"}
ELEMENT |= {"int64": "int64_t", "int32": "int64_t", "bool": "bool"}
ATOM = 20
STACK = 2 << 20  # bytes of arrays that a thread's stack surely has room for


@dataclass
class Printer:
    """Prints values of one kernel; knows which arrays exist and which loads are read in place."""

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
        self.roomy = sum(map(self._bytes, self.named)) > STACK

    def _bytes(self, name: str) -> int:
        kind = self.named[name]
        widths = {axis.index: axis.extent or axis.tile for axis in self.axes.values()}
        return 8 * math.prod(max(1, widths[axis]) for axis in kind.axes)

    def _viewable(self) -> set[str]:
        """Names of loads without the parallel index, read by products alone, where they lie as they are."""
        body = (*self.kernel.setup, *self.kernel.loops, *self.kernel.finish)
        plain: set[str] = set()
        elsewhere: set[str] = set()
        for statement in body:
            for node in walk(statement):
                if isinstance(node, k.Load):
                    (plain if self._in_place(node) else elsewhere).add(node.name)
                if isinstance(node, k.Dot) and self.is_matmul(node):
                    continue
                elsewhere |= {child.name for child in _direct(node) if isinstance(child, k.Use)}
        return plain - elsewhere

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

    def _type(self, value: k.Value) -> TileType:
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

    # ---- text --------------------------------------------------------------------------------

    def text(self, value: k.Value) -> str:
        """The value at the loops' current element."""
        return self._text(value)[0]

    def _text(self, value: k.Value) -> tuple[str, int]:
        match value:
            case k.Const(number, dtype):
                return _literal(number, dtype), ATOM
            case k.Size(name):
                return f"{name}_size", ATOM
            case k.Coord(index):
                return self._position(index)
            case k.First(index):
                return f"{index}_first", ATOM
            case k.Last(index):
                return f"{index}_last", ATOM
            case k.Inside(index):
                return f"{index}_ < {index}_count" if self._tiled(index) else "true", 9
            case k.Use(name):
                return self._element(name), ATOM
            case k.Map(op, args):
                return self._map(op, args)
        raise AssertionError(f"{type(value).__name__} inside an expression")

    def _position(self, index: str) -> tuple[str, int]:
        if index == self.parallel or self.steps.get(index) is not None:
            return f"({index}_first + {index}_)", ATOM
        if index in self.steps or any(axis.index == index for axis in self.kernel.grid):
            return index, ATOM
        lo = self.text(self.axes[index].lo)
        return (f"(int64_t){index}_", ATOM) if lo == "0" else (f"({lo} + {index}_)", ATOM)

    def _element(self, name: str) -> str:
        layout = self._layout(self.named[name].axes)
        return f"v_{name}" + "".join(f"[{axis}_]" for axis in layout)

    def _map(self, op: str, args: tuple[k.Value, ...]) -> tuple[str, int]:
        if op == "select":
            test, then, other = (self._wrapped(arg, 4) for arg in args)
            return f"{test} ? {then} : {other}", 3
        if op.startswith("cast:"):
            return f"({ELEMENT[op.removeprefix('cast:')]}){self._wrapped(args[0], 15)}", 15
        if op == "neg":
            return f"-{self._wrapped(args[0], 15)}", 15
        if op == "not":
            return f"!{self._wrapped(args[0], 15)}", 15
        if op == "div":
            return f"{self._wrapped(args[0], 12)} / {self._wrapped(args[1], 13)}", 12
        if op == "rsqrt":
            return f"1 / sqrt_({self.text(args[0])})", 12
        if op in ROUND:
            return f"(int64_t){ROUND[op]}({self.text(args[0])})", 15
        if op in INFIX:
            sign, level = INFIX[op]
            if op in ("and", "or"):  # the compiler asks for parentheses here
                return f" {sign} ".join(self._wrapped(arg, 13) for arg in args), level
            parts = [self._wrapped(args[0], level), *(self._wrapped(arg, level + 1) for arg in args[1:])]
            return f" {sign} ".join(parts), level
        return self._call(op, args)

    def _call(self, op: str, args: tuple[k.Value, ...]) -> tuple[str, int]:
        texts = [self.text(arg) for arg in args]
        if op in ("max", "min") and len(texts) != 2:
            result = texts[0]
            for text in texts[1:]:
                result = f"{op}_<{self._common(args)}>({result}, {text})"
            return result, ATOM
        template = f"<{self._common(args)}>" if op in ("max", "min", "clamp") else ""
        return f"{op}_{template}({', '.join(texts)})", ATOM

    def _common(self, args: tuple[k.Value, ...]) -> str:
        kinds = [ELEMENT[self._type(arg).dtype] for arg in args]
        return next((kind for kind in ("double", "float", "int64_t") if kind in kinds), "int64_t")

    def _wrapped(self, value: k.Value, level: int) -> str:
        text, own = self._text(value)
        return text if own >= level else f"({text})"


def _direct(node: object) -> list[object]:
    from attnc.ir.node import Node
    from attnc.ir.walk import children

    return list(children(node)) if isinstance(node, Node) else []


def _literal(number: bool | int | float, dtype: str) -> str:
    if isinstance(number, bool):
        return "true" if number else "false"
    if dtype in ("int32", "int64"):
        return str(int(number)) if number > -(2**63) else f"({1 - 2**63} - 1)"  # C++ has no literal for the least
    if dtype == "float32" and (narrow := ctypes.c_float(number).value) in (0.0, math.inf, -math.inf):
        number = narrow  # outside its range
    if math.isinf(number):
        return "INF" if number > 0 else "-INF"
    if math.isnan(number):
        return "NAN"
    text = repr(float(number))
    return f"{text}f" if dtype == "float32" else text
