"""What the tensors of an explicit cascade are defined by, and what a read of one stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from attnc.ir.cascade import Cascade, Coord, Expr, Part, Read, Tensor
from attnc.ir.dependence import pieces_of
from attnc.ir.indices import at, captures, free_indices
from attnc.ir.node import Node
from attnc.ir.walk import top_down, walk


@dataclass(frozen=True)
class Definitions:
    """The tensors of a cascade by name, what each reads, and what a read of it opens to."""

    cascade: Cascade

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """The defined tensors by name."""
        return {tensor.name: tensor for tensor in self.cascade.tensors}

    @cached_property
    def reads(self) -> dict[str, tuple[str, ...]]:
        """For each defined tensor the defined tensors that it reads."""
        return {name: tuple(other for other in names if other in self.tensors) for name, names in self.operands.items()}

    @cached_property
    def operands(self) -> dict[str, tuple[str, ...]]:
        """For each defined tensor the tensors and inputs that it reads."""
        return {name: tuple(dict.fromkeys(read_names(tensor))) for name, tensor in self.tensors.items()}

    @cached_property
    def piece(self) -> Callable[[Iterable[str]], frozenset[str]]:
        """What must be evaluated together with these tensors: a derivative needs all that lies between."""
        return pieces_of(self.cascade)

    @cached_property
    def needed(self) -> dict[str, frozenset[str]]:
        """What `dependencies` has found so far."""
        return {}

    @cached_property
    def position(self) -> dict[str, int]:
        """The order in which tensors are computed."""
        names = [name for step in self.cascade.steps for name in step.tensors]
        return {name: place for place, name in enumerate(names)}

    @cached_property
    def recurrent(self) -> frozenset[str]:
        """The tensors that are defined through each other."""
        return frozenset(name for step in self.cascade.steps if step.axes for name in step.tensors)

    @cached_property
    def union_axes(self) -> tuple[tuple[Tensor, int], ...]:
        """The axes along which a tensor's parts differ, each part along one index: g * SEG + r is read, not walked."""
        found = []
        for tensor in self.cascade.tensors:
            if tensor.name in self.recurrent:
                continue
            for axis in range(len(tensor.axes)):
                lefts = {part.left[axis] for part in tensor.parts}
                if len(lefts) > 1 and all(len(free_indices(left)) <= 1 for left in lefts):
                    found.append((tensor, axis))
        return tuple(found)

    def part_at(self, read: Read) -> tuple[Part, dict[str, Expr]] | None:
        """The part that a read means and the values of its indices; None where that is not plain."""
        tensor = self.tensors.get(read.tensor)
        if tensor is None or tensor.name in self.recurrent:
            return None
        parts = tensor.parts if read.part is None else (tensor.parts[read.part],)
        if len(parts) > 1:
            own = [axis for of, axis in self.union_axes if of is tensor]
            parts = tuple(part for part in parts if all(part.left[axis] == read.subs[axis] for axis in own))
        if len(parts) != 1:
            return None
        values = _solved(parts[0], read)
        return None if values is None else (parts[0], values)

    def own(self, read: Read) -> Read:
        """The read of a tensor in parts with the part it means, so that equal elements are equal nodes."""
        tensor = self.tensors.get(read.tensor)
        found = self.part_at(read) if tensor is not None and len(tensor.parts) > 1 else None
        return read if tensor is None or found is None else replace(read, part=tensor.parts.index(found[0]))

    def opened(self, read: Read) -> Expr | None:
        """The value that a read of a defined tensor stands for."""
        found = self.part_at(read)
        if found is None or captures(found[0].value, found[1]):
            return None
        return at(found[0].value, found[1])

    def open_all(self, expr: Expr, stop: frozenset[str]) -> Expr:
        """The expression with every read of a defined tensor outside `stop` replaced by its value."""

        def rule(node: object) -> Expr | None:
            if isinstance(node, Read) and node.tensor in self.tensors and node.tensor not in stop:
                value = self.opened(node)
                return None if value is None else self.open_all(value, stop)
            return None

        return top_down(expr, rule)  # type: ignore[no-any-return]


def dependencies(definitions: Definitions, name: str) -> frozenset[str]:
    """Every defined tensor that a tensor depends on."""
    if name not in definitions.needed:
        seen: set[str] = set()
        queue = [name]
        while queue:
            for other in definitions.reads[queue.pop()]:
                if other not in seen:
                    seen.add(other)
                    queue.append(other)
        definitions.needed[name] = frozenset(seen)
    return definitions.needed[name]


def read_names(node: Node) -> list[str]:
    """The tensors and inputs that a node reads."""
    return [item.tensor for item in walk(node) if isinstance(item, Read)]


def _solved(part: Part, read: Read) -> dict[str, Expr] | None:
    """The values of a part's indices at a read: a bare index takes the subscript, anything else must be the same."""
    values: dict[str, Expr] = {}
    for left, sub in zip(part.left, read.subs, strict=True):
        if isinstance(left, Coord):
            values[left.index] = sub
        elif left == sub:
            values |= {index: Coord(index) for index in free_indices(left)}
        else:
            return None
    return values
