"""What a stream does for one score and moves for one position: the quantities that tile sizes are chosen by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from attnc.ir.cascade import Cascade, Read, Var
from attnc.ir.indices import free_indices
from attnc.ir.kernel import DType
from attnc.ir.node import Node
from attnc.ir.stage import Stream
from attnc.ir.walk import substitute, walk
from attnc.passes.operations import Operations, Product

SCORE_TILES = 2  # a tile of scores and one of weights are live at once
PLAIN_OTHERS = 8  # of causal attention; each further product or accumulator of its backward has two more
MOST_FURTHER = 100  # registers: of many products a few are live at once
BYTES: dict[DType, int] = {"bool": 1, "float16": 2, "bfloat16": 2, "int32": 4, "float32": 4, "int64": 8, "float64": 8}


@dataclass(frozen=True)
class Work:
    """Per score: matrix products, functions, other operations, bytes read.

    Per position of the stream, or per column, and per row: bytes of operands, and those of them that are held while
    loops inside a turn walk; per position bytes that are `added` to; per row the values of state. `live` are the values
    held at once per score. Where only rows are tiled, each row counts as one score. `walks`: a row's operands stay
    while a stream of positions goes by; `further` weighs what its tiles hold beside one product, one accumulator with
    columns and no value for each position, `extra` are operations beyond those of plain attention, `folds` what loops
    inside a turn complete for each score, `columns` what they read of a position alone.
    """

    dots: tuple[Product, ...]
    functions: int
    others: int
    score_bytes: int
    position_bytes: int
    position_held: int
    added: int
    row_bytes: int
    row_held: int
    state: int
    live: int
    walks: bool
    further: int
    extra: int
    folds: int
    columns: int

    @property
    def products(self) -> int:
        """Operations of matrix products: a multiply-add is two."""
        return sum(2 * item.terms for item in self.dots)

    @property
    def wide_products(self) -> int:
        """Those of products of float32."""
        return sum(2 * item.terms for item in self.dots if item.wide)

    def moved(self, rows: int, keys: int) -> float:
        """The bytes read for a score of a tile, and written where something is added to what is there."""
        return (
            (self.position_bytes + 2 * self.added) / rows
            + self.score_bytes
            + (0 if self.walks else self.row_bytes / keys)
        )


def work_of(stream: Stream, cascade: Cascade, dtypes: Mapping[str, DType], extents: Mapping[str, int]) -> Work:
    """The work of a stream per score, position and row; a tensor without a type counts as float32."""
    lifts = [lift for item in stream.monoid.parts for lift in item.lifts]
    shifted: dict[Node, Node] = {Var(item.shifted): item.lifts[0].body for item in stream.monoid.gauges if item.lifts}
    exprs = dict.fromkeys(substitute(expr, shifted) for lift in lifts for expr in (lift.body, *lift.when))
    counter = _Counter(stream, cascade, dtypes, extents, tuple(exprs))
    corrections = 2 * len(stream.monoid.gauges) + len(stream.monoid.accumulators)
    usual = PLAIN_OTHERS + 2 * (counter.pairs + counter.wide - 2)
    return Work(
        dots=(*counter.inner_products(), *counter.outer_products()),
        functions=counter.times(counter.functions),
        others=counter.times((*counter.others, *counter.folds)) + corrections,
        score_bytes=counter.bytes(row=True, position=True),
        position_bytes=counter.bytes(row=False, position=True),
        position_held=counter.bytes(row=False, position=True, walked=False),
        added=sum(BYTES["float32"] * counter.width(item.indices) for item in stream.monoid.adds),
        row_bytes=counter.bytes(row=True, position=False),
        row_held=counter.bytes(row=True, position=False, walked=False),
        state=0 if stream.columns else sum(counter.width(item.axes) for item in stream.monoid.parts),
        live=counter.live(),
        walks=stream.stream is not None and stream.columns is None,
        further=counter.further(),
        extra=max(0, len(counter.others) + corrections + 3 * counter.integers() - usual),
        folds=len(counter.folds),
        columns=counter.columns(),
    )


@dataclass(frozen=True)
class _Counter(Operations):
    """What it reads and holds besides."""

    def bytes(self, *, row: bool, position: bool, walked: bool = True) -> int:
        """The bytes of reads that vary with the row, with the position, or with both, along inner axes: whole ones, or
        with what loops inside a turn have `walked` left out.
        """
        total, out = 0, frozenset() if walked else self.walked.indices
        for node in self._reads:
            free = free_indices(node)
            if (self.stream.parallel in free, bool(free & self.positions)) == (row, position):
                total += BYTES[self.dtypes.get(node.tensor, "float32")] * self.width(free - out)
        return total

    def live(self) -> int:
        """A score and a weight; of a pair its products, operands and what is kept; of a row what it reads and calls."""
        columns = self.stream.columns
        if columns is None:
            called = (node for node in self.functions if free_indices(node) & self.features)
            rows = (self.width(free_indices(node)) for node in (*self._reads, *called))
            return SCORE_TILES if self.stream.stream is not None else sum(rows)
        pairs = [node for node in (*self.sums, *self._reads) if {self.stream.parallel, columns} <= free_indices(node)]
        return max(SCORE_TILES, len(pairs)) + len(self.stream.monoid.accumulators)

    def columns(self) -> int:
        """Reads in loops inside a turn of one value for each position."""
        along = [free for free in map(free_indices, self._reads) if free & self.positions & self.axes]
        return sum(
            self.stream.parallel not in free and self.width(free - self.walked.indices) == 1 < self.width(free)
            for free in along
        )

    def integers(self) -> int:
        """Reads of 64-bit integers along the positions: comparisons of pairs take two registers a side."""
        found = (node for node in self._reads if free_indices(node) & self.positions)
        return sum(self.dtypes.get(node.tensor) == "int64" for node in found)

    @cached_property
    def pairs(self) -> int:
        """Inner sums that rows and positions share."""
        return sum(map(self.of_pair, self.sums))

    @property
    def wide(self) -> int:
        """Accumulators with columns."""
        return len(self.with_columns)

    def further(self) -> int:
        """Registers for products of pairs after the first, for values of a position, for accumulators with columns."""
        along = [one for one in map(free_indices, self._reads) if one & self.positions]
        vectors = sum(self.width(one) == 1 and self.stream.parallel not in one for one in along)
        further = 15 * max(0, self.pairs - 1) + 10 * vectors + 35 * max(0, self.wide - 1)
        return min(MOST_FURTHER, further)

    @cached_property
    def _reads(self) -> set[Read]:
        return {node for expr in self.exprs for node in walk(expr) if isinstance(node, Read)}
