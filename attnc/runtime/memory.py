"""Memory that is not there, told as what it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from attnc.diagnostics import error

_SIGNS = ("can't allocate memory", "Storage size calculation overflowed", "out of memory", "numel: integer")


@contextmanager
def enough_memory(
    what: str, help: str = "ask for smaller extents, or fewer batch elements at a time"
) -> Iterator[None]:
    """Whatever runs inside; error A506 where PyTorch finds no room for it."""
    try:
        yield
    except (MemoryError, RuntimeError) as reason:
        words = str(reason).strip().split("\n")[0]
        if not isinstance(reason, MemoryError | torch.OutOfMemoryError) and not any(sign in words for sign in _SIGNS):
            raise
        asked = words.partition("you tried to allocate ")[2].partition(".")[0]
        notes = (f"{asked} were asked for at once",) if asked else ()
        raise error("A506", f"there is not enough memory {what}", notes=notes, helps=(help,)) from None
