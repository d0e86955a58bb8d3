"""A traced program as the text of a spec, in which every place is one of the Python program.

The text is what attnc reads, keeps its results by, and shows in kernels and explanations: a traced program is a spec
like any other, also to what quotes it. What a place in it is in Python is known node by node, since the text reads
back as the nodes it was printed from; that is looked up for an error alone.
"""

from __future__ import annotations

from functools import cached_property

from attnc.diagnostics import AttnError
from attnc.ir import syntax as syn
from attnc.ir.print_syntax import show
from attnc.ir.walk import walk
from attnc.library import parse_source
from attnc.source import NOWHERE, Source, Span
from attnc.trace.values import too_deep


class Printed(Source):
    """The text of a traced file, with the places it comes from."""

    def __init__(self, name: str, file: syn.File) -> None:
        """Prints the file."""
        super().__init__(name, _text(file))
        object.__setattr__(self, "file", file)

    file: syn.File

    __eq__ = object.__eq__  # equal texts may come from different places
    __hash__ = object.__hash__

    def origin(self, span: Span) -> Span:
        """The Python expression that wrote the smallest node around a stretch of the text."""
        around = [
            (read.end - read.start, -number, written)
            for number, (read, written) in enumerate(self._places)
            if read.start <= span.start and span.end <= read.end and written is not NOWHERE
        ]
        return min(around, key=lambda item: item[:2])[2] if around else self._statement(span)

    @cached_property
    def _places(self) -> tuple[tuple[Span, Span], ...]:
        """Where each node stands in the text, and where in Python."""
        self.__dict__["_places"] = ()  # a text that cannot be read is an error with a place in it
        try:
            read = parse_source(self)
        except AttnError:
            return ()
        pairs = zip(walk(read), walk(self.file), strict=True)
        return tuple((one.span, other.span) for one, other in pairs)

    def _statement(self, span: Span) -> Span:
        """The statement of the last definition in whose line a place lies: each has a line of its own."""
        last = self.file.definitions[-1]
        body = last.body
        number = span.line - (len(self.lines) - 1 - len(body)) - 1
        return body[number].span if 0 <= number < len(body) else last.span


def _text(file: syn.File) -> str:
    try:
        return show(file)
    except RecursionError:
        raise too_deep(file.definitions[-1].span) from None
