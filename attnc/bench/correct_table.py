"""What came of the tasks of correctness, as text, as Markdown, and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isfinite
from typing import Any

from attnc.bench.correct import Outcome

HEAD = ("attention", "type", "forward", "backward", "ran", "remark")


def cells(item: Outcome) -> tuple[str, ...]:
    """The cells of one task, in the order of HEAD; errors are over what the contract allows."""
    numbers = (_number(value) for value in (item.forward, item.backward))
    remark = item.remark if item.passed else f"FAILS {item.remark}"
    return (item.task.reference, item.task.dtype, *numbers, ", ".join(item.plans), remark.strip())


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def line(item: Outcome) -> str:
    """One task as a line of text."""
    name, dtype, forward, backward, ran, remark = cells(item)
    return f"{name:<44} {dtype:<4} {forward:>6} {backward:>6}  {ran} {remark}".rstrip()


def summary(items: Iterable[Outcome]) -> str:
    """How many pass, in one sentence."""
    every = list(items)
    passed = [item for item in every if item.passed]
    trained = sum(item.backward is not None for item in passed)
    return f"{len(passed)} of {len(every)} pass, {trained} of them with gradients"


def markdown(items: list[Outcome]) -> Iterator[str]:
    """A part of a page: the summary, and a table of the worst and of what fails."""
    yield "## Correctness"
    yield f"{summary(items)}. Error over what the numerics contract allows:"
    rows = ["| " + " | ".join(HEAD) + " |", "| :-- | :-- | --: | --: | :-- | :-- |"]
    yield "\n".join([*rows, *("| " + " | ".join(cells(item)) + " |" for item in items)])
    yield "## Speed"


def plain(items: Iterable[Outcome]) -> list[dict[str, Any]]:
    """The tasks as values for JSON."""
    return [
        {
            "attention": item.task.reference,
            "dtype": item.task.dtype,
            "device": item.task.device,
            "passed": item.passed,
            "forward": _finite(item.forward),
            "backward": _finite(item.backward),
            "ran": list(item.plans),
            "remark": item.remark,
        }
        for item in items
    ]


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
