"""Kernel values in Triton: tensors with their axes in canonical order, broadcast by `[:, None]`."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from attnc.ir import kernel as k
from attnc.ir.kernel import Kernel, TileType
from attnc.ir.operators import COMPARISONS
from attnc.ir.tile_types import tile_type
from attnc.ir.walk import walk

INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "=="}
INFIX |= {"ne": "!=", "and": "&", "or": "|"}
CALLS = {
    "exp": "tl.exp({0})",
    "exp2": "tl.exp2({0})",
    "log": "tl.log({0})",
    "log2": "tl.log2({0})",
    "log1p": "tl.log(1.0 + {0})",
    "expm1": "(tl.exp({0}) - 1.0)",
    "sqrt": "tl.sqrt({0})",
    "rsqrt": "(1.0 / tl.sqrt({0}))",
    "abs": "tl.abs({0})",
    "sign": "tl.where({0} > 0, 1, tl.where({0} < 0, -1, 0))",
    "tanh": "tanh({0})",
    "uniform": "uniform({0}, {1}, {2}, {3}, {4})",
    "sigmoid": "tl.sigmoid({0})",
    "softplus": "(tl.maximum({0}, 0.0) + tl.log(1.0 + tl.exp(-tl.abs({0}))))",
    "relu": "tl.maximum({0}, 0)",
    "silu": "({0} * tl.sigmoid({0}))",
    "gelu": "(0.5 * {0} * (1.0 + tl.erf({0} * 0.7071067811865476)))",
    "erf": "tl.erf({0})",
    "sin": "tl.sin({0})",
    "cos": "tl.cos({0})",
    "xlogx": "tl.where({0} == 0, 0.0, {0} * tl.log(tl.where({0} == 0, 1.0, {0})))",
    "clamp": "tl.minimum(tl.maximum({0}, {1}), {2})",
    "floor": "tl.floor({0}).to(tl.int64)",
    "ceil": "tl.ceil({0}).to(tl.int64)",
    "round": "(tl.floor({0}) + tl.where(_above({0}), 1.0, 0.0)).to(tl.int64)".replace(
        "_above({0})",
        "({0} - tl.floor({0}) > 0.5) | (({0} - tl.floor({0}) == 0.5) & (tl.floor({0} * 0.5) * 2.0 != tl.floor({0})))",
    ),
    "mod": "(({0} % {1} + {1}) % {1})",
    "floordiv": "(({0} - ({0} % {1} + {1}) % {1}) // {1})",
    "not": "({0} == 0)",
    "neg": "(-{0})",
}
IDENTITY = {"sum": "0", "prod": "1", "max": 'float("-inf")', "min": 'float("inf")', "any": "0", "all": "1"}
DTYPES = {
    "bool": "tl.int1",
    "int32": "tl.int32",
    "int64": "tl.int64",
    "float16": "tl.float16",
    "bfloat16": "tl.bfloat16",
}
DTYPES |= {"float32": "tl.float32", "float64": "tl.float64"}
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
        self.parallel = self.kernel.parallel.index if self.kernel.parallel else None
        self.axes = {axis.index: axis for axis in (*self.kernel.axes, *self.kernel.grid)}
        if self.kernel.parallel:
            self.axes[self.kernel.parallel.index] = self.kernel.parallel
        self.inner = {axis.index for axis in self.kernel.axes if axis.extent is not None}

    # ---- shapes ------------------------------------------------------------------------------

    def tiled(self, index: str) -> bool:
        """Whether an index is a tile axis here."""
        if index in self.steps:
            return self.steps[index] is not None
        return index in self.inner or index == self.parallel

    def type(self, value: k.Value) -> TileType:
        """The type of a value, its axes in canonical order."""
        found = tile_type(value, self.named, self.tiled, self.kernel.compute)
        order = [*([self.parallel] if self.parallel else []), *(axis.index for axis in self.kernel.axes)]
        return TileType(tuple(axis for axis in order if axis in found.axes), found.dtype)

    def width(self, index: str) -> int:
        """The lanes of a tile axis: a power of two."""
        if index in self.inner:
            return max(MINIMUM, 1 << max(0, (self.axes[index].extent or 0) - 1).bit_length())
        return self.steps.get(index) or self.axes[index].tile

    def padded(self, index: str) -> bool:
        """Whether an inner axis has lanes beyond its extent."""
        return index in self.inner and self.width(index) != self.axes[index].extent

    @contextmanager
    def walking(self, index: str, step: int | None) -> Iterator[None]:
        """Inside a loop over the index."""
        self.steps[index] = step
        yield
        del self.steps[index]

    def spread(self, text: str, own: tuple[str, ...], axes: tuple[str, ...]) -> str:
        """A value of some axes, shaped to broadcast over others."""
        if own == axes or not own:
            return text
        marks = ", ".join(":" if axis in own else "None" for axis in axes)
        return f"{text}[{marks}]"

    # ---- text --------------------------------------------------------------------------------

    def text(self, value: k.Value) -> str:
        """The value as an expression over its own axes."""
        match value:
            case k.Const(number, dtype):
                return _literal(number, dtype)
            case k.Size(name):
                return f"{name}_size"
            case k.Coord(index):
                return f"o_{index}" if self.tiled(index) else f"i_{index}"
            case k.First(index):
                return f"{index}_first"
            case k.Last(index):
                return f"{index}_last"
            case k.Inside(index):
                return f"(o_{index} < {self.text(self.axes[index].hi)})" if self.tiled(index) else "True"
            case k.Use(name):
                return f"b_{name}"
            case k.Map(op, args):
                return self._map(op, args, self.type(value).axes)
            case k.Dot():
                return self._dot(value)
            case k.Reduce():
                return self._reduce(value)

    def over(self, value: k.Value, axes: tuple[str, ...]) -> str:
        """The value broadcast over these axes."""
        text = self.text(value)
        own = self.type(value).axes
        simple = isinstance(value, k.Use | k.Coord) or own == axes or not own
        return self.spread(text if simple else f"({text})", own, axes)

    def _map(self, op: str, args: tuple[k.Value, ...], axes: tuple[str, ...]) -> str:
        texts = [self.over(arg, axes) for arg in args]
        if op == "select":
            return f"tl.where({', '.join(texts)})"
        if op.startswith("cast:"):
            return self._cast(args[0], texts[0], DTYPES[op.removeprefix("cast:")])
        if op in ("max", "min"):
            result = texts[0]
            for text in texts[1:]:
                result = f"tl.{op}imum({result}, {text})"
            return result
        if op == "pow":
            return self._power(args, texts)
        if op in ("and", "or") and axes:
            texts = [self._lifted(arg, text) for arg, text in zip(args, texts, strict=True)]
        if op in ("tanh", "uniform"):
            self.helpers.add(op)
        if op in CALLS:
            return CALLS[op].format(*(text if _plain(text) else f"({text})" for text in texts))
        return "(" + f" {INFIX[op]} ".join(texts) + ")"

    def _lifted(self, arg: k.Value, text: str) -> str:
        """A comparison of real scalars beside tiles, as tensors: the interpreter gives scalars a real type."""
        real = isinstance(arg, k.Map) and arg.op in COMPARISONS and not self.type(arg).axes
        if not real or not isinstance(arg, k.Map) or not self.type(arg.args[0]).dtype.startswith("float"):
            return text
        a, b = (self.text(item) for item in arg.args)
        return f"(({a} + tl.zeros([1], tl.float32)) {INFIX[arg.op]} {b})"

    def _cast(self, value: k.Value, text: str, dtype: str) -> str:
        if not any(isinstance(node, k.Use | k.Size | k.Coord | k.First | k.Last) for node in walk(value)):
            return f"({text} * 1.0)" if dtype.startswith("tl.float") else f"({text})"  # a number has no `.to`
        return f"{text}.to({dtype})" if _plain(text) else f"({text}).to({dtype})"

    def _power(self, args: tuple[k.Value, ...], texts: list[str]) -> str:
        exponent = args[1]
        if isinstance(exponent, k.Const) and float(exponent.value).is_integer() and 0 < exponent.value <= 8:
            return "(" + " * ".join([texts[0]] * int(exponent.value)) + ")"
        return f"tl.exp2({texts[1]} * tl.log2({texts[0]}))"

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
            mask = self.spread(f"(o_{over} < {self.text(self.axes[over].hi)})", (over,), axes)
            text = f"tl.where({mask}, {text}, 0.0)"
        last = axes[-1] == over
        return text if last == left else f"tl.trans({text})"

    def _is_load(self, value: k.Value) -> bool:
        return isinstance(value, k.Use) and value.name not in self.computed

    def _reduce(self, value: k.Reduce) -> str:
        axes = self.type(value.x).axes
        text = self.text(value.x)
        if self.padded(value.over):
            mask = self.spread(f"(o_{value.over} < {self.text(self.axes[value.over].hi)})", (value.over,), axes)
            text = f"tl.where({mask}, {text}, {IDENTITY[value.op]})"
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


def _plain(text: str) -> bool:
    return text.replace("_", "a").replace(".", "a").isalnum() or (
        text.startswith("(") and text.endswith(")") and _closed(text)
    )


def _closed(text: str) -> bool:
    depth = 0
    for place, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0 and place < len(text) - 1:
            return False
    return True


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
