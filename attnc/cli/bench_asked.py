"""What `attnc bench` is asked for: the suite and its plan, the library's entries, the files, the head of the table."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from attnc.diagnostics import error

if TYPE_CHECKING:
    import torch

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


def asked(options: argparse.Namespace) -> tuple[Suite, Plan]:
    """The rows, extents and types that are measured, and how; error A502, A640 or A641 where these are none."""
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


def within_of(options: argparse.Namespace) -> float | None:
    """The seconds after which nothing more is begun; None for no limit."""
    asked: float | None = options.within
    return WITHIN if asked is None and options.device == "gpu" else asked


def tasks_of(options: argparse.Namespace, device: str) -> list[Task]:
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


def check_files(options: argparse.Namespace) -> None:
    """What cannot be written is told before anything is measured."""
    if options.plot:
        from attnc.bench.plot import canvas

        if options.plot.suffix not in (".png", ".svg"):
            raise error("A624", f"`{options.plot}` is neither .png nor .svg", helps=("give it one of these endings",))
        canvas()
    for path in _files(options):
        if not path.absolute().parent.is_dir() or path.is_dir():
            raise unwritable(path, "it is a folder" if path.is_dir() else "there is no such folder")


def _files(options: argparse.Namespace) -> Iterator[Path]:
    named = [options.json if options.json != "-" else None, options.markdown, options.plot]
    yield from (Path(path) for path in named if path)


def unwritable(path: Path, reason: str) -> Exception:
    """Error A623 for a file."""
    return error("A623", f"`{path}` cannot be written: {reason}")


def head(options: argparse.Namespace, dtypes: Iterable[torch.dtype], device: str) -> Header:
    """The head of the table: this machine, here and now, and the command that was given."""
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


def asked_library(options: argparse.Namespace) -> Library:
    """The entries of the library that are timed, and how; error A642 for what is of the rows."""
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
