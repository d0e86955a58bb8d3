"""`attnc list`: the entries of the standard library, what they are, and what serves them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from attnc.cli import add_json
from attnc.cli.progress import progress
from attnc.diagnostics import error

if TYPE_CHECKING:
    from attnc.runtime.catalogue import Entry

HEAD = ("attention", "family", "patterns", "passes", "stages", "fused", "refusals", "confidence", "paper")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_json(parser)
    parser.add_argument("--pages", metavar="DIR", help="write library.md and pictures of the masks into a folder")
    parser.add_argument("word", nargs="?", default="", help="only this family, this file, or this attention")


def command(options: argparse.Namespace) -> int:
    """Print a table, a line for each entry, or a JSON object with their records."""
    entries = list(found(options.word))
    if options.pages:
        _write(entries, Path(options.pages))
    elif options.json:
        print(json.dumps({"entries": [asdict(item) for item in entries]}))
    else:
        print("\n".join(table([HEAD, *map(cells, entries)])))
    return 0


def _write(entries: list[Entry], folder: Path) -> None:
    from attnc.cli.library_page import write_pages

    try:
        write_pages(entries, folder)
    except OSError as reason:
        raise error("A623", f"`{folder}` cannot be written: {reason.strerror}") from None


def found(word: str) -> Iterator[Entry]:
    """The entries that a word names."""
    from attnc.runtime.catalogue import entry_of, family_of, listed

    rows = [(file, names) for file, names in listed() if word in ("", *names, file.stem, family_of(file))]
    if not rows:
        close = get_close_matches(word, (name for file, names in listed() for name in (*names, family_of(file))), n=1)
        helps = tuple(f"did you mean `attnc list {name}`?" for name in close) or ("`attnc list` alone lists all",)
        raise error("A610", f"the standard library has no family, file or attention `{word}`", helps=helps)
    for file, names in progress(rows, "reading", len(rows)):
        yield entry_of(file, names)


def cells(item: Entry) -> tuple[str, ...]:
    """An entry as the cells of its line."""
    passes = (f"{row['written']}/{row['derived']}/{row['bound']} over {index}" for index, row in item.passes.items())
    plans = dict.fromkeys(f"{'heavy ' if row.heavy else ''}{row.plan} ({row.backend})" for row in item.stages)
    fused = [way for way, whole in item.fused.items() if whole]
    confidence = item.confidence.partition(" ")[0]
    line = (item.name, item.family, ", ".join(item.patterns), ", ".join(passes), ", ".join(plans))
    return (*line, ", ".join(fused) or "no", ", ".join(item.refusals), confidence, item.paper)


def table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Rows of cells as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
