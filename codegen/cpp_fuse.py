"""Which statements of a block share one loop nest, and which arrays they need not have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from attnc.codegen.cpp_forms import Forms
from attnc.ir import kernel as k
from attnc.ir.walk import walk


@dataclass(frozen=True)
class Group:
    """Values of one shape and reductions of them, in order.

    `stored` are read after the group, and so are arrays. `instead` says of some that they take over the array of a
    value of the same type that nothing reads any more. `paired` are read by packed products alone, and so are rounded
    where they are made.
    """

    made: tuple[k.Let, ...]
    stored: frozenset[str]
    instead: tuple[tuple[str, str], ...]
    paired: frozenset[str]


def grouped(body: tuple[k.Statement, ...], names: Forms) -> Iterator[k.Statement | Group]:
    """The statements of a block, those that can share a nest as groups.

    Holds because values of one shape are made element by element, each from elements at the same place; what is
    folded of them is complete after the nest, so no member reads it.
    """
    place = 0
    while place < len(body):
        made = _run(body, place, names)
        if not made:
            yield body[place]
            place += 1
            continue
        after = body[place + len(made) :]
        later = _used(after)
        stored = frozenset(item.name for item in made if item.name in later or isinstance(item.value, k.Reduce))
        paired = frozenset(item.name for item in made if _is_paired(item, stored, after, names))
        yield Group(made, stored, tuple(_instead(made, stored, later, body[:place], names)), paired)
        place += len(made)


def _run(body: tuple[k.Statement, ...], place: int, names: Forms) -> tuple[k.Let, ...]:
    """The longest run of statements from a place on that share a nest."""
    found: list[k.Let] = []
    folded: set[str] = set()
    over: set[str] = set()
    for statement in body[place:]:
        shape = _shape(statement, names)
        if shape is None or (found and shape != _shape(found[0], names)) or folded & _used((statement,)):
            break
        assert isinstance(statement, k.Let)
        if isinstance(statement.value, k.Reduce):
            if over - {statement.value.over}:
                break
            over.add(statement.value.over)
            folded.add(statement.name)
        found.append(statement)
    return tuple(found)


def _shape(statement: k.Statement, names: Forms) -> frozenset[str] | None:
    """The axes of a value that can share a nest; None for one that cannot, and for other statements."""
    match statement:
        case k.Let(_, k.Reduce(_, x, over)):
            inner, axes = x, names.type_of(x).axes
            across = over == names.parallel
        case k.Let(name, inner):
            axes, across = names.named[name].axes, False
        case _:
            return None
    whole = any(isinstance(node, k.Dot | k.Reduce) for node in walk(inner))
    return None if whole or across or names.parallel not in axes else frozenset(axes)


def _used(statements: tuple[k.Statement, ...]) -> set[str]:
    return {node.name for statement in statements for node in walk(statement) if isinstance(node, k.Use)}


def _is_paired(item: k.Let, stored: frozenset[str], after: tuple[k.Statement, ...], names: Forms) -> bool:
    """Whether products that round a value are all that reads its memory."""
    if item.name not in stored or (item.name, False) not in names.packed or item.name in names.turned:
        return False
    nodes = [node for statement in after for node in walk(statement)]
    read = Counter(node.name for node in nodes if isinstance(node, k.Use))
    dots = (node for node in nodes if isinstance(node, k.Dot) and names.is_packed(node))
    return read[item.name] == sum(not names.is_across(dot) and names.operands(dot)[0].name == item.name for dot in dots)


def _instead(
    made: tuple[k.Let, ...], stored: frozenset[str], later: set[str], before: tuple[k.Statement, ...], names: Forms
) -> Iterator[tuple[str, str]]:
    """Arrays made earlier in this block that end here, for values that are stored."""
    here = (item.name for item in before if isinstance(item, k.Let) and names.named[item.name].axes)
    read = _used(made)
    free = [name for name in here if name in read and name not in later]
    for item in made:
        if item.name not in stored or isinstance(item.value, k.Reduce):
            continue
        same = [name for name in free if names.named[name] == names.named[item.name]]
        if same:
            free.remove(same[0])
            yield item.name, same[0]
