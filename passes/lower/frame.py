"""What surrounds a kernel's statements: sizes the host computes, axes, parameters, types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from zlib import crc32

from attnc.ir import kernel as k
from attnc.ir.cascade import Cascade, Choose, Const, Expr, Map, Size, Type
from attnc.ir.indices import free_indices
from attnc.ir.kernel import DType
from attnc.ir.print_expression import show
from attnc.ir.sizes import evaluate
from attnc.ir.stage import Stream, inner_indices
from attnc.ir.target import Target
from attnc.ir.types import type_of, types_of
from attnc.ir.walk import walk
from attnc.passes.operations import operand_types
from attnc.passes.tiles import Tiles

_WORDS = {"//": "_div_", "%": "_mod_", "-": "_minus_", "+": "_plus_", "*": "_times_"}


@dataclass
class Frame:
    """What a kernel is made for; `sizes` collects the scalars that the launcher hands over."""

    stream: Stream
    cascade: Cascade
    target: Target
    dtypes: Mapping[str, DType]
    extents: Mapping[str, int]
    tiles: Tiles
    sizes: dict[str, Expr] = field(default_factory=dict)

    @cached_property
    def compute(self) -> DType:
        """The type of arithmetic: float64 where an operand is."""
        return "float64" if "float64" in self.dtypes.values() else "float32"

    @cached_property
    def streams(self) -> tuple[str, ...]:
        """The indices of the segments."""
        found = (segment.index for segment in self.stream.monoid.segments)
        return tuple(dict.fromkeys(index for index in found if index is not None))

    @cached_property
    def inner(self) -> tuple[str, ...]:
        """The indices that are whole inside a tile."""
        return inner_indices(self.stream, self.cascade)

    @cached_property
    def operand_types(self) -> frozenset[DType]:
        """The types of the real inputs that have an inner axis."""
        return operand_types(self.stream, self.cascade, self.dtypes)

    @cached_property
    def scales_first(self) -> bool:
        """Whether scores are scaled to base 2 before their reference is taken off.

        Both take one instruction, at the cost of the reference's low bits: of no account beside the rounding of 16-bit
        inputs, but beside that of float32 ones.
        """
        return any(dtype in ("float16", "bfloat16") for dtype in self.dtypes.values())

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The canonical order of axes."""
        return (*self.stream.tiled, *self.streams, *self.inner)

    @cached_property
    def _types(self) -> dict[str, Type]:
        return types_of(self.cascade)

    def kind(self, expr: Expr) -> Type:
        """The language's type of an expression."""
        return type_of(expr, self._types.__getitem__)

    @cached_property
    def conditioned(self) -> frozenset[str]:
        """The indices that some condition mentions: what is in range elsewhere is so by ranges alone."""
        monoid = self.stream.monoid
        found: set[str] = set()
        for item in monoid.parts:
            for lift in item.lifts:
                found |= {index for test in lift.when for index in free_indices(test)}
        for node in walk(monoid):
            if isinstance(node, Choose):
                found |= free_indices(node.test)
            for test in getattr(node, "when", ()):
                found |= free_indices(test)
        return frozenset(found)

    # ---- sizes -----------------------------------------------------------------------------

    def size(self, expr: Expr) -> k.Value | None:
        """An integer expression of sizes as a number or a scalar of the launch; None for any other expression."""
        if self.kind(expr) != "int" or not is_size(expr):
            return None
        if all(node.index in self.extents for node in walk(expr) if isinstance(node, Size)):
            return whole(int(evaluate(expr, self.extents)))
        name = expr.index if isinstance(expr, Size) else _slug(expr)
        while self.sizes.setdefault(name, expr) != expr:
            name += "_"
        return k.Size(name)

    def plain_size(self, expr: Expr) -> k.Value:
        """A bound of a range, which is an expression of sizes."""
        found = self.size(expr)
        assert found is not None, f"not an expression of sizes: {show(expr)}"
        return found

    def extent(self, index: str) -> int:
        """The extent of an inner index."""
        item = self.cascade.range(index)
        return max(0, int(evaluate(item.hi, self.extents)) - int(evaluate(item.lo, self.extents)))

    # ---- axes and parameters ---------------------------------------------------------------

    def width(self, index: str) -> int:
        """The lanes of an inner index: a GPU's tiles are powers of two, 16 at least."""
        extent = self.extent(index)
        if self.target.kind == "cpu":
            return extent
        return max(16, 1 << (extent - 1).bit_length()) if extent else 16

    def padded(self, index: str) -> bool:
        """Whether a tile that is summed along this axis has lanes outside it: an inner one, or that of its rows."""
        if index == self.stream.parallel:
            return bool(self.stream.monoid.adds)
        return index in self.inner and self.width(index) != self.extent(index)

    def axis(self, index: str) -> k.Axis:
        """An index as the kernel sees it."""
        item = self.cascade.range(index)
        lo, hi = self.plain_size(item.lo), self.plain_size(item.hi)
        if index in self.inner:
            return k.Axis(index, lo, hi, self.width(index), self.extent(index))
        return k.Axis(index, lo, hi, self._tile(index))

    def _tile(self, index: str) -> int:
        """How many positions of an index that is not inner a program or a turn of its loop takes."""
        stream = self.stream
        if index in stream.grid or (stream.columns is not None and index in self.streams):
            return 1
        return self.tiles.parallel if index == stream.parallel else self.tiles.stream

    def bounds(self, tensor: str) -> tuple[tuple[Expr, Expr], ...]:
        """The interval of each axis of a tensor."""
        given = self.cascade.input(tensor)
        if given is not None:
            ranges = [self.cascade.range(index) for index in given.indices]
            return tuple((item.lo, item.hi) for item in ranges)
        defined = self.cascade.tensor(tensor)
        assert defined is not None
        return defined.axes

    def param(self, name: str, output: bool) -> k.Param:
        """A tensor argument."""
        return k.Param(name, self.dtypes[name], tuple(self.plain_size(lo) for lo, _ in self.bounds(name)), output)


def is_size(expr: Expr) -> bool:
    """Whether an expression is over sizes and constants alone."""
    return all(isinstance(node, Size | Const | Map | Choose) for node in walk(expr))


def whole(value: int) -> k.Const:
    """An integer literal."""
    return k.Const(value, "int32" if abs(value) < 1 << 31 else "int64")


def _slug(expr: Expr) -> str:
    text = show(expr)
    for sign, word in _WORDS.items():
        text = text.replace(sign, word)
    text = re.sub(r"_+", "_", re.sub(r"\W+", "_", text)).strip("_")
    if len(text) > 40:
        return f"size_{crc32(text.encode()):x}"
    return f"size_{text}" if text[0].isdigit() else text
