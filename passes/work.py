"""What a stream does for one score and moves for one position: the quantities that tile sizes are chosen by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from attnc.ir.cascade import Cascade, Choose, Expr, Map, Read, Reduce, Var
from attnc.ir.indices import free_indices
from attnc.ir.kernel import DType
from attnc.ir.node import Node
from attnc.ir.sizes import whole
from attnc.ir.stage import Stream
from attnc.ir.walk import substitute, walk

FUNCTIONS = frozenset(("exp", "exp2", "log", "log2", "log1p", "expm1", "sigmoid", "softplus", "erf", "gelu", "silu"))
FUNCTIONS |= {"tanh", "sin", "cos", "pow", "xlogx", "rsqrt", "sqrt"}
SCORE_TILES = 2  # a tile of scores and one of weights are live at once
PLAIN_OTHERS = 8  # of causal attention; each further product or accumulator of its backward has two more
MOST_FURTHER = 100  # registers: of many products a few are live at once
FREE = frozenset(("real", "int", "stop", "neg"))
BYTES: dict[DType, int] = {"bool": 1, "float16": 2, "bfloat16": 2, "int32": 4, "float32": 4, "int64": 8, "float64": 8}


@dataclass(frozen=True)
class Work:
    """Per score: operations of matrix products (a multiply-add is two), functions, other operations, bytes read.

    Per position of the stream, or per column: bytes read. Per row: bytes of operands, values of state. `live` are
    the values held at once per score. Where only rows are tiled, each row counts as one score. `walks`: a row's
    operands stay while a stream of positions goes by; `further` weighs what its tiles hold beside one product, one
    accumulator with columns and no value for each position, `extra` are operations beyond those of plain attention.
    """

    products: int
    functions: int
    others: int
    score_bytes: int
    position_bytes: int
    row_bytes: int
    state: int
    live: int
    walks: bool
    further: int
    extra: int

    def moved(self, rows: int, keys: int) -> float:
        """The bytes read for a score of a tile."""
        return self.position_bytes / rows + self.score_bytes + (0 if self.walks else self.row_bytes / keys)


def work_of(stream: Stream, cascade: Cascade, dtypes: Mapping[str, DType], extents: Mapping[str, int]) -> Work:
    """The work of a stream per score, position and row; a tensor without a type counts as float32."""
    counter = _Counter(stream, cascade, dtypes, extents)
    lifts = [lift for item in stream.monoid.parts for lift in item.lifts]
    shifted: dict[Node, Node] = {Var(item.shifted): item.lifts[0].body for item in stream.monoid.gauges if item.lifts}
    exprs = dict.fromkeys(substitute(expr, shifted) for lift in lifts for expr in (lift.body, *lift.when))
    others = counter.others(exprs) + 2 * len(stream.monoid.gauges) + len(stream.monoid.accumulators)
    usual = PLAIN_OTHERS + 2 * (counter.pairs(exprs) + counter.wide() - 2)
    return Work(
        products=counter.products(exprs),
        functions=counter.functions(exprs),
        others=others,
        score_bytes=counter.bytes(exprs, row=True, position=True),
        position_bytes=counter.bytes(exprs, row=False, position=True),
        row_bytes=counter.bytes(exprs, row=True, position=False),
        state=0 if stream.columns else sum(counter.width(item.axes) for item in stream.monoid.parts),
        live=counter.live(exprs),
        walks=stream.stream is not None and stream.columns is None,
        further=counter.further(exprs),
        extra=max(0, others + 3 * counter.integers(exprs) - usual),
    )


@dataclass(frozen=True)
class _Counter:
    stream: Stream
    cascade: Cascade
    dtypes: Mapping[str, DType]
    extents: Mapping[str, int]

    @property
    def _positions(self) -> frozenset[str]:
        if self.stream.columns is not None:
            return frozenset((self.stream.columns,))
        return frozenset(item.index for item in self.stream.monoid.segments if item.index is not None)

    def width(self, indices: Iterable[str]) -> int:
        """How many values the inner ones among these indices make."""
        total = 1
        segments = {item.index for item in self.stream.monoid.segments}
        outer = {*self.stream.tiled, *self.stream.grid, *segments}
        for index in indices:
            if index not in outer:
                item = self.cascade.range(index)
                total *= max(1, whole(item.hi, self.extents) - whole(item.lo, self.extents))
        return total

    def products(self, exprs: Iterable[Expr]) -> int:
        """Two operations for each term of an inner sum, and for each column of an accumulator with columns."""
        sums = {node for expr in exprs for node in walk(expr) if isinstance(node, Reduce)}
        inner = sum(2 * self.width(node.over) for node in sums)
        return inner + sum(
            2 * width for item in self.stream.monoid.accumulators if (width := self.width(item.axes)) > 1
        )

    def functions(self, exprs: Iterable[Expr]) -> int:
        """Functions of scores, equal ones once."""
        return sum(isinstance(node, Map) and node.op in FUNCTIONS for node in self._on_scores(exprs))

    def others(self, exprs: Iterable[Expr]) -> int:
        """The remaining operations on scores."""
        known = FUNCTIONS | FREE
        return sum(isinstance(node, Choose) or node.op not in known for node in self._on_scores(exprs))

    def _on_scores(self, exprs: Iterable[Expr]) -> set[Map | Choose]:
        nodes = (node for expr in exprs for node in walk(expr) if isinstance(node, Map | Choose))
        if self.stream.stream is None and self.stream.columns is None:
            return {node for node in nodes if self._of_row(node)}
        return {node for node in nodes if free_indices(node) & self._positions and self._of_row(node)}

    def _of_row(self, node: Expr) -> bool:
        return self.stream.parallel is None or self.stream.parallel in free_indices(node)

    def bytes(self, exprs: Iterable[Expr], *, row: bool, position: bool) -> int:
        """The bytes of reads that vary with the row, with the position, or with both, whole along inner axes."""
        total = 0
        for node in self._reads(exprs):
            free = free_indices(node)
            if (self.stream.parallel in free, bool(free & self._positions)) == (row, position):
                total += BYTES[self.dtypes.get(node.tensor, "float32")] * self.width(free)
        return total

    def live(self, exprs: Iterable[Expr]) -> int:
        """A score and a weight; of a pair its products, its operands and what is kept; of a row all that it reads."""
        columns = self.stream.columns
        if columns is None:
            rows = (self.width(free_indices(node)) for node in self._reads(exprs))
            return SCORE_TILES if self.stream.stream is not None else sum(rows)
        sums = {node for expr in exprs for node in walk(expr) if isinstance(node, Reduce)}
        pairs = [node for node in (*sums, *self._reads(exprs)) if {self.stream.parallel, columns} <= free_indices(node)]
        return max(SCORE_TILES, len(pairs)) + len(self.stream.monoid.accumulators)

    def integers(self, exprs: Iterable[Expr]) -> int:
        """Reads of 64-bit integers along the positions: comparisons of pairs take two registers a side."""
        found = (node for node in self._reads(exprs) if free_indices(node) & self._positions)
        return sum(self.dtypes.get(node.tensor) == "int64" for node in found)

    def pairs(self, exprs: Iterable[Expr]) -> int:
        """Inner sums that rows and positions share."""
        sums = {node for expr in exprs for node in walk(expr) if isinstance(node, Reduce)}
        return sum(self._of_row(node) and bool(free_indices(node) & self._positions) for node in sums)

    def wide(self) -> int:
        """Accumulators with columns."""
        return sum(self.width(item.axes) > 1 for item in self.stream.monoid.accumulators)

    def further(self, exprs: Iterable[Expr]) -> int:
        """Registers for products of pairs after the first, for values of a position, for accumulators with columns."""
        along = [one for one in map(free_indices, self._reads(exprs)) if one & self._positions]
        vectors = sum(self.width(one) == 1 and self.stream.parallel not in one for one in along)
        further = 15 * max(0, self.pairs(exprs) - 1) + 10 * vectors + 35 * max(0, self.wide() - 1)
        return min(MOST_FURTHER, further)

    def _reads(self, exprs: Iterable[Expr]) -> set[Read]:
        return {node for expr in exprs for node in walk(expr) if isinstance(node, Read)}
