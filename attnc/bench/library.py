"""A run over the entries of the library: measured one by one, printed as they come, written at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import torch

from attnc.bench import speed_table
from attnc.bench.entries import Entry, Extents
from attnc.bench.header import Header
from attnc.bench.speed import Speed, measured
from attnc.bench.timing import Budget

Watch = Callable[[list[Entry]], Iterable[Entry]]


@dataclass(frozen=True)
class Library:
    """What is measured: entries at an extent, for so many rounds, in a type; each and all within limits of seconds."""

    entries: list[Entry]
    extents: Extents
    budget: Budget
    dtype: torch.dtype
    limit: float = 60.0
    within: float | None = None

    def begun_late(self, start: float) -> bool:
        """Whether time is up for a run that started then."""
        return self.within is not None and perf_counter() > start + self.within


@dataclass
class Found:
    """What a run has found so far; `quiet` where standard output is for JSON alone."""

    head: Header
    quiet: bool = False
    items: list[Speed] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Print, unless it is quiet."""
        if not self.quiet:
            print(text, flush=True)

    @property
    def passed(self) -> bool:
        """Whether everything that was computed keeps the contract."""
        return all(item.passed for item in self.items)


def measure(asked: Library, found: Found, watch: Watch) -> None:
    """Measure each entry; one that is not, is told with its reason."""
    found.say("\n".join([*found.head.lines(), *speed_table.LEGEND, "", speed_table.line(speed_table.HEAD)]))
    start = perf_counter()
    for entry in watch(asked.entries):
        if asked.begun_late(start):
            item = Speed(entry, {}, {}, {}, reason="not begun: time was up")
        else:
            item = measured(entry, asked.extents, asked.budget, asked.dtype, asked.limit)
        found.items.append(item)
        found.say(speed_table.line(speed_table.cells(item)))
    found.say("\n" + speed_table.summary(found.items))


def write(found: Found, file: str | None, markdown: Path | None) -> None:
    """Write what was found as JSON (`-`: to standard output) and as a page of Markdown."""
    text = json.dumps(speed_table.plain(found.head, found.items))
    if file == "-":
        print(text)
    elif file is not None:
        Path(file).write_text(text + "\n", encoding="utf-8")
    if markdown:
        markdown.write_text(speed_table.markdown(found.head, found.items), encoding="utf-8")
