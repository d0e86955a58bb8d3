"""What becomes of a kernel's matrix products, and what they are made of: comparisons, tensors of 32 bits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from attnc.ir import kernel as k
from attnc.ir.node import Node
from attnc.ir.walk import children, walk


def compared(kernel: k.Kernel) -> tuple[frozenset[k.Dot], ...]:
    """For each test of equality the products that its sides are made of.

    Whether a score is the greatest of its row is found by computing it twice; the two are equal only where both
    are computed in the same order.
    """
    statements = (*kernel.setup, *kernel.loops, *kernel.finish)
    nodes = [node for statement in statements for node in walk(statement)]
    values = _values(nodes)
    tests = (node for node in nodes if isinstance(node, k.Map) and node.op == "eq")
    found = (frozenset(_products(test, values)) for test in tests if not any(isinstance(x, k.Const) for x in test.args))
    return tuple(products for products in dict.fromkeys(found) if len(products) > 1)


@dataclass(frozen=True)
class Whole:
    """What values stored in more than 16 bits are made of: products with what they multiply, and names."""

    products: frozenset[k.Dot]
    names: frozenset[str]


def stored_whole(kernel: k.Kernel) -> Whole:
    """What keeps all its bits, for something is stored in more than 16 that is made of it.

    What is only added to a tensor is stored by another kernel, and what `rounds` is on its way to fewer bits.
    """
    if kernel.rounds:
        return Whole(frozenset(), frozenset())
    statements = (*kernel.setup, *kernel.loops, *kernel.finish)
    nodes = [node for statement in statements for node in walk(statement)]
    values = _values(nodes)
    for update in (node for node in nodes if isinstance(node, k.Update)):
        kept = (value for factor, state in update.keep for value in (factor, k.Use(state)))
        values.setdefault(update.state, []).extend(kept)
    whole = {param.name for param in kernel.params if param.dtype not in ("bfloat16", "float16")}
    stores = (node for node in nodes if isinstance(node, k.Store) and node.tensor in whole)
    stack: list[k.Value] = [store.value for store in stores]
    found: set[k.Dot] = set()
    seen: set[str] = set()
    while stack:
        for node in walk(stack.pop()):
            if isinstance(node, k.Dot):
                found.add(node)
            elif isinstance(node, k.Use) and node.name not in seen:
                seen.add(node.name)
                stack.extend(values.get(node.name, ()))
    return Whole(frozenset(found), frozenset(seen))


def made_of_whole(kernel: k.Kernel) -> frozenset[str]:
    """The names of values that are computed of tensors of more than 16 bits along an axis, as statistics are stored."""
    statements = (*kernel.setup, *kernel.loops, *kernel.finish)
    nodes = [node for statement in statements for node in walk(statement)]
    types = dict(kernel.types)
    loads = {node.name for node in nodes if isinstance(node, k.Load) and types[node.name].axes}
    found = {name for name in loads if types[name].dtype in ("float32", "float64")}
    values = _values(nodes)
    read = {
        name: {node.name for x in made for node in walk(x) if isinstance(node, k.Use)} for name, made in values.items()
    }
    while more := {name for name, used in read.items() if used & found} - found:
        found |= more
    return frozenset(found)


def _values(nodes: list[Node]) -> dict[str, list[k.Value]]:
    """What each name stands for; a name may be bound in several scopes."""
    found: dict[str, list[k.Value]] = {}
    for node in nodes:
        match node:
            case k.Let(name, value) | k.Set(name, value) | k.State(name, value):
                found.setdefault(name, []).append(value)
            case k.Update(name, _, _, lift) if lift is not None:
                found.setdefault(name, []).append(lift)
    return found


def _products(value: k.Value, values: dict[str, list[k.Value]]) -> Iterator[k.Dot]:
    """The products that a value is made of, but not what those multiply."""
    stack: list[Node] = [value]
    seen: set[str] = set()
    while stack:
        node = stack.pop()
        if isinstance(node, k.Dot):
            yield node
        elif isinstance(node, k.Use) and node.name not in seen:
            seen.add(node.name)
            stack.extend(values.get(node.name, ()))
        elif isinstance(node, k.Map | k.Reduce):
            stack.extend(children(node))
