"""A run of the bench: what it finds, printed as it comes and written at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from attnc.bench import correct_table, table
from attnc.bench.case import Case
from attnc.bench.correct import Outcome, Task
from attnc.bench.header import Header
from attnc.bench.measure import Measurement, Plan
from attnc.bench.measure import measured as measure
from attnc.bench.plot import plot
from attnc.bench.pool import outcomes
from attnc.bench.suite import Suite
from attnc.bench.table import LEGEND, Layout, remarks

Watch = Callable[[list[Case]], Iterable[Case]]


@dataclass
class Report:
    """What a run has found so far; `quiet` where standard output is for JSON alone."""

    head: Header
    suite: Suite
    plan: Plan
    quiet: bool = False
    correct: list[Outcome] = field(default_factory=list)
    items: list[Measurement] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def layout(self) -> Layout:
        """The columns of the table."""
        return Layout(self.suite.device, tuple(peer.name for peer in self.plan.peers))

    @property
    def passed(self) -> bool:
        """Whether everything that was computed keeps the contract."""
        return all(item.passed for item in self.items) and all(item.passed for item in self.correct)

    def say(self, text: str) -> None:
        """Print, unless it is quiet."""
        if not self.quiet:
            print(text, flush=True)


def corrected(report: Report, tasks: list[Task], seconds: float | None) -> None:
    """Hold the tasks against the oracle for at most so many seconds."""
    for item in outcomes(tasks, seconds):
        report.say(correct_table.line(item))
        report.correct.append(item)
    if tasks:
        report.say(correct_table.summary(report.correct) + "\n")


def measured(report: Report, until: float | None, watch: Watch = lambda cases: cases) -> None:
    """Measure the suite's cases, none begun after this time; `watch` sees them go by."""
    layout = report.layout
    report.say("\n".join([*report.head.lines(), *LEGEND, "", layout.line(layout.head)]))
    for case in watch(list(report.suite.cases())):
        if until is not None and perf_counter() > until:
            report.left.append(f"{case.row.name} at D = {case.width}")
            continue
        for item in measure(case, report.plan):
            report.say(layout.line(layout.cells(item, report.head)))
            report.items.append(item)
    report.say("\n".join(["", *_notes(report)]).rstrip())


def _notes(report: Report) -> Iterable[str]:
    yield from remarks(report.items)
    if report.left:
        yield f"not measured, time was up: {', '.join(report.left)}"


def write(report: Report, file: str | None, markdown: Path | None, picture: Path | None) -> None:
    """Write what was found as JSON (`-`: to standard output), as Markdown, and as a picture."""
    text = json.dumps(
        {**table.plain(report.head, report.layout, report.items), "correctness": correct_table.plain(report.correct)}
        | {"not_measured": report.left}
    )
    if file == "-":
        print(text)
    elif file is not None:
        Path(file).write_text(text + "\n", encoding="utf-8")
    if markdown:
        before = correct_table.markdown(report.correct) if report.correct else ()
        page = table.markdown(report.head, report.layout, report.items, before, _notes(report))
        markdown.write_text(page, encoding="utf-8")
    if picture:
        plot(report.head, report.layout, report.items, picture)
