"""Tile sizes by a model of the target: what fits on chip, and of that what takes the fewest cycles per score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod

from attnc.ir.cascade import Cascade
from attnc.ir.kernel import DType
from attnc.ir.stage import Stream
from attnc.ir.target import Registers, Target
from attnc.passes.operations import Side
from attnc.passes.work import Work, work_of

CROWDED = 50  # registers beside those of one accumulator and its product
CLOSE = 10  # registers that the estimate may be short of
EXTRA = 0.18  # registers for each score and operation beyond those of plain attention
FOLD = 1.5  # registers for each score of a fold that a loop inside a turn completes
COLUMN = 0.75  # registers for each position of a column that such a loop reads: addresses and a value of a few
FEW, NEAR = 5, 1.5  # how many tiles are rivals, and how far from the best the model may see them
FEWER = 0.9  # of the registers of those before it
TURN = {"cpu": 400.0, "cuda": 600.0, "hip": 600.0}  # cycles to start a turn of the loop, whatever its size
NEAR_CHIP = 32  # bytes per cycle from a CPU's second cache
PASSES = 3  # of scores: what is written, its greatest, its exponentials
TYPICAL = 4096  # positions: what tiles waste at the edges of a mask is weighed against a row of this length


@dataclass(frozen=True)
class Tiles:
    """Rows of a program, its columns or the positions of a loop turn, the bytes kept on chip, the reasons as lines.

    On a GPU also the warps of a program, how many turns ahead it loads, and how many programs a multiprocessor holds;
    the model's cycles a score.
    """

    parallel: int
    stream: int
    footprint: int
    lines: tuple[str, ...]
    warps: int = 1
    stages: int = 1
    cycles: float = 0.0
    resident: int = 1


@dataclass(frozen=True)
class Choice:
    """A candidate: its live bytes, registers a thread, cycles a score and what bounds them; why it does not fit."""

    rows: int
    keys: int
    warps: int
    stages: int
    footprint: int
    registers: int
    cycles: float
    bound: str
    fault: str
    resident: int


def choose_tiles(
    stream: Stream,
    cascade: Cascade,
    target: Target,
    dtypes: Mapping[str, DType],
    extents: Mapping[str, int],
) -> Tiles:
    """The tiles of the fewest cycles per score among those that fit the target's on-chip memory and registers.

    Rows buy reuse: what is streamed is read once per tile of rows. Positions buy fewer turns and corrections.
    The model counts matrix products, functions, other operations and bytes against the target's rates.
    """
    work = work_of(stream, cascade, dtypes, extents)
    found = _weighted(stream, target, dtypes, work)
    best = _ranked(found)[0]
    lines = tuple(_reasons(stream, target, work, best, found))
    return Tiles(best.rows, best.keys, best.footprint, lines, best.warps, best.stages, best.cycles, best.resident)


def rivals(
    stream: Stream,
    cascade: Cascade,
    target: Target,
    dtypes: Mapping[str, DType],
    extents: Mapping[str, int],
) -> tuple[Target, ...]:
    """The target narrowed to the tiles of the fewest cycles, the best first: a device may say which is the fastest.

    The model's own choice is also among them with one load less ahead, which leaves room for a second program. The last
    are for where it errs: each takes clearly fewer registers than the one before.
    """
    found = _weighted(stream, target, dtypes, work_of(stream, cascade, dtypes, extents))
    ranked = _ranked(found)
    near = [item for item in ranked[:FEW] if item.cycles <= NEAR * ranked[0].cycles]
    shorter = [replace(ranked[0], stages=ranked[0].stages - 1)] if ranked[0].stages > 1 else []
    tried = near + shorter + _roomier(near, found)
    return tuple(
        replace(target, rows=(item.rows,), keys=(item.keys,), long=(), warps=(item.warps,), stages=item.stages)
        for item in tried
    )


def _roomier(near: list[Choice], found: list[Choice]) -> list[Choice]:
    """The fastest candidate with clearly fewer registers than all of these, and so on down to the fewest."""
    least = FEWER * min(item.registers for item in near)
    rest = [item for item in found if item.registers < least]
    first = min(rest, key=lambda item: item.cycles, default=None)
    return [first, *_roomier([first], rest)] if first is not None else []


def _weighted(stream: Stream, target: Target, dtypes: Mapping[str, DType], work: Work) -> list[Choice]:
    narrow = any(dtype in target.narrow for dtype in dtypes.values())
    target = replace(target, keys=(*target.long, *target.keys)) if narrow else replace(target, nearest=0)
    return [_weighed(*sides, work, target, narrow) for sides in _candidates(stream, target, work)]


def _ranked(found: list[Choice]) -> list[Choice]:
    """The candidates that fit, the best first; where none does the smallest, then those of the fewest registers."""
    fitting = [item for item in found if not item.fault]
    best = sorted(fitting, key=lambda item: (item.cycles, item.footprint, item.registers))
    return best or [found[-1], *sorted(found[:-1], key=lambda item: (item.registers, item.cycles))]


def _candidates(stream: Stream, target: Target, work: Work) -> Iterator[tuple[int, int, int]]:
    """Rows and positions from large to small; powers of two, 16 at least. One position where only rows are tiled.

    A warp's part of a matrix product is 16 rows; two share them where several accumulators leave little room, or where
    the unit takes the rows of four warps at once, and more where threads multiply by themselves.
    """
    least = 2 if 0 < work.products == work.wide_products else 8 if work.further > CROWDED or target.unit else 16
    for rows in target.rows:
        for keys in target.keys if stream.stream or stream.columns else (1,):
            yield from (
                (rows, keys, warps) for warps in target.warps if rows >= least * warps or warps == target.warps[0]
            )


def _weighed(rows: int, keys: int, warps: int, work: Work, target: Target, narrow: bool) -> Choice:
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
    cycles = _cycles(rows, keys, warps, resident, work, target, narrow)
    return Choice(rows, keys, warps, stages, footprint, registers, *cycles, fault, resident)


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
    rows: int, keys: int, warps: int, resident: int, work: Work, target: Target, narrow: bool
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
    corrections += _fetched(rows, keys, work, target) / NEAR_CHIP
    turn = TURN[target.kind] / (rows * keys * resident)
    edges = 1 + (rows + keys) / (2 * TYPICAL)
    return (busy + corrections + turn) * edges, max(parts, key=lambda name: parts[name])


def _fetched(rows: int, keys: int, work: Work, target: Target) -> float:
    """The bytes a score that come from beyond the nearest cache: the state, and scores that do not stay in it."""
    if not target.nearest:
        return 0.0
    far = 4 * work.live * rows * keys > target.nearest
    return 4 * (PASSES if far else 1) + 8 * work.state / keys


def _copies(rows: int, warps: int, work: Work, target: Target) -> float:
    """How many warps compute the same scores: those that a row's product is for have 16 rows each, which few repeat."""
    united = work.walks and work.products > work.wide_products
    return max(1.0, 16 * warps / rows) if target.kind != "cpu" and united else 1.0


