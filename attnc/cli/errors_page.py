"""The index of errors: every code, what is said, and what to do; made of the pages of codes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from attnc.cli.codes import FAMILIES, codes, texts_of

HEAD = """# The index of errors

Written by `attnc explain --pages docs` from what the compiler says. `attnc explain CODE` prints what provokes it, with
the whole text; names in backticks are those of that example. In Python, the `code` of an `attnc.AttnError` is the code.
"""
HEADS = "| code | what is said | what to do, or what holds |"


def page() -> str:
    """The page as Markdown, a table for each family."""
    return "\n".join([HEAD, *map(_family, FAMILIES)])


@dataclass(frozen=True)
class Said:
    """One message of a code, and what it offers: mends, else the rule."""

    message: str
    offers: tuple[str, ...]


def said(code: str) -> list[Said]:
    """What a code says, each message once."""
    texts = "\n".join(text.read_text(encoding="utf-8") for text in texts_of(code))
    found = (_read(item) for item in re.split(r"^error\[", texts, flags=re.MULTILINE) if item.startswith(f"{code}]: "))
    return list({item.message: item for item in found}.values())


def _read(text: str) -> Said:
    """The words of one error behind `error[`."""
    helps, notes = (re.findall(rf"^ *= {kind}: (.*)$", text, re.MULTILINE) for kind in ("help", "note"))
    return Said(text.partition("\n")[0].partition(": ")[2], tuple(helps or notes))


def _family(family: str) -> str:
    rows = [row for code in codes() if code.startswith(family) for row in _rows(code)]
    return "\n".join([f"## {family}: {FAMILIES[family]}\n", HEADS, "|---|---|---|", *rows, ""])


def _rows(code: str) -> Iterator[str]:
    """A row for each message; the first has the code."""
    head = f' <a id="{code}"></a>{code} '
    for item in said(code):
        cells = (text.replace("|", "\\|") for text in (item.message, "<br>".join(item.offers)))
        yield f"|{head}| {' | '.join(cells)} |"
        head = " "
