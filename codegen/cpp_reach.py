"""Which values of a block need only be there for the positions that some row of a vector reaches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from attnc.codegen.cpp_forms import Forms
from attnc.codegen.cpp_fuse import Group, grouped
from attnc.ir import kernel as k
from attnc.ir.walk import walk


@dataclass(frozen=True)
class Reached:
    """The index that rows of a block reach in part, and the pairs of both that are all there nevertheless."""

    index: str
    whole: frozenset[str]


def reached(body: tuple[k.Statement, ...], names: Forms) -> Reached | None:
    """What a block may leave out; None where no statement says what its rows reach.

    Holds because what is left out of a value is read by reductions along the index alone, which leave it out as well,
    and by values that are left out in their turn.
    """
    index = next((item.index for item in body if isinstance(item, k.Reach)), None)
    if index is None:
        return None
    pairs = {name for name, kind in names.named.items() if {index, names.parallel} <= set(kind.axes)}
    items = list(grouped(body, names))
    whole = {name for name in pairs if name in names.turned or {(name, False), (name, True)} & names.packed}
    whole |= {name for item in items if not _may(item, index, names) for name in _names(item) & pairs}
    while needed := {name for item in items if whole & set(_made(item)) for name in _names(item) & pairs} - whole:
        whole |= needed
    return Reached(index, frozenset(whole))


def leaves_out(item: k.Statement | Group, found: Reached | None, names: Forms) -> str:
    """The index of which a statement takes no more than is reached; none where it takes every position."""
    if found is None or not _may(item, found.index, names) or not found.whole.isdisjoint(_made(item)):
        return ""
    return found.index


def _may(item: k.Statement | Group, index: str, names: Forms) -> bool:
    """Whether a statement makes pairs of pairs at the same place, and reduces them along the index or inner axes."""
    match item:
        case Group(made):
            values = [statement.value for statement in made]
        case k.Let(_, value):
            values = [value]
        case k.Fold(updates) if not any(index in names.named[update.state].axes for update in updates):
            values = [update.lift for update in updates if update.lift is not None]
        case _:
            return False
    folds = [node for value in values for node in walk(value) if isinstance(node, k.Dot | k.Reduce)]
    return all(node.over != names.parallel and (node.over != index or names.takes_part(node)) for node in folds)


def _made(item: k.Statement | Group) -> Iterator[str]:
    for statement in item.made if isinstance(item, Group) else (item,):
        if isinstance(statement, k.Let):
            yield statement.name


def _names(item: k.Statement | Group) -> set[str]:
    statements = item.made if isinstance(item, Group) else (item,)
    read = {node.name for statement in statements for node in walk(statement) if isinstance(node, k.Use)}
    return read | set(_made(item))
