"""Times of calls that take turns, so that whatever else the machine does meets all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median
from time import perf_counter
from typing import Generic, TypeVar

import torch

T = TypeVar("T")

LEAST, MOST = 3, 100
PEAK_SIZES, PEAK_ROUNDS = (1024, 2048, 4096), 4


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


def interleaved(
    calls: Mapping[str, Callable[[], T]], budget: Budget, finish: Callable[[], None]
) -> dict[str, Timed[T]]:
    """The times of each call, one after the other in every round, each round begun by another one."""
    names, rounds = list(calls), 0
    seconds: dict[str, list[float]] = {name: [] for name in names}
    values = {name: _once(calls[name], finish)[1] for name in names}  # warms caches, and compiles what is not yet
    start = perf_counter()
    while budget.more(rounds, perf_counter() - start):
        shift = rounds % len(names)
        for name in names[shift:] + names[:shift]:
            took, values[name] = _once(calls[name], finish)
            seconds[name].append(took)
        rounds += 1
    return {name: Timed(tuple(seconds[name]), values[name]) for name in names}


def _once(call: Callable[[], T], finish: Callable[[], None]) -> tuple[float, T]:
    finish()
    start = perf_counter()
    value = call()
    finish()
    return perf_counter() - start, value


def matmul_peak(dtype: torch.dtype, device: str, finish: Callable[[], None]) -> float:
    """Operations a second of the best of PyTorch's own square matrix products in this type."""
    best = 0.0
    for size in PEAK_SIZES:
        a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        product = partial(torch.matmul, a, b)
        took = min(_once(product, finish)[0] for _ in range(PEAK_ROUNDS))
        best = max(best, 2 * size**3 / took)
    return best
