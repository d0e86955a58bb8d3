"""Traversal of nodes of any level: children, rebuild, bottom_up, replace. No visitor classes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any, TypeVar

from attnc.ir.node import Node

T = TypeVar("T", bound=Node)


_FIELDS: dict[type, tuple[str, ...]] = {}
_READ: dict[type, Callable[[Any], tuple[object, ...]]] = {}
LEAVES = {"str", "int", "bool", "float", "None", "tuple", "DType", "Type"}
"""Words of the annotations of fields in which there are no nodes."""


def _fields(kind: type[Node]) -> tuple[str, ...]:
    if kind not in _FIELDS:
        own = (field for field in fields(kind) if field.name != "span")
        _FIELDS[kind] = tuple(field.name for field in own if not LEAVES.issuperset(re.findall(r"\w+", str(field.type))))
    return _FIELDS[kind]


def _read(kind: type[Node]) -> Callable[[Any], tuple[object, ...]]:
    """Reads all fields that may hold nodes at once: passes spend most of their time in walks."""
    names = _fields(kind)
    if len(names) > 1:
        _READ[kind] = attrgetter(*names)
    else:
        _READ[kind] = (lambda node: (getattr(node, names[0]),)) if names else lambda _: ()
    return _READ[kind]


def children(node: Node) -> list[Node]:
    """The nodes directly below, in the order of the fields."""
    kind, found = type(node), list[Node]()
    for value in (_READ.get(kind) or _read(kind))(node):
        if isinstance(value, Node):
            found.append(value)
        elif value.__class__ is tuple:
            _gather(value, found)
    return found


def _gather(values: Any, found: list[Node]) -> None:
    for value in values:
        if isinstance(value, Node):
            found.append(value)
        elif value.__class__ is tuple:
            _gather(value, found)


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, parents first. Iterative: depth is no limit."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack += children(node)[::-1]


def rebuild(node: T, change: Callable[[Node], Node]) -> T:
    """The node with `change` applied to each child; the same object if nothing changed."""
    updates: dict[str, Any] = {}
    for name in _fields(type(node)):
        old = getattr(node, name)
        new = _changed(old, change)
        if new is not old:
            updates[name] = new
    return replace(node, **updates) if updates else node


def _changed(value: object, change: Callable[[Node], Node]) -> object:
    if isinstance(value, Node):
        return change(value)
    if isinstance(value, tuple) and value:
        items = tuple(_changed(item, change) for item in value)
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else items
    return value


def bottom_up(node: Node, rule: Callable[[Node], Node | None]) -> Any:
    """Every node rewritten by `rule`, children first; None means no change."""

    def visit(below: Node) -> Node:
        rebuilt = rebuild(below, visit)
        changed = rule(rebuilt)
        return rebuilt if changed is None else changed

    return visit(node)


def top_down(node: Node, rule: Callable[[Node], Node | None]) -> Any:
    """Like `bottom_up`, but a node that `rule` replaces is not entered again."""

    def visit(below: Node) -> Node:
        changed = rule(below)
        return rebuild(below, visit) if changed is None else changed

    return visit(node)


def substitute(node: Node, values: Mapping[Node, Node]) -> Any:
    """Every occurrence of a key replaced by its value, all at once."""
    return top_down(node, values.get)
