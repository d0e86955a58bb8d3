"""Mistakes gathered while a file is resolved, so that independent ones are told together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches

from attnc.diagnostics import AttnError, Diagnostic, error
from attnc.source import Span

MOST = 20  # more mistakes than this are not told at once


@dataclass
class Mistakes:
    """The mistakes found so far."""

    found: list[Diagnostic] = field(default_factory=list)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """A mistake raised inside is kept, and the rest of the block left out."""
        try:
            yield
        except AttnError as mistake:
            self.found += mistake.diagnostics

    def add(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Keep these."""
        self.found += diagnostics

    def told(self) -> None:
        """All of them raised as one error, in the order of the text; nothing where there are none."""
        if self.found:
            raise AttnError(*in_order(self.found))


def in_order(found: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Each mistake once, in the order of the text."""
    different: dict[tuple[object, ...], Diagnostic] = {}
    for item in sorted(found, key=_place):  # of one name or divisor the first place is enough
        key = (item.code, item.message) if item.code in ("A101", "A209") else (item.code, item.message, item.span)
        different.setdefault(key, item)
    return list(different.values())[:MOST]


def _place(item: Diagnostic) -> tuple[str, int]:
    return (item.span.source.name, item.span.start) if item.span is not None else ("", -1)


def follows() -> AttnError:
    """What is wrong here follows from another mistake, which is told: nothing more to say."""
    return AttnError()


def unknown(name: str, span: Span, known: Iterable[str], what: str = "name", note: str = "") -> AttnError:
    """A name that means nothing here, with the nearest that does."""
    close = nearest(name, known)
    helps = (f"did you mean `{close}`?",) if close else ()
    return error(
        "A101", f"unknown {what} `{name}`", span, "not defined here", notes=(note,) if note else (), helps=helps
    )


def unknown_index(name: str, span: Span, known: Iterable[str], meant: str = "") -> AttnError:
    """An index that is not declared; `meant` is the one that this axis has."""
    close = meant or nearest(name, known)
    helps = (f"did you mean `{close}`?",) if close else ()
    declare = f"an index comes from an input's axis or from a line such as `index {name} < 8`"
    return error("A101", f"index `{name}` is not declared", span, "not an index here", notes=(declare,), helps=helps)


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that this one may be meant for; none if nothing is near."""
    names = list(dict.fromkeys(known))
    same = [other for other in names if other.lower() == name.lower()]
    return next(iter(same or get_close_matches(name, names, n=1)), "")


def counted(count: int, what: str, several: str = "") -> str:
    """`1 axis`, `3 axes`."""
    return f"{count} {what if count == 1 else several or what + 's'}"
