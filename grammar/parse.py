"""Text to syntax: the one door to the grammar."""

from __future__ import annotations

from lark.exceptions import UnexpectedInput

from attnc.diagnostics import AttnError
from attnc.grammar import literals
from attnc.grammar.build import build
from attnc.grammar.layout import flatten, scan
from attnc.grammar.mistakes import mistakes
from attnc.grammar.parser import tree
from attnc.grammar.read import LIMIT, too_large
from attnc.ir import syntax
from attnc.source import Source


def parse(source: Source) -> syntax.File:
    """The file as syntax, or one error with everything that was found wrong.

    Before: any text. After: every node spans its own text. Holds: the time is linear in the text, whatever it is.
    """
    if len(source.text) > LIMIT:
        raise too_large(source.name)
    seen = scan(source, source.text)
    if seen.mistakes:
        raise mistakes(source)
    try:
        found = tree(flatten(source.text, seen.lines))
    except UnexpectedInput:
        raise mistakes(source) from None
    file = build(found, source)
    if wrong := literals.check(file):
        raise AttnError(*wrong)
    return file
