"""Where a text stopped making sense: the token, what could stand there, and the line around it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from attnc.grammar.layout import Line, Row
from attnc.source import Source, Span

HEADS = ("attention", "def", "mask", "score")
CLAUSES = ("index", "carry", "require", "check")

_TOKEN = re.compile(r"[A-Za-z_]\w*|[0-9.]+\w*|->|\*\*|//|[<>=!]=|\S")
_NOTHING = Line([Row(0, 0, 0, False)])


@dataclass(frozen=True)
class Found:
    """A token that the grammar does not allow where it stands."""

    at: Span
    kind: str
    accepts: frozenset[str]
    line: Line
    text: str

    @cached_property
    def word(self) -> str:
        """The token as written; nothing at the end of a line."""
        return "" if self.ends else self.at.text

    @property
    def ends(self) -> bool:
        """Whether it is the line's end that came too early."""
        return self.kind in ("_NL", "_INDENT", "_DEDENT", "$END")

    @cached_property
    def before(self) -> str:
        """The line's text up to the token."""
        return self.text[self.line.start : min(self.at.start, self.line.end)]

    @cached_property
    def words(self) -> list[str]:
        """The line's tokens before this one, roughly."""
        return _TOKEN.findall(self.before)

    @property
    def first(self) -> str:
        """The line's first word."""
        return (self.words or [self.word])[0]

    @cached_property
    def open(self) -> str:
        """The brackets open at the token, outermost first."""
        stack: list[str] = []
        for word in self.words:
            if word in "([":
                stack.append(word)
            elif word in ")]" and stack:
                stack.pop()
        return "".join(stack)

    @property
    def behind(self) -> Span:
        """The place right behind what stands before the token."""
        end = self.line.start + len(self.before.rstrip())
        return Span(self.at.source, end, end + 1)

    @property
    def code(self) -> str:
        """The whole line on one row."""
        return " ".join(self.text[row.start : row.end] for row in self.line.rows)


def found(source: Source, text: str, lines: list[Line], failure: UnexpectedInput) -> Found:
    """What lark found, in the terms of the text."""
    accepts = getattr(failure, "interactive_parser", None)
    allowed = frozenset(accepts.accepts() if accepts else ())
    match failure:
        case UnexpectedToken(token=token) if token.type != "$END":
            kind, start, size = token.type, token.start_pos or 0, len(token)
        case UnexpectedCharacters(pos_in_stream=at):
            kind, start, size = "", at, 1
        case _:
            kind, start, size = "$END", lines[-1].end if lines else 0, 1
    line = next((line for line in reversed(lines) if line.start <= start), _NOTHING)
    if kind in ("_NL", "_DEDENT", "_INDENT", "$END"):
        start, size = line.end, 1
    return Found(Span(source, start, start + size), kind, allowed, line, text)


def clip(text: str) -> str:
    """A text on one row, short enough to quote."""
    words = " ".join(text.split())
    return words if len(words) <= 80 else f"{words[:37]} .. {words[-37:]}"


def deeper(f: Found) -> tuple[str, ...]:
    """The remark for a row that continues the one above without meaning to."""
    if any(row.start == f.at.start for row in f.line.rows[1:]):
        return ("this row is deeper and so continues the line above; start it in the same column",)
    return ()
