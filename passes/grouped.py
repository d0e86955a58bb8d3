"""Which reductions share a stage."""

from __future__ import annotations

from attnc.ir.cascade import Reduce
from attnc.ir.walk import walk
from attnc.passes.defined import dependencies
from attnc.passes.draft import Draft, Group, blocks
from attnc.passes.refusals import split_stage
from attnc.passes.stages import Role


def grouped(draft: Draft) -> None:
    """Each reduction joins the last stage of its key, if nothing it needs comes between; else a new one."""
    for name, role in draft.roles.items():
        if name in draft.host:
            continue
        role = _widest(draft, name, role)
        group = next((g for g in reversed(draft.groups) if g.role.key == role.key), None)
        if group is None or not _joins(draft, group, name):
            if group is not None and name not in draft.later:
                _note_split(draft, group, name)
            group = Group(role)
            draft.groups.append(group)
        group.members.append(name)
        draft.group_of[name] = group


def _widest(draft: Draft, name: str, role: Role) -> Role:
    """The role of a reduction over fewer grid indices that serves just one stage: it is kept by every program of it."""
    users = [other for other in draft.roles if name in dependencies(draft.shapes, other)] or _met(draft, name)
    users = [other for other in users if other not in dependencies(draft.shapes, name)]
    if name in draft.shapes.cascade.outputs or not draft.later.isdisjoint((name, *users)):
        return role  # what was put off has a stage of its own
    wider = {draft.roles[other].key: draft.roles[other] for other in users if draft.roles[other].key != role.key}
    fits = [item for item in wider.values() if (item.family, item.parallel) == (role.family, role.parallel)]
    return fits[0] if len(fits) == 1 == len(wider) and set(role.grid) < set(fits[0].grid) else role


def _met(draft: Draft, name: str) -> list[str]:
    """The reductions that a value of no reduction needs besides this one."""
    needed = (dependencies(draft.shapes, other) for other in draft.shapes.tensors)
    return sorted({item for names in needed if name in names for item in names & draft.roles.keys()} - {name})


def _joins(draft: Draft, group: Group, name: str) -> bool:
    needs = dependencies(draft.shapes, name)
    return not (name in draft.later and needs & set(group.members)) and not _between(draft, group, name)


def _between(draft: Draft, group: Group, name: str) -> set[str]:
    """What a reduction needs from outside the stage that itself waits for the stage."""
    outside = {
        other
        for other in dependencies(draft.shapes, name)
        if blocks(draft, other) or draft.group_of.get(other, group) is not group or _across(draft, other, group)
    }
    return {other for other in outside if dependencies(draft.shapes, other) & set(group.members)}


def _across(draft: Draft, name: str, group: Group) -> bool:
    """Whether a tensor folds what the programs of a stage each know one point of."""
    outer = {group.role.parallel, *group.role.grid}
    return any(isinstance(node, Reduce) and outer & set(node.over) for node in walk(draft.shapes.tensors[name]))


def _note_split(draft: Draft, group: Group, name: str) -> None:
    refusal = split_stage(draft, name, _between(draft, group, name))
    if refusal is not None:
        draft.refusals.setdefault(name, refusal)
