"""Tile sizes by a model of the target: what fits on chip, and of that what takes the fewest cycles per score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from attnc.ir.cascade import Cascade
from attnc.ir.kernel import DType
from attnc.ir.stage import Stream
from attnc.ir.target import Target
from attnc.passes.tile_model import Choice, weighed
from attnc.passes.work import Work, work_of

CROWDED = 50  # registers beside those of one accumulator and its product
FEW, NEAR = 5, 1.5  # how many tiles are rivals, and how far from the best the model may see them
DOUBT, TWICE = 1.2, 2  # how far the model may see tiles beyond the registers there are, how many of those are rivals
FEWER = 0.9  # of the registers of those before it
HOPELESS = 2  # times the registers there are: no other tile mends that


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
    found = _all_weighed(stream, target, dtypes, work)
    best = _ranked(found, target)[0]
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
    are for where it errs: some of which it doubts that they fit, then each takes clearly fewer registers than the one
    before, then each is half as large at most, then the smallest has more warps, though they repeat what they share.
    Where no tile comes near the registers there are none: an assembler takes minutes to spill that much.
    """
    work = work_of(stream, cascade, dtypes, extents)
    found = _all_weighed(stream, target, dtypes, work)
    ranked = _ranked(found, target)
    if target.spent and ranked[0].registers > HOPELESS * target.registers:
        return (_narrowed(target, ranked[0]),)
    near = [item for item in ranked[:FEW] if item.cycles <= NEAR * ranked[0].cycles]
    shorter = [replace(ranked[0], stages=ranked[0].stages - 1)] if ranked[0].stages > 1 else []
    tried = near + shorter + _doubted(near, found, target) + _roomier(near, found)
    tried += _smaller(tried, found)
    tried += _spread(min(tried, key=lambda item: item.scores), work, target)
    return tuple(_narrowed(target, item) for item in tried)


def _narrowed(target: Target, item: Choice) -> Target:
    """The target with these tiles alone."""
    return replace(target, rows=(item.rows,), keys=(item.keys,), long=(), warps=(item.warps,), stages=item.stages)


def _doubted(near: list[Choice], found: list[Choice], target: Target) -> list[Choice]:
    """The fastest that may yet fit the registers, where these spill: none that needs whatever one of them needs."""
    most = DOUBT * target.registers
    able = [item for item in found if item.registers <= most and item.onchip <= target.onchip]
    other = [item for item in able if not any(item.holds(one) for one in near)]
    return sorted(other, key=lambda item: item.cycles)[:TWICE] if target.spent else []


def _roomier(near: list[Choice], found: list[Choice]) -> list[Choice]:
    """The fastest candidate with clearly fewer registers than all of these, and so on down to the fewest."""
    least = FEWER * min(item.registers for item in near)
    rest = [item for item in found if item.registers < least]
    first = min(rest, key=lambda item: item.cycles, default=None)
    return [first, *_roomier([first], rest)] if first is not None else []


def _smaller(tried: list[Choice], found: list[Choice]) -> list[Choice]:
    """The fastest candidate of half the scores a warp that any of these has, and so on down to the smallest."""
    rest = [item for item in found if 2 * item.scores <= min(one.scores for one in tried)]
    first = min(rest, key=lambda item: item.cycles, default=None)
    return [first, *_smaller([first], rest)] if first is not None else []


def _spread(least: Choice, work: Work, target: Target) -> list[Choice]:
    """The smallest tile with more warps than a candidate has: each holds a smaller part of what its rows add up."""
    more = [warps for warps in target.warps if warps > least.warps]
    return [weighed(least.rows, least.keys, warps, work, target, narrow=False) for warps in more]


def _all_weighed(stream: Stream, target: Target, dtypes: Mapping[str, DType], work: Work) -> list[Choice]:
    narrow = any(dtype in target.narrow for dtype in dtypes.values())
    target = replace(target, keys=(*target.long, *target.keys)) if narrow else replace(target, nearest=0)
    return [weighed(*sides, work, target, narrow) for sides in _candidates(stream, target, work)]


def _ranked(found: list[Choice], target: Target) -> list[Choice]:
    """The candidates that fit, the best first.

    Where none does the smallest that fills a matrix unit, for the model may err; then the smallest, then those of the
    fewest registers.
    """
    fitting = [item for item in found if not item.fault]
    if fitting:
        return sorted(fitting, key=lambda item: (item.cycles, item.footprint, item.registers))
    most = HOPELESS * target.registers
    filling = [item for item in found if item.rows >= target.unit > 0 and item.onchip <= target.onchip]
    first = [item for item in filling[-1:] if item.registers <= most and item is not found[-1]]
    rest = sorted(found[:-1], key=lambda item: (item.registers, item.cycles))
    return [*first, found[-1], *(item for item in rest if item not in first)]


def _candidates(stream: Stream, target: Target, work: Work) -> Iterator[tuple[int, int, int]]:
    """Rows and positions from large to small; powers of two, 16 at least. One position where only rows are tiled.

    A warp's part of a matrix product is 16 rows; two share them where several accumulators leave little room, or where
    the unit takes the rows of four warps at once, and more where threads multiply by themselves.
    """
    least = 2 if work.products == work.wide_products else 8 if work.further > CROWDED or target.unit else 16
    for rows in target.rows:
        for keys in target.keys if stream.stream or stream.columns else (1,):
            yield from (
                (rows, keys, warps) for warps in target.warps if rows >= least * warps or warps == target.warps[0]
            )


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
