"""Tile sizes by a model of the target: what fits on chip, and of that what takes the fewest cycles per score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from attnc.ir.cascade import Cascade
from attnc.ir.kernel import DType
from attnc.ir.stage import Stream
from attnc.ir.target import Target
from attnc.passes.work import Work, work_of

ADDRESSES = 40  # registers of a thread for pointers and bounds
TURN = {"cpu": 400.0, "cuda": 600.0, "hip": 600.0}  # cycles to start a turn of the loop, whatever its size
TYPICAL = 4096  # positions: what tiles waste at the edges of a mask is weighed against a row of this length


@dataclass(frozen=True)
class Tiles:
    """Rows of a program, its columns or the positions of a loop turn, the bytes kept on chip, the reasons as lines."""

    parallel: int
    stream: int
    footprint: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Choice:
    """A candidate: its live bytes, registers a thread, cycles a score and what bounds them; why it does not fit."""

    rows: int
    keys: int
    footprint: int
    registers: int
    cycles: float
    bound: str
    fault: str


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
    narrow = any(dtype in ("float16", "bfloat16") for dtype in dtypes.values())
    found = [_weighed(rows, keys, work, target, narrow) for rows, keys in _candidates(stream, target)]
    fitting = [item for item in found if not item.fault]
    best = min(fitting or [found[-1]], key=lambda item: (item.cycles, item.footprint))
    return Tiles(best.rows, best.keys, best.footprint, tuple(_reasons(stream, target, work, best, found)))


def _candidates(stream: Stream, target: Target) -> Iterator[tuple[int, int]]:
    """Rows and positions from large to small; powers of two, 16 at least. One position where only rows are tiled."""
    for rows in target.rows:
        for keys in target.keys if stream.stream or stream.columns else (1,):
            yield rows, keys


def _weighed(rows: int, keys: int, work: Work, target: Target, narrow: bool) -> Choice:
    operands = rows * work.row_bytes + target.stages * keys * work.position_bytes
    scores = work.live * 4 * rows * keys
    state = 4 * rows * work.state
    footprint = operands + scores + state
    if target.kind == "cpu":
        registers, onchip = 0, footprint
    else:
        registers, onchip = (rows * keys * work.live + rows * work.state) // target.threads + ADDRESSES, operands
    fault = f"{onchip >> 10} KiB" if onchip > target.onchip else ""
    fault = f"{registers} registers" if registers > target.registers else fault
    return Choice(rows, keys, footprint, registers, *_cycles(rows, keys, work, target, narrow), fault)


def _cycles(rows: int, keys: int, work: Work, target: Target, narrow: bool) -> tuple[float, str]:
    """Cycles a score on one core or multiprocessor, and what they are spent on."""
    matrix = work.products / (target.matrix if narrow else target.real)
    vector = work.functions / target.functions + work.others / target.vector
    moved = work.moved(rows, keys) / target.chip
    parts = {"matrix products": matrix, "functions": vector, "memory": moved}
    busy = sum(parts.values()) if target.kind == "cpu" else max(parts.values())
    corrections = work.state / (keys * target.vector)
    turn = TURN[target.kind] / (rows * keys)
    edges = 1 + (rows + keys) / (2 * TYPICAL)
    return (busy + corrections + turn) * edges, max(parts, key=lambda name: parts[name])


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
    registers = f", {best.registers} of {target.registers} registers" if target.kind != "cpu" else ""
    yield (
        f"tile {best.rows} x {best.keys}: {best.footprint >> 10} KiB live{registers}; "
        f"{best.cycles:.3g} cycles a {unit} by the model of {target.name}, most on {best.bound}"
    )
    others = sorted((item for item in found if not item.fault and item is not best), key=lambda item: item.cycles)
    refused = [item for item in found if item.fault and item.cycles < best.cycles]
    words = [f"{item.rows} x {item.keys} takes {item.cycles:.3g}" for item in others[:2]]
    words += [f"{item.rows} x {item.keys} would need {item.fault}" for item in refused[-1:]]
    if words:
        yield "; ".join(words)
