"""Kernel values in Triton: tensors with their axes in canonical order, broadcast by `[:, None]`."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce

from attnc.codegen.triton_operators import (
    ADDED,
    ANY,
    ATOM,
    CALLS,
    COMPARED,
    DTYPES,
    FORMS,
    IDENTITY,
    INFIX,
    MULTIPLIED,
    NEEDED,
)
from attnc.ir import kernel as k
from attnc.ir.kernel import Kernel, TileType
from attnc.ir.operators import COMPARISONS
from attnc.ir.tile_types import tile_type
from attnc.ir.walk import walk

MINIMUM = 16  # the smallest side of a matrix product


@dataclass
class Printer:
    """Prints the values of one kernel."""

    kernel: Kernel
    named: dict[str, TileType] = field(default_factory=dict)
    steps: dict[str, int | None] = field(default_factory=dict)
    helpers: set[str] = field(default_factory=set)
    computed: set[str] = field(default_factory=set)
    narrow: bool = False

    def __post_init__(self) -> None:
        """Takes the kernel's types and axes."""
        self.named = dict(self.kernel.types)
        self.tiles = {axis.index for axis in self.kernel.tiled}
        self.axes = {axis.index: axis for axis in (*self.kernel.axes, *self.kernel.grid, *self.kernel.tiled)}
        self.inner = {axis.index for axis in self.kernel.axes if axis.extent is not None}

    # ---- shapes ------------------------------------------------------------------------------

    def tiled(self, index: str) -> bool:
        """Whether an index is a tile axis here."""
        if index in self.steps:
            return self.steps[index] is not None
        return index in self.inner or index in self.tiles

    def type(self, value: k.Value) -> TileType:
        """The type of a value, its axes in canonical order."""
        found = tile_type(value, self.named, self.tiled, self.kernel.compute)
        return TileType(tuple(axis for axis in self.order if axis in found.axes), found.dtype)

    @property
    def order(self) -> list[str]:
        """The canonical order of axes."""
        return [axis.index for axis in (*self.kernel.tiled, *self.kernel.axes)]

    def width(self, index: str) -> int:
        """The lanes of a tile axis: a power of two."""
        if index in self.inner:
            return max(MINIMUM, 1 << max(0, (self.axes[index].extent or 0) - 1).bit_length())
        return self.steps.get(index) or self.axes[index].tile

    def padded(self, index: str) -> bool:
        """Whether an inner axis has lanes beyond its extent."""
        return index in self.inner and self.width(index) != self.axes[index].extent

    def lanes(self, index: str) -> str:
        """The positions along a tile axis; a loop's chunk of an inner one is named beside the whole."""
        return f"{index}_lanes" if index in self.inner and self.steps.get(index) else f"o_{index}"

    @contextmanager
    def walking(self, index: str, step: int | None) -> Iterator[None]:
        """Inside a loop over the index."""
        self.steps[index] = step
        yield
        del self.steps[index]

    def spread(self, text: str, own: tuple[str, ...], axes: tuple[str, ...]) -> str:
        """An atom of some axes, shaped to broadcast over others."""
        if own == axes or not own:
            return text
        marks = ", ".join(":" if axis in own else "None" for axis in axes)
        return f"{text}[{marks}]"

    # ---- text --------------------------------------------------------------------------------

    def text(self, value: k.Value, level: int = ANY) -> str:
        """The value as an expression over its own axes, in parentheses where it binds less tightly than `level`."""
        text, binds = self._text(value)
        return text if binds >= level else f"({text})"

    def over(self, value: k.Value, axes: tuple[str, ...], level: int = ANY) -> str:
        """The value broadcast over these axes."""
        own = self.type(value).axes
        if own == axes or not own:
            return self.text(value, level)
        return self.spread(self.text(value, ATOM), own, axes)

    def _text(self, value: k.Value) -> tuple[str, int]:
        match value:
            case k.Const(number, dtype):
                text = _literal(number, dtype)
                return text, ATOM if not text.startswith("-") else MULTIPLIED
            case k.Size(name):
                return f"{name}_size", ATOM
            case k.Coord(index):
                return self.lanes(index) if self.tiled(index) else f"i_{index}", ATOM
            case k.First(index):
                return f"{index}_first", ATOM
            case k.Last(index):
                return f"{index}_last", ATOM
            case k.Inside(index):
                return self.inside(index) if self.tiled(index) else ("True", ATOM)
            case k.Use(name):
                return f"b_{name}", ATOM
            case k.Map(op, args):
                return self._map(op, args, self.type(value).axes)
            case k.Dot():
                return self._dot(value), ATOM
            case k.Reduce():
                return self._reduce(value), ATOM

    def inside(self, index: str) -> tuple[str, int]:
        """The end-of-axis condition of a tile axis."""
        return f"{self.lanes(index)} < {self.text(self.axes[index].hi, ADDED)}", COMPARED

    def within(self, index: str, axes: tuple[str, ...]) -> str:
        """The same over these axes, an atom."""
        return self.spread(f"({self.inside(index)[0]})", (index,), axes)

    def _map(self, op: str, args: tuple[k.Value, ...], axes: tuple[str, ...]) -> tuple[str, int]:
        if op in INFIX:
            return self._infix(op, args, axes)
        if op == "pow":
            return self._power(args, axes)
        self.helpers |= NEEDED.get(op, set())
        if op in FORMS:
            return FORMS[op].format(*(self.over(arg, axes, ATOM) for arg in args)), ATOM
        if op.startswith("cast:"):
            return self._cast(args[0], axes, DTYPES[op.removeprefix("cast:")])
        texts = [self.over(arg, axes) for arg in args]
        if op in ("max", "min"):
            return reduce(lambda one, other: f"tl.{op}imum({one}, {other})", texts), ATOM
        return f"tl.where({', '.join(texts)})" if op == "select" else CALLS[op].format(*texts), ATOM

    def _infix(self, op: str, args: tuple[k.Value, ...], axes: tuple[str, ...]) -> tuple[str, int]:
        """Operands bind at least as tightly as the operator; what stands to the right of it more tightly."""
        sign, binds = INFIX[op]
        first = binds + (binds == COMPARED)  # comparisons would chain
        texts = [self.over(arg, axes, first if place == 0 else binds + 1) for place, arg in enumerate(args)]
        if op in ("and", "or") and axes:
            texts = [self._lifted(arg) or text for arg, text in zip(args, texts, strict=True)]
        return f" {sign} ".join(texts), binds

    def _lifted(self, arg: k.Value) -> str | None:
        """A comparison of real scalars beside tiles, as tensors: the interpreter gives scalars a real type."""
        if isinstance(arg, k.Use) and self.type(arg) == TileType((), "bool"):
            return f"({self.text(arg)}.to(tl.float32) + tl.zeros([1], tl.float32) > 0)"
        if not isinstance(arg, k.Map) or arg.op not in COMPARISONS or self.type(arg).axes:
            return None
        if not self.type(arg.args[0]).dtype.startswith("float"):
            return None
        a, b = (self.text(item, ADDED) for item in arg.args)
        return f"({a} + tl.zeros([1], tl.float32) {INFIX[arg.op][0]} {b})"

    def _cast(self, value: k.Value, axes: tuple[str, ...], dtype: str) -> tuple[str, int]:
        nodes = tuple(walk(value))
        if any(isinstance(node, k.Use | k.Size | k.Coord | k.First | k.Last) for node in nodes):
            walked = any(isinstance(node, k.Coord) and self.steps.get(node.index, 0) is None for node in nodes)
            if walked and not self.type(value).axes:  # a number in the interpreter
                return f"tl.cast({self.text(value)}, {dtype})", ATOM
            return f"{self.over(value, axes, ATOM)}.to({dtype})", ATOM
        if dtype.startswith("tl.float"):  # a number has no `.to`
            return f"{self.over(value, axes, MULTIPLIED)} * 1.0", MULTIPLIED
        return self.over(value, axes, ATOM), ATOM

    def _power(self, args: tuple[k.Value, ...], axes: tuple[str, ...]) -> tuple[str, int]:
        base, exponent = args
        if isinstance(exponent, k.Const) and float(exponent.value).is_integer() and 0 < exponent.value <= 8:
            return " * ".join([self.over(base, axes, ATOM)] * int(exponent.value)), MULTIPLIED
        name = "power" if self.type(k.Map("pow", args)).dtype.startswith("float") else "whole_power"
        self.helpers.add(name)
        return f"{name}({self.over(base, axes)}, {self.over(exponent, axes)})", ATOM

    def _dot(self, value: k.Dot) -> str:
        a, b = self._operand(value.a, value.over, True), self._operand(value.b, value.over, False)
        kinds = {self.type(value.a).dtype, self.type(value.b).dtype}
        if kinds & {"float16", "bfloat16"}:
            self.narrow = True
            return f"tl.dot({a}.to(DOT), {b}.to(DOT))"
        return f'tl.dot({a}, {b}, input_precision="ieee")'

    def _operand(self, value: k.Value, over: str, left: bool) -> str:
        """One side of a matrix product: the summed axis last on the left side, first on the right."""
        text, axes = self.text(value), self.type(value).axes
        if self.padded(over) and not self._is_load(value):
            text = f"tl.where({self.within(over, axes)}, {text}, 0.0)"
        last = axes[-1] == over
        return text if last == left else f"tl.trans({text})"

    def _is_load(self, value: k.Value) -> bool:
        return isinstance(value, k.Use) and value.name not in self.computed

    def _reduce(self, value: k.Reduce) -> str:
        axes = self.type(value.x).axes
        text = self.text(value.x)
        if self.padded(value.over):
            text = f"tl.where({self.within(value.over, axes)}, {text}, {IDENTITY[value.op]})"
        place = axes.index(value.over)
        match value.op:
            case "sum" | "max" | "min":
                return f"tl.{value.op}({text}, {place})"
            case "prod":
                self.helpers.add("multiply")
                return f"tl.reduce({text}, {place}, multiply)"
            case "any":
                return f"(tl.max(({text}).to(tl.int32), {place}) > 0)"
            case _:
                return f"(tl.min(({text}).to(tl.int32), {place}) > 0)"


def _literal(number: bool | int | float, dtype: str) -> str:
    if isinstance(number, bool):
        return str(number)
    if dtype in ("int32", "int64"):
        return str(int(number))
    if dtype == "float32" and (narrow := ctypes.c_float(number).value) in (0.0, math.inf, -math.inf):
        number = narrow  # outside its range
    if math.isinf(number):
        return 'float("inf")' if number > 0 else 'float("-inf")'
    if math.isnan(number):
        return 'float("nan")'
    return repr(float(number))
