"""Traversal of nodes of any level: children, rebuild, bottom_up, replace. No visitor classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from attnc.ir.node import Node

T = TypeVar("T", bound=Node)


_FIELDS: dict[type, tuple[str, ...]] = {}


def _fields(kind: type[Node]) -> tuple[str, ...]:
    if kind not in _FIELDS:
        _FIELDS[kind] = tuple(field.name for field in fields(kind) if field.name != "span")
    return _FIELDS[kind]


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below, in the order of the fields."""
    for name in _fields(type(node)):
        yield from _nodes(getattr(node, name))


def _nodes(value: object) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _nodes(item)


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, parents first. Iterative: depth is no limit."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(tuple(children(node))))


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
