"""Values of a tile that cost less to compute again than to store and read back."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar, cast

from attnc.ir import kernel as k
from attnc.ir.node import Node
from attnc.ir.walk import bottom_up, walk

T = TypeVar("T", bound=Node)
FREE = frozenset(("add", "sub", "mul", "neg", "max", "min", "select", "and", "or", "not"))
FREE |= {"eq", "ne", "lt", "le", "gt", "ge"}
MOST = 4  # operations; more are worth an array


def inlined(kernel: k.Kernel) -> k.Kernel:
    """The kernel with such values written where they are used.

    Before   s = 0.125 * dot;  top = max[n](s);  p = exp2((s - ref) * 1.44)
    After    top = max[n](0.125 * dot);  p = exp2((0.125 * dot - ref) * 1.44)
    Holds    because nothing that such a value reads changes before its last use: states are not among it.
    """
    body = (*kernel.setup, *kernel.loops, *kernel.finish)
    nodes = [node for statement in body for node in walk(statement)]
    states = frozenset(node.name for node in nodes if isinstance(node, k.State))
    sides = (side for node in nodes if isinstance(node, k.Dot) for side in (node.a, node.b))
    fixed = frozenset(side.name for side in sides if isinstance(side, k.Use))
    worker = _Inlining(dict(kernel.types), fixed, states)
    return replace(
        kernel, setup=worker.body(kernel.setup), loops=worker.body(kernel.loops), finish=worker.body(kernel.finish)
    )


class _Inlining:
    """What each name that was left out stands for."""

    def __init__(self, types: dict[str, k.TileType], fixed: frozenset[str], states: frozenset[str]) -> None:
        """Takes the types of names, the names that have to be arrays, and those that change."""
        self.types, self.fixed, self.states = types, fixed, states
        self.values: dict[str, k.Value] = {}

    def body(self, statements: tuple[k.Statement, ...]) -> tuple[k.Statement, ...]:
        """The statements that are left."""
        found: list[k.Statement] = []
        for statement in statements:
            match statement:
                case k.Let(name, value):
                    value = self._written(value)
                    if self._is_cheap(name, value):
                        self.values[name] = value
                    else:
                        self.values.pop(name, None)
                        found.append(replace(statement, value=value))
                case k.Loop() | k.Guarded():
                    head = self._written(replace(statement, body=()))
                    found.append(replace(head, body=self.body(statement.body)))
                case k.Load(name) | k.State(name):
                    self.values.pop(name, None)  # it may have been left out in an earlier loop
                    found.append(self._written(statement))
                case _:
                    found.append(self._written(statement))
        return tuple(found)

    def _written(self, node: T) -> T:
        def rule(item: Node) -> Node | None:
            return self.values.get(item.name) if isinstance(item, k.Use) else None

        return cast(T, bottom_up(node, rule))

    def _is_cheap(self, name: str, value: k.Value) -> bool:
        if name in self.fixed or len(self.types[name].axes) < 2:
            return False
        nodes = list(walk(value))
        maps = [node for node in nodes if isinstance(node, k.Map)]
        plain = all(node.op in FREE or node.op.startswith("cast:") for node in maps)
        folds = any(isinstance(node, k.Dot | k.Reduce) for node in nodes)
        changes = any(isinstance(node, k.Use) and node.name in self.states for node in nodes)
        return plain and len(maps) <= MOST and not folds and not changes
