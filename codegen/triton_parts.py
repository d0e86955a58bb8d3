"""Head dims that are no power of two, in parts that are: 80 lanes are 64 and 16 in place of 128 with 48 idle.

A tile along such an axis becomes a tile for each part. What is elementwise is done to each, a sum or a matrix product
over the axis is that of the parts added up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from itertools import product
from typing import TypeVar, cast

from attnc.ir import kernel as k
from attnc.ir.kernel import Axis, Kernel, TileType
from attnc.ir.node import Node
from attnc.ir.walk import rebuild, walk

SMALLEST, WORTH, MOST = 16, 128, 3
COMBINED = {"sum": "add", "prod": "mul", "max": "max", "min": "min", "any": "or", "all": "and"}
T = TypeVar("T", bound=Node)
Parts = dict[str, tuple[str, ...]]
Choice = dict[str, str]
"""For some axes, which part of each."""


def widths(extent: int) -> tuple[int, ...]:
    """The parts of an extent, or the extent alone where parts would save less than a quarter of the lanes."""
    padded = 1 << max(0, extent - 1).bit_length()
    found: list[int] = []
    left = extent
    while left > 0 and len(found) < MOST:
        found.append(max(SMALLEST, 1 << (left.bit_length() - 1)) if len(found) < MOST - 1 else _padded(left))
        left -= found[-1]
    return tuple(found) if padded >= WORTH and 4 * sum(found) <= 3 * padded else (extent,)


def _padded(extent: int) -> int:
    return max(SMALLEST, 1 << (extent - 1).bit_length())


def in_parts(kernel: Kernel) -> Kernel:
    """The kernel with parts in place of its inner axes that have lanes to spare.

    Before   inner axes of any extent
    After    inner axes whose lanes are nearly all used
    Holds    because sums and products over an axis are the sums of those over its parts, in their order.
    """
    mark = _mark(kernel)
    axes = {axis.index: _cut(axis, kernel, mark) for axis in kernel.axes}
    parts: Parts = {index: tuple(part.index for part in own) for index, own in axes.items() if len(own) > 1}
    if not parts:
        return kernel
    split = _Split(dict(kernel.types), parts, mark)
    return replace(
        kernel,
        axes=tuple(part for axis in kernel.axes for part in axes[axis.index]),
        types=tuple(split.types()),
        setup=split.statements(kernel.setup),
        loops=split.statements(kernel.loops),
        finish=split.statements(kernel.finish),
    )


def _mark(kernel: Kernel) -> str:
    """What stands between a name and the number of its part, so that no name is another's."""
    names, mark = [*dict(kernel.types), *(axis.index for axis in kernel.axes)], "_"
    while any(name.rpartition(mark)[2].isdigit() for name in names if mark in name):
        mark += "_"
    return mark


def _cut(axis: Axis, kernel: Kernel, mark: str) -> tuple[Axis, ...]:
    """An inner axis in parts; one that is walked, or whose lanes are in use, is itself."""
    walked = {loop.index for body in _bodies(kernel) for loop in walk(body) if isinstance(loop, k.Loop)}
    sizes = widths(axis.extent) if axis.extent is not None and axis.index not in walked else ()
    if len(sizes) < 2:
        return (axis,)
    assert axis.extent is not None
    found, at = [], 0
    for number, size in enumerate(sizes):
        lo = axis.lo if at == 0 else k.Map("add", (axis.lo, k.Const(at, "int32")))
        end = min(at + size, axis.extent)
        hi = axis.hi if end == axis.extent else k.Map("add", (axis.lo, k.Const(end, "int32")))
        found.append(Axis(f"{axis.index}{mark}{number}", _folded(lo), _folded(hi), size, end - at))
        at += size
    return tuple(found)


def _folded(value: k.Value) -> k.Value:
    """A sum with a literal as one literal, so that a first position stays easy to read."""
    match value:
        case k.Map("add", (k.Const(a, dtype), k.Const(b))):
            return k.Const(a + b, dtype)
    return value


def _bodies(kernel: Kernel) -> Iterable[k.Statement]:
    return (*kernel.setup, *kernel.loops, *kernel.finish)


