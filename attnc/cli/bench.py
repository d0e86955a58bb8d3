"""`attnc bench cpu` and `gpu`: attnc beside SDPA, FlexAttention and what is installed: interleaved, judged."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from attnc.cli.bench_asked import (
    DEVICES,
    LIMIT,
    asked,
    asked_library,
    check_files,
    head,
    tasks_of,
    unwritable,
    within_of,
)
from attnc.cli.progress import progress
from attnc.diagnostics import error

if TYPE_CHECKING:
    from attnc.bench.case import Case

SHARE = 0.45
"""Of them, what correctness may take."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("device", choices=list(DEVICES), help="what is measured")
    parser.add_argument("--rows", type=_words, metavar="ROW,..", help="causal,window,..: those usual for the device")
    parser.add_argument("--n", type=_counts, metavar="N,..", help="numbers of keys: 4096, for decoding more")
    parser.add_argument("--d", type=_counts, metavar="D,..", help="widths of a head: 64, on a gpu 128,64")
    parser.add_argument("--dtype", type=_words, metavar="TYPE,..", help="fp32,bf16, on a gpu bf16; or fp16")
    parser.add_argument(
        "--heads", type=_count, help="query heads of rows without a number of their own: 8, on a gpu 16"
    )
    parser.add_argument("--batch", type=_count, help="1, on a gpu what makes 16384 queries")
    parser.add_argument("--repeat", type=_count, help="rounds, in place of as many as the seconds allow")
    parser.add_argument("--seconds", type=_seconds, help="for the rounds of one line of the table: 2, on a gpu 0.5")
    parser.add_argument("--within", type=_seconds, help="begin nothing more after so many seconds; on a gpu 520")
    parser.add_argument("--tune", action="store_true", help="on a gpu: with the fastest of the best few tiles")
    parser.add_argument("--no-flex", action="store_true", help="leave FlexAttention out, which compiles for seconds")
    parser.add_argument("--no-backward", action="store_true", help="measure the forward only")
    parser.add_argument(
        "--correct",
        action=argparse.BooleanOptionalAction,
        help="first hold the library and --specs against the oracle; done on a gpu",
    )
    parser.add_argument(
        "--stdlib",
        nargs="?",
        const="",
        metavar="WORD",
        help="on a cpu: the entries of the library (all, or a family, a file, an attention) beside plain PyTorch",
    )
    parser.add_argument("--limit", type=_seconds, default=LIMIT, help="seconds for one entry of --stdlib: 60")
    parser.add_argument("--specs", type=_words, metavar="FILE,..", help="files or folders: `examples` if it exists")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="write one JSON value, or print it alone")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table as Markdown")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the ratios as .png or .svg; needs matplotlib")


def command(options: argparse.Namespace) -> int:
    """Check, measure, judge, report; 1 where a result fails the numerics contract."""
    from attnc.bench.report import Report, corrected, measured, write

    if options.stdlib is not None:
        return _library(options)
    start = perf_counter()
    if options.tune:
        os.environ["ATTNC_TUNE"] = "1"
    suite, plan = asked(options)
    check_files(options)
    tasks = tasks_of(options, suite.device)
    report = Report(head(options, suite.dtypes, suite.device), suite, plan, quiet=options.json == "-")
    within = within_of(options)
    corrected(report, tasks, None if within is None else SHARE * within)
    measured(report, None if within is None else start + within, _watch(report.quiet))
    try:
        write(report, options.json, options.markdown, options.plot)
    except OSError as reason:
        raise unwritable(Path(reason.filename or "a file"), reason.strerror or str(reason)) from None
    return 0 if report.passed else 1


def _library(options: argparse.Namespace) -> int:
    """The library's entries beside plain PyTorch; 1 where a result fails the numerics contract."""
    from attnc.bench.library import Found, measure, write

    if options.device != "cpu":
        raise error("A642", "the library is timed on a CPU", helps=("attnc bench cpu --stdlib",))
    check_files(options)
    asked = asked_library(options)
    found = Found(head(options, (asked.dtype,), "cpu"), quiet=options.json == "-")
    measure(asked, found, lambda every: progress(every, "measuring", len(every)) if found.quiet else every)
    try:
        write(found, options.json, options.markdown)
    except OSError as reason:
        raise unwritable(Path(reason.filename or "a file"), reason.strerror or str(reason)) from None
    return 0 if found.passed else 1


def _watch(quiet: bool) -> Callable[[list[Case]], Iterable[Case]]:
    """A bar where nothing is printed; else the lines themselves tell."""
    return lambda cases: progress(cases, "measuring", len(cases)) if quiet else cases


# ---- arguments ----------------------------------------------------------------------------------


def _words(text: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise argparse.ArgumentTypeError("it names nothing")
    return words


def _count(text: str) -> int:
    if text.isascii() and text.isdigit() and 0 < int(text) < 2**31:
        return int(text)
    raise argparse.ArgumentTypeError(f"`{text}` is no whole number from 1 up")


def _counts(text: str) -> tuple[int, ...]:
    return tuple(_count(word) for word in text.split(","))


def _seconds(text: str) -> float:
    try:
        if 0 < float(text) < float("inf"):
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"`{text}` is no number of seconds")
