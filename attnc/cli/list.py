"""`attnc list`: the attentions of the standard library, what they are, and what serves them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from attnc.cli import add_json
from attnc.cli.progress import progress
from attnc.library import find, standard_attentions, standard_folder

if TYPE_CHECKING:
    from attnc.runtime.catalogue import Entry

HEAD = ("attention", "family", "patterns", "passes", "plans on a cpu", "plans on a gpu", "paper")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_json(parser)


def command(options: argparse.Namespace) -> int:
    """Print a table, a line for each attention, or a JSON array of records."""
    from attnc.runtime.catalogue import entry

    names = sorted(standard_attentions())
    entries = [(_module(name), entry(find(f"std:{name}"))) for name in progress(names, "reading", len(names))]
    if options.json:
        print(json.dumps([{"module": module, **asdict(item)} for module, item in entries]))
    else:
        print("\n".join(_table([HEAD, *(_cells(item) for _, item in entries)])))
    return 0


def _module(name: str) -> str:
    file = standard_attentions()[name].relative_to(standard_folder()).with_suffix("")
    return ".".join(("std", *file.parts))


def _cells(item: Entry) -> tuple[str, ...]:
    passes = ", ".join(f"{count} over {index}" for index, count in item.passes.items())
    plans = (", ".join(item.plans[machine]) for machine in ("cpu", "gpu"))
    return (item.name, item.family, ", ".join(item.patterns), passes, *plans, item.paper)


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for cells in rows:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
