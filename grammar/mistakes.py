"""A text that does not parse: every independent mistake in it, each once.

A mistake's line is replaced by a harmless one of the same length, so that all else keeps its place, and the rest
is read again. A line with a mistake is reported for that one only.
"""

from __future__ import annotations

from collections.abc import Iterable

from lark.exceptions import UnexpectedInput

from attnc.diagnostics import AttnError, Diagnostic
from attnc.grammar import literals
from attnc.grammar.build import build
from attnc.grammar.expected import explain
from attnc.grammar.found import found as found_by
from attnc.grammar.layout import Line, Row, Scan, flatten, scan
from attnc.grammar.parser import tree
from attnc.source import Source

_MOST = 10
_SMALL = 2**14  # a text with more characters is not read again and again
_OF_CHARACTERS = ("A003", "A005")  # said once, however often they occur


def mistakes(source: Source) -> AttnError:
    """All that can be said about a text that has mistakes, in the order of the text."""
    text = source.text
    found: dict[int, Diagnostic] = {}
    told: set[int] = set()  # where the lines start that have been reported
    while text and len(found) < _MOST:
        seen, new = _next(source, text)
        fresh = {at: mistake for at, mistake in new if _line(seen, at).start not in told}
        found.update(fresh)
        if not fresh or seen.fatal or len(text) > _SMALL:
            break
        for line in [_line(seen, at) for at in fresh]:
            if line.start not in told:
                told.add(line.start)
                text = text and _without(source, text, line)
    return AttnError(*_once(found[at] for at in sorted(found))[:_MOST])


def _once(found: Iterable[Diagnostic]) -> list[Diagnostic]:
    kept: dict[object, Diagnostic] = {}
    for mistake in found:
        kept.setdefault(mistake.message if mistake.code in _OF_CHARACTERS else mistake, mistake)
    return list(kept.values())


def _line(seen: Scan, at: int) -> Line:
    """The line that an offset stands in or behind."""
    return next((line for line in reversed(seen.lines) if line.start <= at), Line([Row(0, at, at, False)]))


def _next(source: Source, text: str) -> tuple[Scan, list[tuple[int, Diagnostic]]]:
    """The mistakes that show first: of characters and brackets, else the first of grammar, else of literals."""
    seen = scan(source, text)
    if any(mistake.code == "A001" for _, mistake in seen.mistakes):
        seen = scan(source, text, recover=True)
    if seen.mistakes:
        return seen, seen.mistakes
    try:
        found = tree(flatten(text, seen.lines))
    except UnexpectedInput as failure:
        return _refused(source, text, seen, failure)
    wrong = literals.check(build(found, source))
    return seen, [(mistake.span.start if mistake.span else 0, mistake) for mistake in wrong]


def _refused(
    source: Source, text: str, seen: Scan, failure: UnexpectedInput
) -> tuple[Scan, list[tuple[int, Diagnostic]]]:
    """What the parser stopped at; or, where a bracket of that line is closed far below only, that bracket."""
    where = found_by(source, text, seen.lines, failure)
    recovered = scan(source, text, recover=True)
    forgotten = [(at, mistake) for at, mistake in recovered.mistakes if where.line.start <= at < where.at.start]
    if forgotten:
        return recovered, forgotten[:1]
    return seen, [(where.at.start, explain(where).diagnostics[0])]


def _without(source: Source, text: str, line: Line) -> str:
    """The text with a harmless line in place of this one; empty where there is none."""
    size = line.end - line.start
    for harmless in _harmless(text, line):
        if len(harmless) <= size:
            changed = text[: line.start] + harmless.ljust(size) + text[line.end :]
            seen, left = _next(source, changed)
            if all(_line(seen, at).start != line.start for at, _ in left):
                return changed
    return ""


def _harmless(text: str, line: Line) -> tuple[str, ...]:
    if line.indent:
        last = text.startswith("return", line.start)
        return ("return 0", "_=0", "") if last else ("_=0", "return 0", "")
    return ("attention _(_)->_:", "def _(_):", "") if line.opens else ("",)
