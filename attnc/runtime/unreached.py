"""Inputs by which no output can be differentiated, or not by all that they decide."""

from __future__ import annotations

from collections.abc import Iterable

from attnc.diagnostics import AttnError, Diagnostic, error
from attnc.ir.cascade import Cascade, Input
from attnc.ir.dependence import read_names, sources
from attnc.source import Span


def refuse_unreached(stated: Cascade, lost: set[str], asked: str) -> None:
    """Error A402 for each of these inputs; `asked` says what was wanted of it."""
    found: list[Diagnostic] = []
    for item in sorted(stated.inputs, key=lambda item: item.name):
        if item.name in lost:
            text = f"no gradient flows from the outputs of `{stated.name}` to `{item.name}`"
            helps = (f"pass `{item.name}.detach()`: what it decides has no derivative",)
            span, label, clashes = _places(stated, item, asked)
            found += error("A402", text, span, label, clashes=clashes, helps=helps).diagnostics
    if found:
        raise AttnError(*found)


def refuse_through_defaults(stated: Cascade, given: Iterable[str], wanted: set[str]) -> None:
    """Error A403 where an input that was not given is computed from one by which a gradient is asked."""
    missing = [item for item in stated.inputs if item.name not in set(given) and item.default is not None]
    reads = {item.name: read_names(item.default) for item in missing if item.default is not None}
    for item in missing:
        names = sorted(sources(reads, (item.name,)) & wanted)
        if names:
            text = f"`{item.name}` is not given, and no derivative passes from its default to `{names[0]}`"
            helps = (f"pass `{item.name}` itself, computed from `{names[0]}`", f"pass `{names[0]}.detach()`")
            raise error("A403", text, item.span, "the default", helps=helps)


def _places(stated: Cascade, item: Input, asked: str) -> tuple[Span, str, tuple[tuple[Span, str], ...]]:
    """Where the path from an input ends, and where the input stands."""
    from attnc.passes.differentiate.ends import end_of_paths

    node = end_of_paths(stated, item.name)
    return (item.span, asked, ()) if node is None else (node.span, "no derivative passes this", ((item.span, asked),))
