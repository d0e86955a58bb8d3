"""Where each tensor that something needs is computed: in a stage, as a function of what one gives, or by statements."""

from __future__ import annotations

from collections.abc import Iterable

from attnc.ir.cascade import Read
from attnc.ir.walk import walk
from attnc.passes.defined import dependencies, read_names
from attnc.passes.direct import Direct
from attnc.passes.draft import Draft, Group, outside
from attnc.passes.families import is_pointwise
from attnc.passes.light import is_light


def need(draft: Draft, names: Iterable[str]) -> None:
    """Decide where each of these tensors, and all that it needs, is computed."""
    for name in names:
        if name in draft.stored or name not in draft.shapes.tensors:
            continue
        draft.stored[name] = None
        group = draft.group_of.get(name) or _finishing(draft, name) or _apart(draft, name)
        if group is not None:
            if name not in group.emits:
                group.emits.append(name)
            continue
        step = next(step for step in draft.shapes.cascade.steps if name in step.tensors)
        draft.stored |= dict.fromkeys(step.tensors)
        draft.hosts[name] = step.tensors
        need(draft, outside(draft.shapes, step.tensors))


def _apart(draft: Draft, name: str) -> Group | None:
    """The stage that makes this tensor tile by tile, if one can; alike ones share it."""
    role = draft.direct.get(name)
    if role is None or name in draft.host:
        return None
    for group in draft.groups:
        if group.role.key == role.key and not _separate(draft, group, name):
            group.members.append(name)
            return group
    draft.groups.append(Group(role, [name]))
    return draft.groups[-1]


def _separate(draft: Draft, group: Group, name: str) -> bool:
    """Whether something between this tensor and those of a stage is computed elsewhere."""
    together = {*group.members, name}
    looped = isinstance(group.role, Direct) and group.role.loop is not None
    if looped and any(dependencies(draft.shapes, member) & together for member in together):
        return True  # a fold is done when the loop is
    between = {other for member in together for other in dependencies(draft.shapes, member)} - together
    return any(
        dependencies(draft.shapes, other) & together and is_light(draft.shapes, other, Group(group.role))
        for other in between
    )


def _finishing(draft: Draft, name: str) -> Group | None:
    """The stage whose outputs this tensor is a pointwise function of, if there is one."""
    shapes = draft.shapes
    tensor = shapes.tensors[name]
    if len(tensor.parts) != 1 or name in shapes.recurrent:
        return None
    opened = shapes.open_all(tensor.parts[0].value, frozenset(draft.group_of) | frozenset(draft.host))
    groups = {id(draft.group_of[item]): draft.group_of[item] for item in read_names(opened) if item in draft.group_of}
    if len(groups) != 1 or not is_pointwise(opened):
        return None
    (group,) = groups.values()
    allowed = {group.role.parallel, *group.role.grid, *(i for m in group.members for i in draft.roles[m].inner)}
    plain = all(_plain_read(draft, node, group) for node in walk(opened) if isinstance(node, Read))
    return group if set(tensor.parts[0].indices) <= allowed and plain else None


def _plain_read(draft: Draft, read: Read, group: Group) -> bool:
    """Whether a member of the stage is read at its own point."""
    if draft.group_of.get(read.tensor) is not group:
        return True
    return read.subs == draft.shapes.tensors[read.tensor].parts[0].left
