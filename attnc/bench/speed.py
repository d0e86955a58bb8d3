"""Entries of the library timed beside their definitions in plain PyTorch, in turns, in one process."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import torch

from attnc.bench.drawn import inputs
from attnc.bench.entries import Entry, Extents
from attnc.bench.judge import ratio, worst
from attnc.bench.plain import needed_bytes, plain
from attnc.bench.timing import Budget, WallClock, interleaved
from attnc.contract import judge, references
from attnc.diagnostics import AttnError
from attnc.passes.derive.limit import TooLongError, limited
from attnc.runtime.attention import Attention
from attnc.runtime.bind import bind

OURS, PLAIN = "attnc", "PyTorch"
FEW = 96
"""The length at which both are held against the oracle."""
SHARE = 0.7
"""Of the memory that is free, what a definition may take."""


@dataclass(frozen=True)
class Speed:
    """What came of an entry: medians of both in seconds, the worse error over what the contract allows, or why not."""

    entry: Entry
    shape: Mapping[str, int]
    options: Mapping[str, Any]
    seconds: Mapping[str, float]
    rounds: int = 0
    error: float = 0.0
    reason: str = ""

    @property
    def times(self) -> float | None:
        """How many times as long PyTorch takes; None where there is no time, or a result fails."""
        return self.seconds[PLAIN] / self.seconds[OURS] if self.seconds and self.passed else None

    @property
    def passed(self) -> bool:
        """Whether what was computed keeps the contract."""
        return self.error <= 1


def measured(entry: Entry, at: Extents, budget: Budget, dtype: torch.dtype, limit: float) -> Speed:
    """An entry measured within a limit of seconds, compilation included; else the reason, never an exception."""
    nothing = Speed(entry, {}, entry.options, {})
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")
            return limited(limit, lambda: _measured(nothing, at, budget, dtype))
    except TooLongError:
        return replace(nothing, reason=f"not done after {limit:g} s")
    except AttnError as mistake:
        return replace(nothing, reason=f"{mistake.code}: {mistake.diagnostics[0].message}")
    except (
        Exception
    ) as failure:  # a compiler and PyTorch stand behind it, and the other entries are wanted all the same
        return replace(nothing, reason=f"{type(failure).__name__}: {failure}".partition("\n")[0][:160])


def _measured(item: Speed, at: Extents, budget: Budget, dtype: torch.dtype) -> Speed:
    attention, options = item.entry.attention, item.options
    program = attention.program(options)
    if program.heavy:
        codes = ", ".join(dict.fromkeys(refusal.code for refusal in program.plan.refusals))
        return replace(item, reason=f"not fused: {codes}")
    stated = program.stated
    shape, small = item.entry.shape(stated, at), item.entry.shape(stated, replace(at, length=FEW))
    if shape is None:
        return replace(item, reason=f"what it requires does not hold at N = {at.length}")
    item = replace(item, shape=shape, error=0.0 if small is None else _error(attention, options, small, dtype))
    given = inputs(stated, shape, dtype)
    bound = bind(stated, (), given)
    needed, free = needed_bytes(stated, bound.sizes, dtype.itemsize), _free_bytes()
    if free is not None and needed > SHARE * free:
        return replace(item, reason=f"PyTorch needs about {needed >> 20} MiB, and {free >> 20} MiB are free")
    calls = {
        OURS: lambda: attention(**given, **options),
        PLAIN: lambda: plain(stated, bound.tensors, bound.sizes, dtype),
    }
    timed = interleaved(calls, budget, WallClock())
    seconds = {name: found.median for name, found in timed.items()}
    return replace(item, seconds=seconds, rounds=len(timed[OURS].seconds))


def _error(attention: Attention, options: Mapping[str, Any], shape: Mapping[str, int], dtype: torch.dtype) -> float:
    """The largest error of both at a shape that the oracle can follow, over what the contract allows."""
    stated = attention.program(options).stated
    given = inputs(stated, shape, dtype)
    bound, results = bind(stated, (), given), attention(**given, **options)
    ours = dict(zip(stated.outputs, results if isinstance(results, tuple) else [results], strict=True))
    right = references(stated, bound.tensors, {name: value.dtype for name, value in ours.items()})
    theirs = plain(stated, bound.tensors, bound.sizes, dtype)
    found = [judge(name, value, right[name]) for both in (ours, theirs) for name, value in both.items()]
    verdict = worst(found)
    return ratio(verdict) if verdict.passed else max(ratio(verdict), 1.001)


def _free_bytes() -> int | None:
    """The memory that a process can still have, where the system tells it."""
    try:
        with open("/proc/meminfo", encoding="ascii") as told:
            lines = dict(line.split(":", 1) for line in told)
        return int(lines["MemAvailable"].split()[0]) << 10
    except (OSError, KeyError, ValueError):
        return None


def middle(items: list[Speed]) -> float | None:
    """The median of the ratios."""
    found = [item.times for item in items if item.times is not None]
    return median(found) if found else None


def skipped(items: list[Speed]) -> Iterator[Speed]:
    """Those without a time."""
    yield from (item for item in items if not item.seconds)