def _reasons(stream: Stream, target: Target, work: Work, best: Choice, found: list[Choice]) -> Iterator[str]:
    walked = f"one pass over {stream.stream}, " if stream.stream else ""
    yield f"{walked}tiles of {' and '.join(stream.tiled) or 'one row'}"
    along = stream.columns or stream.stream
    unit = "score" if along else "row"
    brought = f"a position of {along} brings {work.position_bytes} bytes to {best.rows} rows"
    yield (
        f"a {unit} takes {work.products} operations in products, {work.functions} in functions, "
        f"{work.others} others; {brought if along else f'it brings {work.row_bytes} bytes'}"
    )
    own = f"{best.warps} warps with {best.registers} of {target.registers} registers, {best.stages} stages"
    registers = f", {own}" if target.kind != "cpu" else ""
    yield (
        f"tile {best.rows} x {best.keys}: {best.footprint >> 10} KiB live{registers}; "
        f"{best.cycles:.3g} cycles a {unit} by the model of {target.name}, most on {best.bound}"
    )
    others = sorted((item for item in found if not item.fault and item is not best), key=lambda item: item.cycles)
    refused = [item for item in found if item.fault and item.cycles < best.cycles]
    named = {id(item): _named(item, target) for item in found}
    words = [f"{named[id(item)]} takes {item.cycles:.3g}" for item in others[:2]]
    words += [f"{named[id(item)]} would need {item.fault}" for item in refused[-1:]]
    if words:
        yield "; ".join(words)


def _named(item: Choice, target: Target) -> str:
    warps = f" with {item.warps} warps" if len(target.warps) > 1 else ""
    return f"{item.rows} x {item.keys}{warps}"
