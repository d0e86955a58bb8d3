"""The layout of a file: which newlines end a statement, and how deep each statement stands.

`scan` cuts a text into lines as the language counts them: a newline inside brackets, a blank row and a comment are
white space, and a deeper row continues the line above unless that one ends in `:`. `flatten` writes the same
text with one newline per line and every character where it was; `Layout` turns indentation into tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lark.lexer import Token

from attnc.diagnostics import AttnError, Diagnostic
from attnc.grammar import characters, shapes
from attnc.source import Source

_PIECE = re.compile(r'"""[\s\S]*?"""|"(?!"")[^"\n]*"|#[^\n]*|[\n()\[\]]')
_WORD = re.compile(r"\w*")
_OPENER = {")": "(", "]": "["}


@dataclass(slots=True)
class Row:
    """One row of the text that holds code, and whether it begins inside brackets."""

    indent: int
    start: int
    end: int
    inside: bool


@dataclass(slots=True)
class Line:
    """A statement or header: its rows, and whether a block follows it."""

    rows: list[Row]
    opens: bool = False

    @property
    def indent(self) -> int:
        """The spaces before its first character."""
        return self.rows[0].indent

    @property
    def start(self) -> int:
        """The offset of its first character."""
        return self.rows[0].start

    @property
    def end(self) -> int:
        """The offset behind its last character."""
        return self.rows[-1].end


@dataclass(slots=True)
class Scan:
    """The lines of a text, and what is wrong with it before any grammar: offsets and mistakes.

    After a fatal mistake (tabs, indentation, nesting) the lines mean nothing.
    """

    source: Source
    text: str
    lines: list[Line] = field(default_factory=list)
    mistakes: list[tuple[int, Diagnostic]] = field(default_factory=list)
    fatal: bool = False

    def note(self, at: int, mistake: AttnError, *, fatal: bool = False) -> None:
        """Adds a mistake."""
        self.mistakes.append((at, mistake.diagnostics[0]))
        self.fatal = self.fatal or fatal


def scan(source: Source, text: str, *, recover: bool = False) -> Scan:
    """The lines of `text`, a version of the source's text in which no character has moved.

    With `recover` a line may end inside brackets, where the next row is no deeper: the bracket was forgotten.
    """
    result = Scan(source, text)
    for at, mistake, fatal in characters.check(source, text):
        result.note(at, mistake, fatal=fatal)
    if not result.fatal:
        result.lines = _lines(result, _rows(result, recover))
    return result


def _pieces(text: str) -> Iterator[tuple[int, int, list[int]]]:
    """Each row of the text: where it starts, where its code ends, and its brackets."""
    start, end, brackets = 0, -1, list[int]()
    for match in _PIECE.finditer(text):
        first = text[match.start()]
        if first == "\n":
            yield start, end if end >= 0 else match.start(), brackets
            start, end, brackets = match.end(), -1, []
        elif first == "#":
            end = match.start()
        elif first != '"':
            brackets.append(match.start())
    yield start, end if end >= 0 else len(text), brackets


def _rows(result: Scan, recover: bool) -> list[Row]:
    rows: list[Row] = []
    open_: list[int] = []  # the offsets of brackets not closed so far
    base = 0  # the indentation of the last row outside brackets
    for start, end, brackets in _pieces(result.text):
        code = result.text[start:end]
        indent = len(code) - len(code.lstrip(" "))
        code = code.strip(" \r")
        if not code:
            continue
        if recover and open_ and indent <= base and code[0] not in ")]":
            result.note(open_[-1], shapes.unclosed(result.source, open_))
            open_.clear()
        rows.append(Row(indent, start + indent, start + indent + len(code), bool(open_)))
        base = base if open_ else indent
        for at in brackets:
            _bracket(result, open_, at)
    if open_:
        result.note(open_[-1], shapes.unclosed(result.source, open_))
    return rows


def _bracket(result: Scan, open_: list[int], at: int) -> None:
    opener = _OPENER.get(result.text[at])
    if opener is None:
        open_.append(at)
        if len(open_) == shapes.NESTING + 1:
            result.note(at, shapes.too_deep(result.source, at, at + 1, shapes.NESTING), fatal=True)
    elif open_ and result.text[open_[-1]] == opener:
        open_.pop()
    else:
        forgotten = any(result.text[other] == opener for other in open_)  # it closes one further out
        if forgotten:
            result.note(open_[-1], shapes.unclosed(result.source, open_, at))
            while result.text[open_[-1]] != opener:
                open_.pop()
        else:
            result.note(at, shapes.mismatch(result.source, open_, at))
        if open_:
            open_.pop()


def _lines(result: Scan, rows: list[Row]) -> list[Line]:
    lines: list[Line] = []
    levels = [0]
    if rows and rows[0].indent:
        result.note(rows[0].start, shapes.indented_start(result.source, rows[0].start), fatal=True)
    for row in rows:
        line = lines[-1] if lines else None
        if line and (row.inside or (row.indent > line.indent and not line.opens)):
            line.rows.append(row)
        elif not (line and line.opens and row.indent > line.indent):
            _indentation(result, line, row, levels)
            lines.append(Line([row]))
        else:
            levels.append(row.indent)
            lines.append(Line([row]))
        lines[-1].opens = _opens(result.text, lines[-1])
    if lines and lines[-1].opens:
        result.note(lines[-1].start, shapes.no_block(result.source, lines[-1].end), fatal=True)
    return lines


def _opens(text: str, line: Line) -> bool:
    """Whether a block follows: the line ends in `:`, and is not a check, whose clauses may stand below."""
    return text[line.end - 1] == ":" and _word(text, line.start) != "check"


def _word(text: str, at: int) -> str:
    match = _WORD.match(text, at)
    return match.group() if match else ""


def _indentation(result: Scan, line: Line | None, row: Row, levels: list[int]) -> None:
    """Steps out to the level of a row that begins a line, and says so where there is none."""
    if line and line.opens:
        result.note(line.start, shapes.no_block(result.source, line.end), fatal=True)
    known = tuple(levels)
    while row.indent < levels[-1]:
        levels.pop()
    if row.indent != levels[-1] and line:
        result.note(row.start, shapes.indentation(result.source, row.start, row.indent, known, line.start), fatal=True)
        levels.append(row.indent)


def flatten(text: str, lines: list[Line]) -> str:
    """The text with a newline per line only, followed by the line's indentation; no character has moved."""
    out: list[str] = []
    at = 0
    for line in lines:
        for row in line.rows:
            starts = row is line.rows[0] and at > 0
            gap = row.start - at
            out.append(" " * (gap - 1 - row.indent) + "\n" + " " * row.indent if starts else " " * gap)
            out.append(text[row.start : row.end])
            at = row.end
    return "".join(out)


class Layout:
    """Indentation as tokens: lark's interface to what stands between its lexer and its parser."""

    always_accept = ("_NL",)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """The tokens with `_INDENT` and `_DEDENT` where a block begins and ends, each line ended by `_NL`."""
        levels = [0]
        token: Token | None = None
        for token in stream:
            yield token
            if token.type == "_NL":
                yield from _steps(token, len(token) - 1, levels)
        if token is not None:
            end = Token.new_borrow_pos("_NL", "\n", token)
            yield end
            yield from _steps(end, 0, levels)


def _steps(token: Token, indent: int, levels: list[int]) -> Iterator[Token]:
    if indent > levels[-1]:
        levels.append(indent)
        yield Token.new_borrow_pos("_INDENT", "", token)
    while indent < levels[-1]:
        levels.pop()
        yield Token.new_borrow_pos("_DEDENT", "", token)
