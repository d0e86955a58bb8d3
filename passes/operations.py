"""What a stage computes for one score: matrix products, functions, other operations, how often loops repeat them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Literal

from attnc.ir.cascade import Cascade, Choose, Expr, Map, Read, Reduce
from attnc.ir.indices import free_indices
from attnc.ir.kernel import DType
from attnc.ir.sizes import whole
from attnc.ir.stage import Accumulator, Stream, inner_indices
from attnc.ir.walk import walk
from attnc.passes.walked import Walked, multiplied, opened, walked

FUNCTIONS = frozenset(("exp", "exp2", "log", "log2", "log1p", "expm1", "sigmoid", "softplus", "erf", "gelu", "silu"))
FUNCTIONS |= {"tanh", "sin", "cos", "pow", "xlogx", "rsqrt", "sqrt"}
FREE = frozenset(("real", "int", "stop", "neg"))
HALVES = ("float16", "bfloat16")

Side = int | Literal["rows", "keys"]


@dataclass(frozen=True)
class Product:
    """A matrix product: multiply-adds for a score, how long the sides of its result and its sum are.

    `wide`: both its operands are float32.
    """

    terms: int
    sides: tuple[Side, ...]
    summed: Side
    wide: bool


def operand_types(stream: Stream, cascade: Cascade, dtypes: Mapping[str, DType]) -> frozenset[DType]:
    """The types of the real inputs that a stage reads along an inner axis."""
    inner = {*inner_indices(stream, cascade)}
    given = (item for item in cascade.inputs if item.type == "real" and {*item.indices} & inner)
    return frozenset(dtypes[item.name] for item in given if item.name in dtypes)


@dataclass(frozen=True)
class Operations:
    """What a stage computes for a score, told from the expressions of its lifts."""

    stream: Stream
    cascade: Cascade
    dtypes: Mapping[str, DType]
    extents: Mapping[str, int]
    exprs: tuple[Expr, ...]

    # ---- indices -----------------------------------------------------------------------------

    @cached_property
    def positions(self) -> frozenset[str]:
        """The indices along which a tile has columns."""
        if self.stream.columns is not None:
            return frozenset((self.stream.columns,))
        return frozenset(item.index for item in self.stream.monoid.segments if item.index is not None)

    @cached_property
    def inner(self) -> frozenset[str]:
        """The indices that are whole inside a tile, or walked there."""
        return frozenset(inner_indices(self.stream, self.cascade))

    @cached_property
    def axes(self) -> frozenset[str]:
        """All indices that may be axes of a value."""
        return self.inner | self.positions | {*self.stream.tiled}

    @cached_property
    def walked(self) -> Walked:
        """What loops inside a turn walk."""
        return walked(self.exprs, self.axes, self.inner)

    def width(self, indices: Iterable[str]) -> int:
        """How many values the inner ones among these indices make."""
        return prod(max(1, self._extent(index)) for index in indices if index in self.inner)

    def _extent(self, index: str) -> int:
        item = self.cascade.range(index)
        return whole(item.hi, self.extents) - whole(item.lo, self.extents)

    def _lanes(self, index: str) -> int:
        """The lanes of an inner index: the power of two that holds them, 16 at least."""
        return max(16, 1 << max(0, self._extent(index) - 1).bit_length())

    def _side(self, index: str) -> Side:
        if index in self.inner:
            return self._lanes(index)
        return "rows" if index == self.stream.parallel else "keys"

    def _turns(self, indices: Iterable[str]) -> int:
        """How many turns of loops inside a turn there are over these indices."""
        return self.width(self.walked.indices.intersection(indices))

    # ---- operations --------------------------------------------------------------------------

    @cached_property
    def sums(self) -> dict[Reduce, None]:
        """Every reduction inside a point's contribution, once."""
        return {node: None for expr in self.exprs for node in walk(expr) if isinstance(node, Reduce)}

    @property
    def tiled(self) -> frozenset[str]:
        """The axes of values inside the loops that walk some."""
        return self.axes - self.walked.indices

    def inner_products(self) -> Iterator[Product]:
        """A term for each point of a sum over inner indices that no loop walks."""
        for node in self.sums:
            held, (over, parts) = free_indices(node) & self.tiled, opened(node, self.tiled)
            summed = [index for index in over if index in self.tiled]
            if summed and len(held) <= 2:  # else it is taken together with another
                terms = self.width(summed) * self._turns((*free_indices(node), *over))
                lanes = prod(map(self._lanes, summed))
                yield Product(terms, tuple(map(self._side, sorted(held))), lanes, self._wide(parts, summed))

    def outer_products(self) -> Iterator[Product]:
        """A term for each column of an accumulator with columns, where positions are folded."""
        for item in self.with_columns if self.positions else ():
            products = [multiplied(lift.body, self.tiled) for lift in item.lifts]
            turns = self._turns(index for over, _ in products for index in over)
            wide = all(self._wide(parts, self.positions) for _, parts in products)
            sides = tuple(self._side(index) for index in item.axes if index in self.axes)
            yield Product(self.width(item.axes) * turns, sides, "keys", wide)

    @cached_property
    def with_columns(self) -> list[Accumulator]:
        """Accumulators with columns."""
        return [item for item in self.stream.monoid.accumulators if self.width(item.axes) > 1]

    def _wide(self, parts: Iterable[Expr], over: Iterable[str]) -> bool:
        """Whether both operands of a product are float32: neither is read in 16 bits, nor is all that is."""
        read = (item for item in parts if isinstance(item, Read) and free_indices(item) & {*over})
        halves = any(self.dtypes.get(item.tensor) in HALVES for item in read)
        return not halves and self._read_along != {"bfloat16"}

    @cached_property
    def _read_along(self) -> frozenset[DType]:
        return operand_types(self.stream, self.cascade, self.dtypes)

    def times(self, nodes: Iterable[Expr]) -> int:
        """How often these are evaluated for a score, or for a row with all its features."""
        along = ((node, free_indices(node)) for node in nodes)
        return sum(self._turns(free | self._bound(node)) * self.width(free & self.features) for node, free in along)

    @cached_property
    def features(self) -> frozenset[str]:
        """What the values of a row are for, where only rows are tiled."""
        columns = () if self.positions else self.with_columns
        return self.inner.intersection(index for item in columns for index in item.axes)

    def _bound(self, node: Expr) -> frozenset[str]:
        return frozenset(opened(node, self.tiled)[0]) if isinstance(node, Reduce) else frozenset()

    @cached_property
    def functions(self) -> list[Expr]:
        """Functions of scores, equal ones once."""
        return [node for node in self._on_scores if isinstance(node, Map) and node.op in FUNCTIONS]

    @cached_property
    def others(self) -> list[Expr]:
        """The remaining operations on scores."""
        known = FUNCTIONS | FREE
        return [node for node in self._on_scores if isinstance(node, Choose) or node.op not in known]

    @cached_property
    def folds(self) -> list[Reduce]:
        """What loops inside a turn complete for each score."""
        return [node for node in self.walked.folds if self.of_pair(node)]

    @cached_property
    def _on_scores(self) -> set[Map | Choose]:
        nodes = (node for expr in self.exprs for node in walk(expr) if isinstance(node, Map | Choose))
        if self.stream.stream is None and self.stream.columns is None:
            return {node for node in nodes if self._of_row(node)}
        return {node for node in nodes if self.of_pair(node)}

    def _of_row(self, node: Expr) -> bool:
        return self.stream.parallel is None or self.stream.parallel in free_indices(node)

    def of_pair(self, node: Expr) -> bool:
        """Whether a value depends on the row and the position."""
        return self._of_row(node) and bool(free_indices(node) & self.positions)