@dataclass(frozen=True)
class _Split:
    """Rewrites names, values and statements; `named` are the types of names as they were."""

    named: dict[str, TileType]
    parts: Parts
    mark: str

    def types(self) -> Iterator[tuple[str, TileType]]:
        """The names with their types as they are now."""
        for name, kind in self.named.items():
            for choice in self._choices(kind.axes):
                axes = tuple(choice.get(axis, axis) for axis in kind.axes)
                yield self._name(name, choice), TileType(axes, kind.dtype)

    def statements(self, body: tuple[k.Statement, ...]) -> tuple[k.Statement, ...]:
        """The statements, one that makes a tile once for each part."""
        return tuple(new for statement in body for new in self._statement(statement))

    def _statement(self, statement: k.Statement) -> Iterator[k.Statement]:
        match statement:
            case k.Loop(body=body) | k.Guarded(body=body):
                yield replace(statement, body=self.statements(body))
            case k.Fold(updates):
                yield replace(statement, updates=tuple(new for update in updates for new in self._update(update)))
            case k.Store(subs=subs) | k.Add(subs=subs):
                for choice in self._choices(axis for sub in subs for axis in self._axes(sub)):
                    yield self._each(statement, choice)
            case k.Let(name) | k.Load(name) | k.State(name) | k.Set(name):
                for choice in self._choices(self.named[name].axes):
                    yield replace(self._each(statement, choice), name=self._name(name, choice))

    def _update(self, update: k.Update) -> Iterator[k.Update]:
        for choice in self._choices(self.named[update.state].axes):
            keep = tuple((self.value(coef, choice), self._name(state, choice)) for coef, state in update.keep)
            lift = None if update.lift is None else self.value(update.lift, choice)
            yield replace(update, state=self._name(update.state, choice), keep=keep, lift=lift)

    def _each(self, statement: T, choice: Choice) -> T:
        """The statement with its values for these parts."""
        return rebuild(statement, lambda below: self.value(cast(k.Value, below), choice))

    def value(self, value: k.Value, choice: Choice) -> k.Value:
        """A value for these parts of its axes."""
        match value:
            case k.Use(name):
                return replace(value, name=self._name(name, choice))
            case k.Coord(index) | k.Inside(index):
                return replace(value, index=choice.get(index, index))
            case k.Dot(over=over) if over in self.parts:
                every = (self._over(value, choice, part) for part in self.parts[over])
                return reduce(lambda one, other: k.Map("add", (one, other)), every)
            case k.Reduce(op, over=over) if over in self.parts:
                every = (self._over(value, choice, part) for part in self.parts[over])
                return reduce(lambda one, other: k.Map(COMBINED[op], (one, other)), every)
        return rebuild(value, lambda below: self.value(cast(k.Value, below), choice))

    def _over(self, value: k.Dot | k.Reduce, choice: Choice, part: str) -> k.Value:
        """A sum over one part of its axis."""
        inner = {**choice, value.over: part}
        return replace(rebuild(value, lambda below: self.value(cast(k.Value, below), inner)), over=part)

    # ---- axes and names ----------------------------------------------------------------------

    def _axes(self, value: k.Value) -> Iterator[str]:
        """The axes in parts that a subscript carries."""
        for node in walk(value):
            if isinstance(node, k.Coord) and node.index in self.parts:
                yield node.index
            elif isinstance(node, k.Use):
                yield from (axis for axis in self.named[node.name].axes if axis in self.parts)

    def _choices(self, axes: Iterable[str]) -> Iterator[Choice]:
        """Every combination of parts of these axes; one empty one where none is in parts."""
        own = [axis for axis in dict.fromkeys(axes) if axis in self.parts]
        for names in product(*(self.parts[axis] for axis in own)):
            yield dict(zip(own, names, strict=True))

    def _name(self, name: str, choice: Choice) -> str:
        """A name for these parts of the axes that it carries; loop and grid names have no type and stay."""
        kind = self.named.get(name)
        chosen = [choice[axis] for axis in kind.axes if axis in choice] if kind else []
        return self.mark.join((name, *(part.rpartition(self.mark)[2] for part in chosen)))
