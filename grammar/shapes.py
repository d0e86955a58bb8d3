"""What is said about brackets, nesting and indentation: mistakes that show before any grammar."""

from __future__ import annotations

import re

from attnc.diagnostics import AttnError, error
from attnc.source import Source, Span

NESTING = 200
"""How deep brackets and expressions may nest."""

_NAMES = {"(": "parenthesis", "[": "bracket"}
_CLOSER = {"(": ")", "[": "]"}


def unclosed(source: Source, open_: list[int], stop: int | None = None) -> AttnError:
    """The innermost of the brackets that have no partner; `stop` is a bracket that closes another."""
    at = open_[-1]
    char = source.text[at]
    row = source.text[_head(source.text, at) : stop].partition("\n")[0]
    code = row.partition("#")[0].rstrip()
    whole = re.split(r", \w+\[", code)[0] if char == "[" else code  # subscripts end where the next tensor begins
    end = _head(source.text, at) + len(code)
    return error(
        "A001",
        f"this {_NAMES[char]} is never closed",
        Span(source, at, at + 1),
        "opened here",
        clashes=((Span(source, end, end + 1), f"no `{_CLOSER[char]}` up to here"),) if end > at + 1 else (),
        helps=(f"close it: `{whole}{_CLOSER[char]}`",),
    )


def _head(text: str, at: int) -> int:
    while at > 0 and (text[at - 1].isalnum() or text[at - 1] == "_"):
        at -= 1
    return at


def mismatch(source: Source, open_: list[int], at: int) -> AttnError:
    """A closing bracket that closes nothing, or another kind than the one opened last."""
    char = source.text[at]
    span = Span(source, at, at + 1)
    if not open_:
        return error("A002", f"this `{char}` closes nothing", span, "no bracket is open here", helps=("remove it",))
    last = source.text[open_[-1]]
    return error(
        "A002",
        f"`{char}` cannot close `{last}`",
        span,
        f"expected `{_CLOSER[last]}`",
        clashes=((Span(source, open_[-1], open_[-1] + 1), "opened here"),),
        helps=(f"write `{_CLOSER[last]}` before this `{char}`, or in its place",),
    )


def too_deep(source: Source, start: int, end: int, limit: int) -> AttnError:
    """Brackets or an expression nested beyond the limit."""
    return error(
        "A007",
        f"this expression nests deeper than {limit}",
        Span(source, start, end),
        f"level {limit + 1} begins here",
        notes=(f"brackets and operators nest at most {limit} deep; so does a sum of as many terms",),
        helps=("give a part of it a name: a statement `T[..] = ..` of its own costs nothing",),
    )


def indented_start(source: Source, at: int) -> AttnError:
    """A first line that does not start at the margin."""
    return error(
        "A008",
        "the first line of a file is indented",
        Span(source, at, at + 1),
        "expected in column 1",
        helps=("start it, and every definition, in column 1",),
    )


def indentation(source: Source, at: int, indent: int, known: tuple[int, ...], above: int) -> AttnError:
    """A line that stands at no level of the blocks around it."""
    levels = " or ".join(str(level) for level in known)
    return error(
        "A008",
        f"this line is indented by {indent}, which matches no block",
        Span(source, at, at + 1),
        f"expected {levels} spaces",
        clashes=((Span(source, above, above + 1), f"the line above is indented by {known[-1]}"),),
        notes=("the statements of a block start in the same column; a deeper line continues the one above",),
        helps=(f"indent it by {known[-1]} to stay in the block, or by {known[0]} to leave it",),
    )


def no_block(source: Source, end: int) -> AttnError:
    """A line that ends in `:` with nothing deeper below it."""
    return error(
        "A009",
        "nothing follows this `:`",
        Span(source, end - 1, end),
        "expected an indented block below",
        notes=("a line that ends in `:` opens a block, whose lines are indented deeper",),
        helps=("indent the lines that belong to it by four spaces",),
    )
