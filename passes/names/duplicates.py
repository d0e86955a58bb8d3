"""One namespace for each attention: a name means one thing."""

from __future__ import annotations

from collections.abc import Iterator

from attnc.diagnostics import AttnError, Diagnostic, error
from attnc.ir import syntax
from attnc.passes.names.ranges import declared_name
from attnc.source import Span

Meaning = tuple[str, str, Span]  # a name, what it is, where
KINDS = {"range": "index"}


def duplicates(attention: syntax.Attention, defs: dict[str, Span]) -> Iterator[Diagnostic]:
    """The names that are declared as two things, or twice as what is declared once."""
    first: dict[str, Meaning] = {}
    for meaning in _meanings(attention):
        name, what, _ = meaning
        other = first.setdefault(name, meaning)
        if what == "range" and other[1] == "index":  # an axis of an input, and where it starts
            first[name] = meaning
        if other is meaning and name in defs and name != attention.name:
            yield from _twice(meaning, (name, "def or attention", defs[name])).diagnostics
        elif other is not meaning and not _again(what, other[1]):
            yield from _twice(meaning, other).diagnostics
    for param in attention.params:
        yield from _square(param)


def _meanings(attention: syntax.Attention) -> Iterator[Meaning]:
    for param in attention.params:
        yield param.name, "input", param.span
    for option in attention.options:
        yield option.name, "option", option.span
    for param in attention.params:
        yield from ((index, "index", param.span) for index in param.indices or ())
    for statement in attention.body:
        match statement:
            case syntax.Define(places):
                yield from ((place.name, "tensor", place.span) for place in places)
            case syntax.Indices(ranges):
                yield from ((declared_name(item), "range", item.span) for item in ranges)


def _square(param: syntax.Param) -> Iterator[Diagnostic]:
    """One index for two axes of an input: its bare name would mean the diagonal."""
    indices = param.indices or ()
    for index in sorted({index for index in indices if indices.count(index) > 1}):
        yield from error(
            "A137",
            f"index {index} names two axes of `{param.name}`",
            param.span,
            "each axis has an index of its own",
            helps=(f"name them apart, and `require {index.upper()} == ..` if they are equally long",),
        ).diagnostics


def _again(what: str, other: str) -> bool:
    """Whether a second meaning adds to the first: parts of a tensor, axes along one index, where an axis starts."""
    return (what, other) in (("tensor", "tensor"), ("index", "index"), ("index", "range"), ("range", "index"))


def _twice(meaning: Meaning, other: Meaning) -> AttnError:
    name, what, span = meaning
    what, before = (KINDS.get(kind, kind) for kind in (what, other[1]))
    again = "declared twice" if what == before else f"both {_a(before)} and {_a(what)}"
    return error(
        "A137",
        f"`{name}` is {again}",
        span,
        f"{what} here",
        clashes=((other[2], f"{before} here"),) if other[2] != span else (),
        helps=("give one of them another name",),
    )


def _a(what: str) -> str:
    return f"an {what}" if what[0] in "aeiou" else f"a {what}"
