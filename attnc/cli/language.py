"""`attnc language`: the language on one page, or the line of one word."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from attnc.cli import add_json, write_page
from attnc.diagnostics import error

if TYPE_CHECKING:
    from attnc.cli.language_entries import Entry


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_json(parser)
    parser.add_argument("--pages", metavar="DIR", help="write language.md into a folder")
    parser.add_argument("word", nargs="?", help="an operator, a function, or the word of a statement")


def command(options: argparse.Namespace) -> int:
    """Print the page, or the lines of a word."""
    from attnc.cli.language_page import page

    if options.pages:
        write_page(Path(options.pages) / "language.md", page())
        return 0
    found = lines(options.word)
    if options.json:
        print(json.dumps({"words": [asdict(item) for item in found]}))
    elif options.word is None:
        print(page(), end="")
    else:
        print("\n".join(line for item in found for line in _text(item)))
    return 0


def lines(word: str | None) -> list[Entry]:
    """The lines of a word, all without one; error A629 where the language has no such word."""
    from attnc.cli.language_entries import TABLES

    entries = [item for entries in TABLES.values() for item in entries()]
    found = [item for item in entries if word is None or word in (item.word, *item.word.split())]
    if not found:
        close = get_close_matches(str(word), (item.word for item in entries), n=1)
        helps = tuple(f"did you mean `{name}`?" for name in close) or ("`attnc language` prints all of it",)
        raise error("A629", f"the language has no word `{word}`", helps=helps)
    return found


def _text(item: Entry) -> Iterator[str]:
    yield f"{item.word}: {item.meaning}"
    first, *more = item.example.split("\n")
    yield f"    {first}" + (f"    gives {item.value}" if item.value else "")
    yield from (f"    {line}" for line in more)
