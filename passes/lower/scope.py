"""Where a kernel under construction stands: its open blocks, the names bound so far, and their types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from attnc.ir import kernel as k
from attnc.ir.kernel import DType, TileType
from attnc.ir.tile_types import tile_type
from attnc.ir.walk import walk
from attnc.source import NOWHERE, Span


@dataclass
class Block:
    """A list of statements and what is bound in it; `index` is the loop's, if it is one, in tiles or by points.

    A block without a `loop` stands for a part of the block around it that is done under a condition.
    `known` are the names of what is bound here, `values` what expressions were found to be here.
    """

    index: str | None = None
    tiled: bool = True
    loop: bool = True
    body: list[k.Statement] = field(default_factory=list)
    known: dict[object, str] = field(default_factory=dict)
    values: dict[object, k.Value] = field(default_factory=dict)


@dataclass
class Scope:
    """Nested blocks, outermost first; a value is bound in the outermost block whose indices it needs.

    `order` is the canonical order of axes; `whole` are the indices that are tile axes outside any loop.
    """

    compute: DType
    order: tuple[str, ...]
    whole: frozenset[str]
    types: dict[str, TileType] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=lambda: [Block()])
    depths: dict[str, int] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    running: set[str] = field(default_factory=set)  # states that loops change
    loads: set[str] = field(default_factory=set)
    deepest: dict[str, int] = field(default_factory=dict)  # of every name so far, the innermost block that bound it
    meaning: dict[str, k.Value] = field(default_factory=dict)

    def tiled(self, index: str) -> bool:
        """Whether an index is a tile axis here: not where a loop walks it point by point."""
        for block in reversed(self.blocks):
            if block.index == index:
                return block.tiled
        return index in self.whole

    def type(self, value: k.Value) -> TileType:
        """The type of a value, its axes in canonical order."""
        found = tile_type(value, self.types, self.tiled, self.compute)
        return TileType(tuple(sorted(found.axes, key=self.order.index)), found.dtype)

    def axes(self, value: k.Value) -> tuple[str, ...]:
        """The axes of a value in canonical order."""
        return self.type(value).axes

    def folds(self, value: k.Value) -> bool:
        """Whether a value is made of a product or of a reduction of tiles."""
        nodes = list(walk(value))
        made = (self.meaning[node.name] for node in nodes if isinstance(node, k.Use) and node.name in self.meaning)
        return any(isinstance(node, k.Dot | k.Reduce) for node in nodes) or any(map(self.folds, made))

    def level(self, index: str) -> int:
        """The block that binds an index, 0 where no loop does."""
        return max((place for place, block in enumerate(self.blocks) if block.index == index), default=0)

    def depth(self, value: k.Value) -> int:
        """The innermost block that a value depends on."""
        deepest = 0
        for node in walk(value):
            if isinstance(node, k.Use):
                deepest = max(deepest, self.depths[node.name])
            elif isinstance(node, k.Coord | k.Inside | k.First):
                deepest = max(deepest, self.level(node.index))
        return deepest

    @contextmanager
    def block(
        self, index: str | None = None, *, tiled: bool = True, loop: bool = True, level: int | None = None
    ) -> Iterator[Block]:
        """A block below the innermost one, or below block `level`; its names are free again afterwards."""
        level = len(self.blocks) - 1 if level is None else level
        aside = self.blocks[level + 1 :]
        block = Block(index, tiled, loop)
        self.blocks[level + 1 :] = [block]
        here = {name: self.depths[name] for name in self.running}
        self.depths.update(dict.fromkeys(self.running, level + 1))
        yield block
        self.depths.update(here)
        self.blocks[level + 1 :] = aside
        self.open -= {node.name for node in block.body if isinstance(node, k.Let | k.Load | k.State)}

    def fresh(self, name: str, kind: TileType, inside: frozenset[str] = frozenset()) -> str:
        """A name not bound in an open block nor `inside`; a closed block's name only for a value of the same type."""
        choice, number = name, 1
        while choice in self.open or choice in inside or self.types.get(choice, kind) != kind:
            number += 1
            choice = f"{name}{number}"
        self.open.add(choice)
        self.types[choice] = kind
        return choice

    def let(self, name: str, value: k.Value, span: Span = NOWHERE, why: str = "") -> k.Value:
        """The value bound to a name where it belongs; equal values share one binding. Plain ones stay as they are."""
        if isinstance(value, k.Use | k.Const | k.Size | k.First | k.Last):
            return value
        level = self.depth(value)
        found = self.recall(value, level, self._walked((value,)))
        if found is not None:
            return k.Use(found)
        bound = self._bind(name, self.type(value), level, value)
        self.meaning[bound] = value
        self.blocks[level].body.append(k.Let(bound, value, why, span=span))
        return k.Use(bound)

    def load(self, name: str, load: k.Load, dtype: DType) -> k.Use:
        """A read bound where its subscripts belong; equal reads share one."""
        needed = (*load.subs, *load.when)
        level = max((self.depth(value) for value in needed), default=0)
        key = (load.tensor, load.subs, load.when)
        found = self.recall(key, level, self._walked(needed))
        if found is not None:
            return k.Use(found)
        axes = {axis for sub in load.subs for axis in self.axes(sub)}
        bound = self._bind(name, TileType(tuple(sorted(axes, key=self.order.index)), dtype), level, key)
        self.loads.add(bound)
        self.blocks[level].body.append(replace(load, name=bound))
        return k.Use(bound)

    def state(self, name: str, kind: TileType, init: k.Value, level: int, over: Sequence[k.Statement] = ()) -> str:
        """A state declared in block `level`, changed by the statements `over` it, whose own names it must not take."""
        bound = self.fresh(name, kind, declared(over) | self._rebound(level))
        self.depths[bound] = level
        self.deepest[bound] = max(level, self.deepest.get(bound, 0))
        self.blocks[level].body.append(k.State(bound, init))
        return bound

    def recall(self, key: object, level: int, least: int = 0) -> str | None:
        """The name that block `level` or one around it, down to `least`, has bound to this key."""
        return next((block.known[key] for block in self.blocks[least : level + 1] if key in block.known), None)

    def _walked(self, values: Iterable[k.Value]) -> int:
        """The innermost loop over an index of these: further out the same text means a whole tile."""
        nodes = (node for value in values for node in walk(value))
        indices = {node.index for node in nodes if isinstance(node, k.Coord | k.Inside | k.First)}
        return max(
            (place for place, block in enumerate(self.blocks) if block.loop and block.index in indices), default=0
        )

    def _bind(self, name: str, kind: TileType, level: int, key: object) -> str:
        bound = self.fresh(name, kind, self._rebound(level))
        self.depths[bound] = level
        self.deepest[bound] = max(level, self.deepest.get(bound, 0))
        self.blocks[level].known[key] = bound
        return bound

    def _rebound(self, level: int) -> frozenset[str]:
        """What loops that come after an outer block, or run again after it, have bound: it would not outlast them."""
        if level and level == len(self.blocks) - 1:
            return frozenset()
        return frozenset(name for name, deep in self.deepest.items() if deep > level)


def declared(body: Sequence[k.Statement]) -> frozenset[str]:
    """The names that statements declare, at any depth."""
    nodes = (node for statement in body for node in walk(statement))
    return frozenset(node.name for node in nodes if isinstance(node, k.Let | k.Load | k.State))
