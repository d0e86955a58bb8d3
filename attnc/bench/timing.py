"""Times of calls that take turns, so that whatever else the machine does meets all of them alike.

On a CPU a call is timed by the wall clock. On a GPU it is timed by events on the device, after what the L2 holds has
been overwritten and behind a wait that is long enough for the host to hand over its kernels: what counts is the
device's time. What the host needs for a call is told once, at the head of a table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median
from time import perf_counter
from typing import Generic, Protocol, TypeVar

import torch

T = TypeVar("T")

LEAST, MOST = 3, 100
PEAK_SIZES, PEAK_ROUNDS = (1024, 2048, 4096, 8192), 4
LARGEST = {"cpu": 4096, "cuda": 8192}
FLUSHED = 256 << 20
"""Bytes that are overwritten before a call on a GPU: more than any L2 holds."""
WAIT = 500_000
"""Cycles that a GPU waits before a timed call, about a quarter of a millisecond."""


class Clock(Protocol):
    """Measures one call."""

    def once(self, call: Callable[[], T]) -> tuple[float, T]:
        """The seconds that a call takes, and what it gives."""


class WallClock:
    """The wall clock."""

    def once(self, call: Callable[[], T]) -> tuple[float, T]:
        """The seconds from call to return, and what is returned."""
        start = perf_counter()
        value = call()
        return perf_counter() - start, value


class DeviceClock:
    """Events on the current GPU, its L2 flushed before each call."""

    def __init__(self) -> None:
        """Takes memory of the GPU to flush its L2 with."""
        self._flushed = torch.empty(FLUSHED, dtype=torch.uint8, device="cuda")

    def once(self, call: Callable[[], T]) -> tuple[float, T]:
        """The seconds between two events around the call's kernels, and what it gives."""
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
        self._flushed.zero_()
        torch.cuda._sleep(WAIT)  # type: ignore[no-untyped-call]
        start.record()
        value = call()
        end.record()
        torch.cuda.synchronize()
        return 1e-3 * start.elapsed_time(end), value


def clock(device: str) -> Clock:
    """The clock for calls on a device."""
    return WallClock() if device == "cpu" else DeviceClock()


@dataclass(frozen=True)
class Budget:
    """How many rounds are measured: `repeat`, or as many as `seconds` allow, from LEAST to MOST."""

    seconds: float = 2.0
    repeat: int | None = None

    def more(self, rounds: int, seconds: float) -> bool:
        """Whether another round is measured after so many, which took so long."""
        if self.repeat is not None:
            return rounds < self.repeat
        return rounds < LEAST or (rounds < MOST and seconds < self.seconds)


@dataclass(frozen=True)
class Timed(Generic[T]):
    """The seconds of each round, and what the last one gave."""

    seconds: tuple[float, ...]
    value: T

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return median(self.seconds)


def interleaved(calls: Mapping[str, Callable[[], T]], budget: Budget, clock: Clock) -> dict[str, Timed[T]]:
    """The times of each call, one after the other in every round, each round begun by another one."""
    names, rounds = list(calls), 0
    seconds: dict[str, list[float]] = {name: [] for name in names}
    values = {name: clock.once(calls[name])[1] for name in names}  # warms caches, and compiles what is not yet
    start = perf_counter()
    while budget.more(rounds, perf_counter() - start):
        shift = rounds % len(names)
        for name in names[shift:] + names[:shift]:
            took, values[name] = clock.once(calls[name])
            seconds[name].append(took)
        rounds += 1
    return {name: Timed(tuple(seconds[name]), values[name]) for name in names}


def matmul_peak(dtype: torch.dtype, device: str, clock: Clock) -> float:
    """Operations a second of the best of PyTorch's own square matrix products in this type."""
    best = 0.0
    for size in (size for size in PEAK_SIZES if size <= LARGEST[device]):
        a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        product = partial(torch.matmul, a, b)
        took = min(clock.once(product)[0] for _ in range(PEAK_ROUNDS))
        best = max(best, 2 * size**3 / took)
    return best
