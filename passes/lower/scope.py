"""Where a kernel under construction stands: its scopes, the names bound so far, and their types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from attnc.ir import kernel as k
from attnc.ir.kernel import DType, TileType
from attnc.ir.tile_types import tile_type
from attnc.ir.walk import walk
from attnc.source import NOWHERE, Span


class NeedsStepError(Exception):
    """A value would carry three axes: its segment is walked point by point instead of in tiles."""


@dataclass
class Block:
    """A list of statements and what is bound in it; `index` is the loop's, if it is one."""

    body: list[k.Statement] = field(default_factory=list)
    known: dict[object, str] = field(default_factory=dict)
    indices: frozenset[str] = frozenset()


@dataclass
class Scope:
    """Nested blocks, outermost first; a value is bound in the outermost block whose indices it needs."""

    compute: DType
    tiled: Callable[[str], bool]
    order: tuple[str, ...]
    types: dict[str, TileType] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=lambda: [Block()])
    taken: set[str] = field(default_factory=set)
    depths: dict[str, int] = field(default_factory=dict)
    states: set[str] = field(default_factory=set)

    def type(self, value: k.Value) -> TileType:
        """The type of a value, its axes in canonical order."""
        found = tile_type(value, self.types, self.tiled, self.compute)
        return TileType(tuple(sorted(found.axes, key=self.order.index)), found.dtype)

    def depth(self, value: k.Value) -> int:
        """The innermost block that a value depends on."""
        deepest = 0
        for node in walk(value):
            if isinstance(node, k.Use):
                here = len(self.blocks) - 1 if node.name in self.states else self.depths[node.name]
                deepest = max(deepest, here)
            elif isinstance(node, k.Coord | k.Inside):
                for level, block in enumerate(self.blocks):
                    if node.index in block.indices:
                        deepest = max(deepest, level)
        return deepest

    def fresh(self, name: str, kind: TileType) -> str:
        """A name that is not bound in any open block; a closed block's name only for a value of the same type."""
        choice, number = name, 1
        while choice in self.taken or self.types.get(choice, kind) != kind:
            number += 1
            choice = f"{name}{number}"
        self.taken.add(choice)
        return choice

    def let(self, name: str, value: k.Value, span: Span = NOWHERE, why: str = "") -> k.Use:
        """The value bound to a name where it belongs; equal values share one binding."""
        if isinstance(value, k.Use):
            return value
        level = self.depth(value)
        for block in self.blocks[: level + 1]:
            if value in block.known:
                return k.Use(block.known[value])
        if len(self.type(value).axes) > 2:
            raise NeedsStepError
        bound = self.fresh(name, self.type(value))
        self.types[bound] = self.type(value)
        self.depths[bound] = level
        self.blocks[level].known[value] = bound
        self.blocks[level].body.append(k.Let(bound, value, why, span=span))
        return k.Use(bound)

    def load(self, name: str, load: k.Load, kind: TileType, level: int) -> k.Use:
        """A read bound where its subscripts belong; equal reads share one."""
        key = (load.tensor, load.subs, load.when)
        for block in self.blocks[: level + 1]:
            if key in block.known:
                return k.Use(block.known[key])
        if len(kind.axes) > 2:
            raise NeedsStepError
        bound = self.fresh(name, kind)
        self.types[bound] = kind
        self.depths[bound] = level
        self.blocks[level].known[key] = bound
        self.blocks[level].body.append(k.Load(bound, load.tensor, load.subs, load.when, load.why, span=load.span))
        return k.Use(bound)

    def state(self, name: str, kind: TileType, init: k.Value, span: Span = NOWHERE) -> str:
        """A state of the outermost block."""
        bound = self.fresh(name, kind)
        self.types[bound] = kind
        self.depths[bound] = len(self.blocks) - 1
        self.states.add(bound)
        return bound
