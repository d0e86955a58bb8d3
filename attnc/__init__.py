"""attnc: a compiler for attention, from Einsum cascades to fast kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnc.diagnostics import AttnError

if TYPE_CHECKING:
    from pathlib import Path

    from attnc.runtime.attention import Attention

__all__ = ["AttnError", "compile", "load", "stats", "std"]


def load(reference: str | Path, *, strict: bool = False) -> Attention:
    """The attention of `std:NAME`, `file.attn` (its last) or `file.attn#NAME`."""
    from os import PathLike, fspath

    from attnc.library import find
    from attnc.runtime.attention import Attention

    path = fspath(reference) if isinstance(reference, PathLike) else reference
    return Attention(find(_text(path, "load", "a path or `std:NAME`")), strict=strict)


def compile(text: str, name: str | None = None, *, strict: bool = False) -> Attention:
    """The attention `name` (the last one by default) of a spec given as a string."""
    from attnc.library import Spec
    from attnc.runtime.attention import Attention
    from attnc.source import Source

    text = _text(text, "compile", "the text of a spec").replace("\r\n", "\n")
    return Attention(Spec(Source("<string>", text), name, None), strict=strict)


def _text(value: object, function: str, wanted: str) -> str:
    from attnc.diagnostics import error

    if isinstance(value, str):
        return value
    raise error("A615", f"`attnc.{function}` wants {wanted}, but got `{type(value).__name__}`")


def stats() -> dict[str, int]:
    """Counts of this process: analyses, compilations, and hits of the disk cache by kind."""
    from attnc.runtime.cache import COUNTS

    return dict(COUNTS)


class _UnknownNameError(AttnError, AttributeError):
    """An attention that the library lacks: an AttnError which `hasattr` understands."""


class _Standard:
    """The standard library: `attnc.std.alibi` is `attnc.load("std:alibi")`."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            attention = load(f"std:{name}")
        except AttnError as mistake:
            raise (_UnknownNameError(*mistake.diagnostics) if mistake.code == "A610" else mistake) from None
        setattr(self, name, attention)
        return attention

    def __dir__(self) -> list[str]:
        from attnc.library import standard_attentions

        return sorted(standard_attentions())


std = _Standard()


def __getattr__(name: str) -> Any:
    """`attnc.flex_attention`, and what Python functions are traced with: `attnc.jit`, `attnc.sum`, ..."""
    from importlib import import_module
    from importlib.util import find_spec

    elsewhere = name.startswith("_") or find_spec(f"attnc.{name}") is not None  # a module is imported, not asked for
    for module in () if elsewhere else ("attnc.trace", "attnc.flex"):
        home = import_module(module)
        if name in home.__all__:
            found = globals()[name] = getattr(home, name)  # asked for once: looking for modules takes long
            return found
    raise AttributeError(f"module 'attnc' has no attribute '{name}'")
