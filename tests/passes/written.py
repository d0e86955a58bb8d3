"""Cascades from text, for the tests of passes."""

from __future__ import annotations

from attnc.grammar.parse import parse
from attnc.ir.cascade import Cascade
from attnc.ir.syntax import File
from attnc.passes.expand import expand
from attnc.passes.names import resolve
from attnc.source import Source, Span


def _no_library(path: tuple[str, ...], span: Span) -> File:
    raise AssertionError(f"{path} is not needed here")


def stated(text: str) -> Cascade:
    """The last attention of a text, stated."""
    return resolve(parse(Source("test.attn", text)), None, {}, _no_library)


def explicit(text: str) -> Cascade:
    """The same in explicit form."""
    return expand(stated(text))
