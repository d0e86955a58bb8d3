"""A model of the target: what tiles of some size take of its memory and registers, and how many cycles a score."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from attnc.ir.target import Registers, Target
from attnc.passes.operations import Side
from attnc.passes.work import Work

CLOSE = 10  # registers that the estimate may be short of
EXTRA = 0.18  # registers for each score and operation beyond those of plain attention
FOLD = 1.5  # registers for each score of a fold that a loop inside a turn completes
COLUMN = 0.75  # registers for each position of a column that such a loop reads: addresses and a value of a few
TURN = {"cpu": 400.0, "cuda": 600.0, "hip": 600.0}  # cycles to start a turn of the loop, whatever its size
NEAR_CHIP = 32  # bytes per cycle from a CPU's second cache
PASSES = (1, 3, 5.5)  # over scores from beyond it: where all of a tile stays, the scores alone, not even these
TYPICAL = 4096  # positions: what tiles waste at the edges of a mask is weighed against a row of this length


@dataclass(frozen=True)
class Choice:
    """A candidate: its live bytes and those of them that must lie on chip, registers a thread, cycles a score and what
    bounds them; why it does not fit.
    """

    rows: int
    keys: int
    warps: int
    stages: int
    footprint: int
    onchip: int
    registers: int
    cycles: float
    bound: str
    fault: str
    resident: int

    @property
    def scores(self) -> float:
        """The scores of a warp."""
        return self.rows * self.keys / self.warps

    def holds(self, other: Choice) -> bool:
        """Whether it needs whatever the other one needs."""
        return self.warps == other.warps and self.rows >= other.rows and self.keys >= other.keys


def weighed(rows: int, keys: int, warps: int, work: Work, target: Target, narrow: bool) -> Choice:
    """What the model makes of one size of tiles."""
    cached = target.kind == "cpu"  # where what loops inside a turn come back to should still be
    held = rows * (work.row_bytes if cached else work.row_held)
    streamed = keys * (work.position_bytes if cached else work.position_held)
    stages = next((n for n in range(target.stages, 1, -1) if held + n * streamed <= target.onchip), 1)
    operands = held + stages * streamed
    footprint = operands + work.live * 4 * rows * keys + 4 * rows * work.state
    if target.kind == "cpu":
        registers, onchip, resident = 0, footprint, 1
    else:
        registers, onchip = registers_of(rows, keys, warps, work, target), operands
        resident = max(1, target.resident(registers, onchip, warps))
    fault = f"{onchip >> 10} KiB of {target.onchip >> 10}" if onchip > target.onchip else ""
    fault = f"{registers} registers" if target.spent and registers > target.registers - CLOSE else fault
    cycles = _cycles(rows, keys, warps, resident, footprint, work, target, narrow)
    return Choice(rows, keys, warps, stages, footprint, onchip, registers, *cycles, fault, resident)


def registers_of(rows: int, keys: int, warps: int, work: Work, target: Target) -> int:
    """The registers of a thread, as the target's compiler spends them; two threads at most share a row's scores."""
    threads = warps * target.warp
    scores, state = rows * keys / threads, rows * work.state / threads
    if not work.walks:
        return int(scores * work.live + state) + 40
    shared = max(scores, keys * 16 / target.warp)
    beside = (EXTRA * work.extra + FOLD * work.folds) * scores + COLUMN * work.columns * keys

    def own(spent: Registers) -> float:
        found = spent.score * (scores if spent.operand else shared) + spent.state * state + spent.further * work.further
        found += spent.address * keys * work.position_held / (8 * threads)
        return found + spent.operand * _operands(rows, keys, threads, work) + spent.fixed + beside

    halves, wide = work.products > work.wide_products, work.wide_products > 0
    return int(max(map(own, target.spends(rows, halves=halves, wide=wide))))


def _operands(rows: int, keys: int, threads: int, work: Work) -> float:
    """The most operands of a product of float32 that a thread holds, which takes squares of its result."""
    most, along = 0.0, {"rows": rows, "keys": keys}

    def length(side: Side) -> int:
        return side if isinstance(side, int) else along[side]

    for item in work.dots:
        if item.wide and len(item.sides) == 2:
            each = prod(map(length, item.sides)) / threads
            square = 1 if each < 4 else 2 if each < 16 else 4
            most = max(most, (square + max(square, each / square)) * length(item.summed))
    return most


def _cycles(
    rows: int, keys: int, warps: int, resident: int, footprint: int, work: Work, target: Target, narrow: bool
) -> tuple[float, str]:
    """Cycles a score on one core or multiprocessor, and what they are spent on; programs side by side share a wait."""
    copies = _copies(rows, warps, work, target)
    slow = work.wide_products if narrow else work.products
    matrix = copies * (work.products - slow) / target.multiplies(rows) + slow / target.real
    vector = copies * (work.functions / target.functions + work.others / target.vector)
    moved = work.moved(rows, keys) / target.chip
    parts = {"matrix products": matrix, "functions": vector, "memory": moved}
    busy = sum(parts.values()) if target.kind == "cpu" else max(parts.values())
    corrections = work.state / (keys * target.vector)
    corrections += _fetched(rows, keys, footprint, work, target) / NEAR_CHIP
    turn = TURN[target.kind] / (rows * keys * resident)
    edges = 1 + (rows + keys) / (2 * TYPICAL)
    return (busy + corrections + turn) * edges, max(parts, key=lambda name: parts[name])


def _fetched(rows: int, keys: int, footprint: int, work: Work, target: Target) -> float:
    """The bytes a score that come from beyond the nearest cache, state and scores: more where less of a tile stays."""
    if not target.nearest or keys == 1:
        return 0.0
    scores, state = 4 * work.live * rows * keys, 8 * work.state / keys
    if footprint <= target.nearest:
        return 4 * PASSES[0] + state
    return 4 * PASSES[2 if scores > target.nearest else 1] + 2 * state


def _copies(rows: int, warps: int, work: Work, target: Target) -> float:
    """How many warps compute the same scores: those that a row's product is for have 16 rows each, which few repeat."""
    united = work.walks and work.products > work.wide_products
    return max(1.0, 16 * warps / rows) if target.kind != "cpu" and united else 1.0
