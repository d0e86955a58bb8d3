"""What every node of every level has: a place in the spec, and equality that ignores it."""

from __future__ import annotations

from dataclasses import dataclass, field

from attnc.source import NOWHERE, Span


@dataclass(frozen=True, slots=True)
class Node:
    """A frozen piece of a program. Nodes are equal whatever their place."""

    span: Span = field(default=NOWHERE, kw_only=True, compare=False, repr=False)
