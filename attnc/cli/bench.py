"""`attnc bench cpu` and `gpu`: attnc beside SDPA, FlexAttention and what is installed: interleaved, judged."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from attnc.cli.progress import progress
from attnc.diagnostics import error

if TYPE_CHECKING:
    import torch

    from attnc.bench.case import Case
    from attnc.bench.correct import Task
    from attnc.bench.header import Header
    from attnc.bench.library import Library
    from attnc.bench.measure import Plan
    from attnc.bench.suite import Suite

DEVICES = {"cpu": "cpu", "gpu": "cuda"}
WITHIN = 520.0
"""Seconds after which a GPU, which is often lent for minutes, begins nothing more."""
LIMIT = 60.0
"""Seconds for one entry of the library, compilation included."""
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
    suite, plan = _asked(options)
    _check_files(options)
    tasks = _tasks(options, suite.device)
    report = Report(_head(options, suite.dtypes, suite.device), suite, plan, quiet=options.json == "-")
    within = _within(options)
    corrected(report, tasks, None if within is None else SHARE * within)
    measured(report, None if within is None else start + within, _watch(report.quiet))
    try:
        write(report, options.json, options.markdown, options.plot)
    except OSError as reason:
        raise _unwritable(Path(reason.filename or "a file"), reason.strerror or str(reason)) from None
    return 0 if report.passed else 1


def _library(options: argparse.Namespace) -> int:
    """The library's entries beside plain PyTorch; 1 where a result fails the numerics contract."""
    from attnc.bench.library import Found, measure, write

    if options.device != "cpu":
        raise error("A642", "the library is timed on a CPU", helps=("attnc bench cpu --stdlib",))
    _check_files(options)
    asked = _asked_library(options)
    found = Found(_head(options, (asked.dtype,), "cpu"), quiet=options.json == "-")
    measure(asked, found, lambda every: progress(every, "measuring", len(every)) if found.quiet else every)
    try:
        write(found, options.json, options.markdown)
    except OSError as reason:
        raise _unwritable(Path(reason.filename or "a file"), reason.strerror or str(reason)) from None
    return 0 if found.passed else 1


def _asked_library(options: argparse.Namespace) -> Library:
    from attnc.bench.entries import Extents, entries
    from attnc.bench.library import Library
    from attnc.bench.timing import Budget

    types, lengths, widths = _types(options.dtype or ["fp32"]), options.n or (2048,), options.d or (64,)
    for flag, values in (("--dtype", types), ("--n", lengths), ("--d", widths)):
        if len(values) > 1:
            raise error("A642", f"`--stdlib` takes one value of `{flag}`", helps=("run it once for each",))
    for name in ("rows", "batch", "plot", "specs"):
        if getattr(options, name) is not None:
            raise error("A642", f"`--stdlib` takes no `--{name}`", helps=("that is of the rows, not of the library",))
    every, budget = list(entries(options.stdlib)), Budget(options.seconds or 1.0, options.repeat)
    extents = Extents(lengths[0], options.heads or 8, widths[0])
    return Library(every, extents, budget, types[0], options.limit, options.within)


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


def _asked(options: argparse.Namespace) -> tuple[Suite, Plan]:
    from attnc.bench.installed import peers
    from attnc.bench.measure import Plan
    from attnc.bench.rows import chosen
    from attnc.bench.suite import USUAL, Suite
    from attnc.bench.timing import Budget, clock

    device = _device(options.device)
    usual = USUAL[DEVICES[options.device]]
    rows, dtypes = chosen(options.rows or usual.rows), _types(options.dtype or usual.dtypes)
    heads = options.heads or usual.heads
    suite = Suite(rows, options.n, options.d or usual.widths, dtypes, heads, options.batch, device)
    budget = Budget(options.seconds or usual.seconds, options.repeat)
    return suite, Plan(budget, peers(device, with_flex=not options.no_flex), not options.no_backward, clock(device))


def _types(names: Iterable[str]) -> tuple[torch.dtype, ...]:
    from attnc.bench.suite import TYPES

    for name in names:
        if name not in TYPES:
            raise error("A641", f"`{name}` is no type of the table", helps=(f"`--dtype` takes {', '.join(TYPES)}",))
    return tuple(TYPES[name] for name in names)


def _device(name: str) -> str:
    import torch

    if name == "gpu" and not torch.cuda.is_available():
        raise error("A502", "there is no GPU that PyTorch can use here", helps=("attnc bench cpu",))
    return DEVICES[name]


def _within(options: argparse.Namespace) -> float | None:
    asked: float | None = options.within
    return WITHIN if asked is None and options.device == "gpu" else asked


def _tasks(options: argparse.Namespace, device: str) -> list[Task]:
    """What is held against the oracle first."""
    from attnc.bench.correct import tasks
    from attnc.bench.suite import TYPES

    asked = options.device == "gpu" if options.correct is None else options.correct
    return tasks(_specs(options), options.dtype or TYPES, device) if asked else []


def _specs(options: argparse.Namespace) -> list[Path]:
    """The files whose attentions are checked besides the library's."""
    named = options.specs if options.specs is not None else ["examples"] if Path("examples").is_dir() else []
    found: list[Path] = []
    for path in map(Path, named):
        if not path.exists():
            raise error("A622", f"`{path}` cannot be read: there is no such file")
        found += sorted(path.glob("**/*.attn")) if path.is_dir() else [path]
    return found


def _check_files(options: argparse.Namespace) -> None:
    """What cannot be written is told before anything is measured."""
    if options.plot:
        from attnc.bench.plot import canvas

        if options.plot.suffix not in (".png", ".svg"):
            raise error("A624", f"`{options.plot}` is neither .png nor .svg", helps=("give it one of these endings",))
        canvas()
    for path in _files(options):
        if not path.absolute().parent.is_dir() or path.is_dir():
            raise _unwritable(path, "it is a folder" if path.is_dir() else "there is no such folder")


def _files(options: argparse.Namespace) -> Iterator[Path]:
    named = [options.json if options.json != "-" else None, options.markdown, options.plot]
    yield from (Path(path) for path in named if path)


def _unwritable(path: Path, reason: str) -> Exception:
    return error("A623", f"`{path}` cannot be written: {reason}")


def _head(options: argparse.Namespace, dtypes: Iterable[torch.dtype], device: str) -> Header:
    from attnc.bench.header import header
    from attnc.bench.table import type_name
    from attnc.bench.timing import clock, matmul_peak

    watch = clock(device)
    peaks = {type_name(dtype): matmul_peak(dtype, device, watch) for dtype in dtypes}
    return header(_command(options), peaks, device)


def _command(options: argparse.Namespace) -> str:
    """The command line that measures this again, with every setting that was given."""
    names = ("rows", "n", "d", "dtype", "specs", "heads", "batch", "repeat", "seconds", "within")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    words = [f"--{name} {_word(value)}" for name, value in given.items()]
    if options.stdlib is not None:
        words = [
            f"--stdlib {options.stdlib}".strip(),
            *words,
            *([f"--limit {options.limit:g}"] if options.limit != LIMIT else []),
        ]
    flags = {"--tune": options.tune, "--no-flex": options.no_flex, "--no-backward": options.no_backward}
    flags |= {"--correct": options.correct is True, "--no-correct": options.correct is False}
    return " ".join(["attnc bench", options.device, *words, *(flag for flag, on in flags.items() if on)])


def _word(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else f"{value:g}" if value else str(value)
