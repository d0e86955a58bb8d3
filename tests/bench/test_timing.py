"""Calls take turns, each round is begun by another one, and the rounds fit the budget."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import pytest
import torch

from attnc.bench import timing
from attnc.bench.timing import LEAST, MOST, Budget, Timed, WallClock, interleaved, matmul_peak

T = TypeVar("T")


def test_calls_take_turns_after_a_warm_up() -> None:
    said: list[str] = []

    def call(name: str) -> int:
        said.append(name)
        return len(said)

    found = interleaved({name: partial(call, name) for name in "abc"}, Budget(repeat=3), WallClock())
    assert "".join(said) == "abc" + "abc" + "bca" + "cab"
    assert {name: item.value for name, item in found.items()} == {"c": 10, "a": 11, "b": 12}
    assert all(len(item.seconds) == 3 and min(item.seconds) > 0 for item in found.values())


class Scripted:
    """A clock that tells the times that it was given."""

    def __init__(self, *seconds: float) -> None:
        self.seconds = iter(seconds)

    def once(self, call: Callable[[], T]) -> tuple[float, T]:
        return next(self.seconds), call()


def test_seconds_are_the_clocks() -> None:
    found = interleaved({"a": lambda: 1, "b": lambda: 2}, Budget(repeat=2), Scripted(9.0, 9.0, 1.0, 2.0, 3.0, 4.0))
    assert {name: item.seconds for name, item in found.items()} == {"a": (1.0, 4.0), "b": (2.0, 3.0)}


def test_rounds_fit_the_budget() -> None:
    budget = Budget(seconds=2.0)
    assert budget.more(LEAST - 1, 100.0)
    assert not budget.more(LEAST, 2.5)
    assert budget.more(LEAST, 1.5)
    assert not budget.more(MOST, 0.0)
    assert [Budget(repeat=2).more(rounds, 100.0) for rounds in range(3)] == [True, True, False]


def test_a_median_is_no_mean() -> None:
    assert Timed((1.0, 2.0, 90.0), None).median == 2.0


def test_a_peak_counts_two_operations_a_term(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "PEAK_SIZES", (32,))
    assert matmul_peak(torch.float32, "cpu", Scripted(0.5, 0.25, 0.5, 0.5)) == 2 * 32**3 / 0.25
