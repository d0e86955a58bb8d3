"""`attnc bench cpu`: attnc beside SDPA and FlexAttention, in one process, interleaved, judged."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from attnc.cli.progress import progress
from attnc.diagnostics import error

if TYPE_CHECKING:
    from attnc.bench.header import Header
    from attnc.bench.measure import Measurement, Plan
    from attnc.bench.suite import Suite

TYPES = ("fp32", "bf16")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("device", choices=["cpu"], help="what is measured")
    parser.add_argument("--rows", type=_words, metavar="ROW,..", help="causal,window,..: all of them without it")
    parser.add_argument("--n", type=_counts, metavar="N,..", help="numbers of keys: 4096, for decoding 16384")
    parser.add_argument("--d", type=_counts, default=(64,), metavar="D,..", help="widths of a head: 64")
    parser.add_argument("--dtype", type=_words, default=list(TYPES), metavar="TYPE,..", help="fp32,bf16")
    parser.add_argument(
        "--heads", type=_count, default=8, help="query heads of the rows that have no number of their own"
    )
    parser.add_argument("--batch", type=_count, default=1)
    parser.add_argument("--repeat", type=_count, help="rounds, in place of as many as the seconds allow")
    parser.add_argument("--seconds", type=_seconds, default=2.0, help="for the rounds of one line of the table: 2")
    parser.add_argument("--no-flex", action="store_true", help="leave FlexAttention out, which compiles for seconds")
    parser.add_argument("--no-backward", action="store_true", help="measure the forward only")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="write one JSON value, or print it alone")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table as Markdown")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the ratios as .png or .svg; needs matplotlib")


def command(options: argparse.Namespace) -> int:
    """Measure, judge, report; 1 where a result fails the numerics contract."""
    suite, plan = _asked(options)
    _check_files(options)
    head = _head(options, suite, plan)
    quiet = options.json == "-"
    items = list(_measured(head, suite, plan, quiet))
    _write(options, head, items)
    return 0 if all(item.passed for item in items) else 1


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
    from attnc.bench.measure import Plan
    from attnc.bench.rows import chosen
    from attnc.bench.suite import Suite
    from attnc.bench.table import TYPES
    from attnc.bench.timing import Budget

    for name in options.dtype:
        if name not in TYPES:
            raise error("A641", f"`{name}` is no type of the table", helps=(f"`--dtype` takes {', '.join(TYPES)}",))
    dtypes = tuple(TYPES[name] for name in options.dtype)
    rows = chosen(options.rows)
    suite = Suite(rows, options.n, options.d, dtypes, options.heads, options.batch, options.device)
    budget = Budget(options.seconds, options.repeat)
    return suite, Plan(budget, flex=not options.no_flex, backward=not options.no_backward)


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


# ---- report -------------------------------------------------------------------------------------


def _head(options: argparse.Namespace, suite: Suite, plan: Plan) -> Header:
    from attnc.bench.header import header
    from attnc.bench.table import type_name
    from attnc.bench.timing import matmul_peak

    peaks = {type_name(dtype): matmul_peak(dtype, suite.device, plan.finish) for dtype in suite.dtypes}
    return header(_command(options, suite), peaks)


def _command(options: argparse.Namespace, suite: Suite) -> str:
    """The command line that measures this again, with every setting that is not the usual one."""
    lists = {"rows": options.rows, "n": options.n, "d": options.d, "dtype": options.dtype}
    words = [f"--{name} {','.join(map(str, value))}" for name, value in lists.items() if value]
    words += [f"--heads {suite.heads} --batch {suite.batch}"]
    words += [f"--repeat {options.repeat}" if options.repeat else f"--seconds {options.seconds:g}"]
    flags = {"--no-flex": options.no_flex, "--no-backward": options.no_backward}
    return " ".join(["attnc bench", suite.device, *words, *(flag for flag, on in flags.items() if on)])


def _measured(head: Header, suite: Suite, plan: Plan, quiet: bool) -> Iterator[Measurement]:
    """The measurements, each printed as it comes, and what is to be said of them."""
    from attnc.bench.measure import measured
    from attnc.bench.table import HEAD, LEGEND, cells, line, remarks

    def say(text: str) -> None:
        if not quiet:
            print(text, flush=True)

    say("\n".join([*head.lines(), *LEGEND, "", line(HEAD)]))
    items, cases = [], list(suite.cases())
    for case in progress(cases, "measuring", len(cases)) if quiet else cases:  # else the lines themselves tell
        for item in measured(case, plan):
            say(line(cells(item, head)))
            items.append(item)
            yield item
    say("\n".join(["", *remarks(items)]).rstrip())


def _write(options: argparse.Namespace, head: Header, items: list[Measurement]) -> None:
    from attnc.bench.plot import plot
    from attnc.bench.table import markdown, plain

    text = json.dumps(plain(head, items))
    if options.json == "-":
        print(text)
    try:
        if options.json not in (None, "-"):
            Path(options.json).write_text(text + "\n", encoding="utf-8")
        if options.markdown:
            options.markdown.write_text(markdown(head, items), encoding="utf-8")
        if options.plot:
            plot(head, items, options.plot)
    except OSError as reason:
        raise _unwritable(Path(reason.filename or "a file"), reason.strerror or str(reason)) from None
