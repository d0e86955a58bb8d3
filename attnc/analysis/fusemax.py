"""FuseMax's accelerator against FLAT's and an unfused one, as closed forms (Nayak et al., MICRO 2024).

Three attention accelerators of one size: a 256 x 256 array of multiply-adds, a row of 256 units for the
rest, a buffer and a DRAM channel. Time is the larger of computing and moving, in cycles per score:
every B * H * N * N scores cost `cycles` of the array, which takes 256 * 256 of them at a time.

What is model, and what is not. FuseMax, the two steps towards it, and the unfused machine follow from
their mappings alone. FLAT's mapping is the result of a search: while a block of its score rows fits the
buffer, its traffic depends on what the search found; but there its exponentials on the 256 units take
longer than any such traffic, so its time is known. Once the rows do not fit, scores and weights go out and
come back, keys and values are read again for every block of 1024 queries. That the rows fit up to
N = 64K, 256 rows of 16-bit scores in 32 MiB, is read off the published results, not derived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import fmean, geometric_mean

CLOCK = 940e6
BANDWIDTH = 400 * 2**30
SIDE = 256
WORD = 2
FUSEMAX_BUFFER = 16 * 2**20
FLAT_BUFFER = 32 * 2**20
FLAT_ROWS = 1024
LENGTHS = tuple(2**power for power in (10, 12, 14, 16, 18, 20))
EXPONENTIAL = 6  # chained multiply-adds of a Taylor series
SOFTMAX_STEPS = 4  # maximum, exponential, sum, division on the row of units


@dataclass(frozen=True, slots=True)
class Workload:
    """One layer of a model: batch, heads, depth of queries and keys, depth of values."""

    name: str
    heads: int
    depth: int
    batch: int = 64

    def scores(self, length: int) -> int:
        """How many scores there are: B * H * N * N."""
        return self.batch * self.heads * length * length

    def tiles(self, length: int) -> float:
        """How many times the array is filled with scores."""
        return self.scores(length) / SIDE**2

    def words(self, length: int) -> int:
        """How many values one operand has: B * H * N * E."""
        return self.batch * self.heads * length * self.depth


WORKLOADS = (Workload("BERT", 12, 64), Workload("TrXL", 16, 64), Workload("T5", 8, 64), Workload("XLM", 16, 128))


def fusemax(work: Workload, length: int) -> float:
    """Seconds with the one-pass cascade, its hardware and interleaved binding.

    Per tile: scores and their maximum beside the previous tile's state; the running maximum; the
    exponentials; the weighted values. The last addend of the first row is the division, once per row.
    """
    depth = work.depth
    cycles = max(depth + 1, 1 + depth + depth * SIDE / length) + 1 + (2 + EXPONENTIAL) + depth
    return max(work.tiles(length) * cycles / CLOCK, fusemax_traffic(work, length) / BANDWIDTH)


def fusemax_traffic(work: Workload, length: int) -> float:
    """Bytes: queries in, results out, keys and values once per block of queries that fits the buffer."""
    once = 2 * work.words(length)
    blocks = length / (query_tiles(work, length) * SIDE)
    return WORD * (once + once * blocks)


def query_tiles(work: Workload, length: int) -> int:
    """How many tiles of queries stay on chip: the largest divisor of N / 256 whose state fits the buffer."""
    tiles = length // SIDE
    state = WORD * SIDE * (2 * work.depth + 2)
    keys_and_values = WORD * SIDE * 2 * work.depth
    fitting = (n for n in range(tiles, 0, -1) if tiles % n == 0 and n * state + keys_and_values <= FUSEMAX_BUFFER)
    return next(fitting, 1)


def utilisation(work: Workload, length: int) -> float:
    """The share of FuseMax's time in which its array computes."""
    busy = (work.depth + 1 + (1 + EXPONENTIAL) + 1 + work.depth) * work.tiles(length) / CLOCK
    return busy / fusemax(work, length)


def with_architecture(work: Workload, length: int) -> float:
    """Seconds with the one-pass cascade and FuseMax's hardware, its steps one after the other.

    The 256 cycles are the wait for the running maximum to cross the array.
    """
    depth = work.depth
    cycles = max(depth + 1, 1 + depth * SIDE / length) + SIDE + 1 + (2 + EXPONENTIAL) + 2 * depth
    return work.tiles(length) * cycles / CLOCK


def with_cascade(work: Workload, length: int) -> float:
    """Seconds with the one-pass cascade on FLAT's hardware: all but the products on the row of units.

    The corrections come on top of the softmax: 5 + 2 F per row and tile of keys, and F divisions per row.
    """
    corrections = 5 + 2 * work.depth
    cycles = SOFTMAX_STEPS + corrections / SIDE + work.depth / length
    return work.scores(length) / SIDE * cycles / CLOCK


def flat(work: Workload, length: int) -> float:
    """Seconds of FLAT: fused, three passes, so that whole rows of scores must be kept or go out."""
    softmax = SOFTMAX_STEPS * work.scores(length) / SIDE / CLOCK
    products = 2 * work.depth * work.tiles(length) / CLOCK
    return max(softmax, products, _flat_spill(work, length) / BANDWIDTH)


def _flat_spill(work: Workload, length: int) -> float:
    if SIDE * length * WORD <= FLAT_BUFFER:
        return 0.0
    reread = 2 * work.depth / FLAT_ROWS
    return WORD * work.scores(length) * (4 + reread)


def unfused(work: Workload, length: int) -> float:
    """Seconds of one operation after the other: scores out, softmax in and out, weights in."""
    scores = work.scores(length)
    product = max((WORD * scores + 2 * WORD * work.words(length)) / BANDWIDTH, _product(work, length))
    softmax = max(2 * WORD * scores / BANDWIDTH, SOFTMAX_STEPS * scores / SIDE / CLOCK)
    return 2 * product + softmax


def _product(work: Workload, length: int) -> float:
    return work.depth * work.tiles(length) / CLOCK


@dataclass(frozen=True, slots=True)
class Row:
    """One workload at one length: how many times faster than FLAT each step is, and than unfused."""

    workload: str
    length: int
    cascade: float
    architecture: float
    fusemax: float
    over_unfused: float
    utilisation: float


def table() -> tuple[Row, ...]:
    """Every workload at every length, in the order of the published figures."""
    return tuple(_rows())


def _rows() -> Iterator[Row]:
    for work in WORKLOADS:
        for length in LENGTHS:
            base, best = flat(work, length), fusemax(work, length)
            yield Row(
                workload=work.name,
                length=length,
                cascade=base / with_cascade(work, length),
                architecture=base / with_architecture(work, length),
                fusemax=base / best,
                over_unfused=unfused(work, length) / best,
                utilisation=utilisation(work, length),
            )


@dataclass(frozen=True, slots=True)
class Summary:
    """The means over all workloads and lengths."""

    cascade: float
    architecture: float
    fusemax: float
    fusemax_geometric: float
    over_unfused: float


def summary() -> Summary:
    """How many times faster than FLAT, and than unfused, on average."""
    rows = table()

    def mean(of: Callable[[Row], float]) -> float:
        return fmean(of(row) for row in rows)

    return Summary(
        cascade=mean(lambda row: row.cascade),
        architecture=mean(lambda row: row.architecture),
        fusemax=mean(lambda row: row.fusemax),
        fusemax_geometric=geometric_mean(row.fusemax for row in rows),
        over_unfused=mean(lambda row: row.over_unfused),
    )
