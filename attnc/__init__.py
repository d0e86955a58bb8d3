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
    from attnc.library import find
    from attnc.runtime.attention import Attention

    return Attention(find(reference), strict=strict)


def compile(text: str, name: str | None = None, *, strict: bool = False) -> Attention:
    """The attention `name` (the last one by default) of a spec given as a string."""
    from attnc.library import Spec
    from attnc.runtime.attention import Attention
    from attnc.source import Source

    return Attention(Spec(Source("<string>", text), name, None), strict=strict)


def stats() -> dict[str, int]:
    """Counts of this process: analyses, compilations, and hits of the disk cache by kind."""
    from attnc.runtime.cache import COUNTS

    return dict(COUNTS)


class _Standard:
    """The standard library: `attnc.std.alibi` is `attnc.load("std:alibi")`."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        attention = load(f"std:{name}")
        setattr(self, name, attention)
        return attention

    def __dir__(self) -> list[str]:
        from attnc.library import standard_attentions

        return sorted(standard_attentions())


std = _Standard()
