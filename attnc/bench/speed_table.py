"""Times of the library's entries as text, as a page of Markdown, and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from attnc.bench.header import Header
from attnc.bench.speed import OURS, PLAIN, Speed, middle

HEAD = ("attention", "family", f"x {PLAIN}", f"{OURS} ms", f"{PLAIN} ms", "error", "shape")
WIDTHS = (32, 14, 9, 9, 10, 6, 0)
LEGEND = (
    f"x {PLAIN}: the time of the definition in plain PyTorch (einsum, masked_fill, softmax, .. on whole tensors,"
    " statement by statement) over attnc's; medians of interleaved rounds in one process, forward.",
    "error: the larger of both errors at a short length, over what the numerics contract allows; up to 1 passes, and"
    " only then a ratio counts.",
    "Inputs are random, masks by data fair coins, lengths of sequences the middle; options have their defaults. Where"
    " an entry draws random numbers, PyTorch makes the same ones by integer arithmetic, which takes it long.",
)


def cells(item: Speed) -> tuple[str, ...]:
    """The cells of one entry, in the order of HEAD; the reason in the place of a shape where there is no time."""
    ours, theirs = (_milliseconds(item, name) for name in (OURS, PLAIN))
    ratio = "-" if item.times is None else f"{item.times:.2f}"
    error = "-" if not item.seconds else f"{item.error:.2f}" if item.passed else "FAILS"
    return (item.entry.name, item.entry.family, ratio, ours, theirs, error, item.reason or _shape(item))


def _milliseconds(item: Speed, name: str) -> str:
    return f"{1e3 * item.seconds[name]:.2f}" if name in item.seconds else "-"


def _shape(item: Speed) -> str:
    told = (*item.shape.items(), *item.options.items())
    return " ".join(f"{name}={value}" for name, value in told)


def line(texts: tuple[str, ...]) -> str:
    """Cells as one line of text."""
    return " ".join(f"{text:<{width}}" for text, width in zip(texts, WIDTHS, strict=True)).rstrip()


def summary(items: list[Speed]) -> str:
    """How many have a time, and the median of the ratios, in one sentence."""
    found = middle(items)
    timed = sum(item.times is not None for item in items)
    told = "no ratio" if found is None else f"the median ratio is {found:.2f}"
    return f"{timed} of {len(items)} entries are timed; {told}"


def markdown(head: Header, items: list[Speed]) -> str:
    """A page: the summary, how it was measured, the table, and what is not in it and why."""
    timed = [item for item in items if item.seconds]
    rows = ["| " + " | ".join(HEAD) + " |", "| :-- | :-- | --: | --: | --: | --: | :-- |"]
    rows += ["| " + " | ".join(cells(item)) + " |" for item in timed]
    left = [f"- `{item.entry.name}`: {item.reason}" for item in items if not item.seconds]
    facts = "\n".join(f"- {text}" for text in (*LEGEND, *head.lines()))
    missing = ["Not timed:\n\n" + "\n".join(left)] if left else []
    title = "# The standard library beside plain PyTorch on a CPU"
    return "\n\n".join([title, f"{summary(items)}.".capitalize(), facts, "\n".join(rows), *missing]) + "\n"


def plain(head: Header, items: list[Speed]) -> dict[str, Any]:
    """The table as values for JSON; times in milliseconds."""
    return {**asdict(head), "median_ratio": middle(items), "entries": list(_plain(items))}


def _plain(items: list[Speed]) -> Iterator[dict[str, Any]]:
    for item in items:
        yield {
            **asdict(item.entry),
            "shape": dict(item.shape),
            "options": dict(item.options),
            "milliseconds": {name: 1e3 * value for name, value in item.seconds.items()},
            "ratio": item.times,
            "rounds": item.rounds,
            "passed": item.passed,
            "reason": item.reason,
        }
