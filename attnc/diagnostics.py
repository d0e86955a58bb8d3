"""Everything attnc tells a user about a mistake leaves through here.

A `Diagnostic` has a code, one sentence, a place with what clashes there, the rule and the mend.
`AttnError` carries one or several. Codes: A0 syntax, A1 names, extents and types, A2 masks and
domains, A3 passes and derivation, A4 gradients, A5 targets and tools, A6 calls, A9 a bug in attnc.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from attnc.source import Span

WIDEST = 300  # characters of a line that are shown


@dataclass(frozen=True, slots=True)
class Label:
    """A remark on a place: `^` under the culprit, `-` under what it clashes with."""

    span: Span
    text: str = ""
    culprit: bool = False


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake: what was found, where, by which rule, and what to write instead."""

    code: str
    message: str
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    helps: tuple[str, ...] = ()

    @property
    def span(self) -> Span | None:
        """The culprit's place."""
        return next((label.span for label in self.labels if label.culprit), None)


class AttnError(Exception):
    """A mistake in a spec, a call or a set-up; never a bug in attnc itself (that is code A9)."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        """Carries the diagnostics; its text is all of them rendered."""
        self.diagnostics = diagnostics
        super().__init__(render_all(diagnostics))

    @property
    def code(self) -> str:
        """The first diagnostic's code."""
        return self.diagnostics[0].code


def error(
    code: str,
    message: str,
    at: Span | None = None,
    label: str = "",
    *,
    clashes: Iterable[tuple[Span, str]] = (),
    notes: Iterable[str] = (),
    helps: Iterable[str] = (),
) -> AttnError:
    """One mistake at one place, ready to raise; places are those where the user wrote what they are of."""
    culprit = (Label(at.origin, label, culprit=True),) if at is not None and at.source.text else ()
    others = tuple(Label(span.origin, text) for span, text in clashes if span.source.text)
    return AttnError(Diagnostic(code, message, culprit + others, tuple(notes), tuple(helps)))


def render_all(diagnostics: Iterable[Diagnostic]) -> str:
    """All diagnostics as text, a blank line between two."""
    return "\n\n".join(render(diagnostic) for diagnostic in diagnostics)


def render(diagnostic: Diagnostic) -> str:
    """One diagnostic as text: sentence, place, excerpt with marks, notes and helps."""
    lines = [f"error[{diagnostic.code}]: {diagnostic.message}"]
    gutter = _gutter(diagnostic.labels)
    lines += _excerpts(diagnostic, gutter)
    remarks = [("note", text) for text in diagnostic.notes] + [("help", text) for text in diagnostic.helps]
    if remarks and diagnostic.labels:
        lines.append(" " * gutter + " |")
    for kind, text in remarks:
        lines.append(" " * gutter + f" = {kind}: " + text.replace("\n", "\n" + " " * (gutter + 9)))
    return "\n".join(lines)


def _gutter(labels: tuple[Label, ...]) -> int:
    return max((len(str(label.span.line)) for label in labels), default=1)


def _excerpts(diagnostic: Diagnostic, gutter: int) -> list[str]:
    culprit = diagnostic.span
    if culprit is None:
        return []
    pad = " " * gutter
    lines = [f"{pad}--> {culprit.source.name}:{culprit.line}:{culprit.column}", f"{pad} |"]
    groups: dict[tuple[str, int], list[Label]] = {}
    for label in diagnostic.labels:
        groups.setdefault((label.span.source.name, label.span.line), []).append(label)
    shown = sorted(groups, key=lambda key: (key[0] != culprit.source.name, key))
    previous: tuple[str, int] | None = None
    for key in shown:
        if previous and key[0] != previous[0]:
            lines.append(f"{pad}::: {key[0]}:{key[1]}")
        elif previous and key[1] > previous[1] + 1:
            lines.append("." * 3)
        lines += _marked_line(key[1], groups[key], gutter)
        previous = key
    return lines


def _window(text: str, labels: list[Label]) -> tuple[str, int]:
    """What is shown of a line, and where it begins: all of it, or the part around the culprit of a very long one."""
    if len(text) <= WIDEST:
        return text, 0
    culprit = next((label for label in labels if label.culprit), labels[0])
    left = max(0, min(culprit.span.column - 1 - WIDEST // 2, len(text) - WIDEST))
    shown = text[left : left + WIDEST]
    return (".." + shown[2:] if left else shown) + (".." if left + WIDEST < len(text) else ""), left


def _marked_line(number: int, labels: list[Label], gutter: int) -> list[str]:
    text, left = _window(labels[0].span.source.lines[number - 1], labels)
    lines = [f"{number:>{gutter}} | {text}".rstrip()]
    for label in sorted(labels, key=lambda item: item.span.start, reverse=True):
        start = max(0, label.span.column - 1 - left)
        width = max(1, min(label.span.end - label.span.start, len(text) - start))
        mark = ("^" if label.culprit else "-") * width
        lines.append(f"{' ' * gutter} | {' ' * start}{mark} {label.text}".rstrip())
    return lines
