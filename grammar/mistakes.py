"""A text that does not parse: every independent mistake in it, each once.

A mistake's line is replaced by a harmless one of the same length, so that all else keeps its place, and the rest
is read again. Lines with one mistake are reported for that one only.
"""

from __future__ import annotations

from lark.exceptions import UnexpectedInput

from attnc.diagnostics import AttnError, Diagnostic
from attnc.grammar import literals
from attnc.grammar.build import build
from attnc.grammar.expected import explain
from attnc.grammar.found import found as found_by
from attnc.grammar.layout import Line, Scan, flatten, scan
from attnc.grammar.parser import tree
from attnc.source import Source

_MOST = 20
_SMALL = 2**16  # beyond this many characters the text is not read again and again


def mistakes(source: Source) -> AttnError:
    """All that can be said about a text that has mistakes, in the order of the text."""
    text, found = source.text, dict[int, Diagnostic]()
    while text and len(found) < _MOST:
        seen, new = _next(source, text)
        fresh = [(at, mistake) for at, mistake in new if at not in found]
        found.update(fresh)
        if not fresh or seen.fatal or len(text) > _SMALL:
            break
        text = _without(text, seen, [at for at, _ in fresh])
    return AttnError(*(found[at] for at in sorted(found)))


def _next(source: Source, text: str) -> tuple[Scan, list[tuple[int, Diagnostic]]]:
    """The mistakes that show first: of characters and brackets, else the first of grammar, else of literals."""
    seen = scan(source, text)
    if not seen.mistakes:
        try:
            found = tree(flatten(text, seen.lines))
        except UnexpectedInput as failure:
            recovered = scan(source, text, recover=True)
            if not recovered.mistakes:
                where = found_by(source, text, seen.lines, failure)
                return seen, [(where.at.start, explain(where).diagnostics[0])]
        else:
            wrong = literals.check(build(found, source))
            return seen, [(mistake.span.start if mistake.span else 0, mistake) for mistake in wrong]
    seen = scan(source, text, recover=True)
    return seen, seen.mistakes


def _without(text: str, seen: Scan, places: list[int]) -> str:
    """The text with the lines at these places made harmless; empty where that cannot be done."""
    for line in seen.lines:
        if any(line.start <= at <= line.end for at in places):
            harmless = _harmless(text, line)
            if len(harmless) > line.end - line.start:
                return ""
            text = text[: line.start] + harmless.ljust(line.end - line.start) + text[line.end :]
    return text


def _harmless(text: str, line: Line) -> str:
    code = text[line.start : line.end]
    if not line.indent:
        header = "attention _(_)->_:" if code.startswith("attention") else "def _(_):"
        return header if line.opens else ""
    return "return 0" if code.startswith("return") else "_=0"
