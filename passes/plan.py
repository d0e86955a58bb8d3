"""The stages of an explicit cascade in order: streams with their monoids, and what PyTorch evaluates."""

from __future__ import annotations

from collections.abc import Iterable

import networkx

from attnc.diagnostics import error
from attnc.ir.cascade import Cascade, Read, Reduce
from attnc.ir.stage import Monoid, Plan, Refusal
from attnc.ir.walk import walk
from attnc.passes.defined import dependencies, read_names
from attnc.passes.derive import derive
from attnc.passes.derive.limit import TooLongError, limited, seconds_allowed
from attnc.passes.derive.problem import Problem, RefusedError
from attnc.passes.derive.reductions import Streamed, streamed
from attnc.passes.direct import Direct, direct
from attnc.passes.draft import Draft, Group, blocks, outside, same_stage_operands
from attnc.passes.families import Shapes, is_pointwise
from attnc.passes.light import is_light, light
from attnc.passes.refusals import refused_fold, split_stage
from attnc.passes.schedule import ordered
from attnc.passes.stages import Role, roles
from attnc.passes.tiled import tiled


def plan(cascade: Cascade) -> Plan:
    """The stages of an explicit cascade.

    Before   statements
    After    streams, each with a monoid, and host steps; in an order in which each finds what it reads
    Holds    because every output is computed by the statements it depends on, streamed or not.
    """
    shapes = Shapes(cascade)
    found = roles(shapes)
    apart = direct(shapes, found)
    found = {name: role for name, role in found.items() if name not in apart}
    later: set[str] = set()
    host: set[str] = set()
    refusals: dict[str, Refusal] = {}
    while True:
        draft = Draft(shapes, found, later, host, refusals, apart)
        refused = _attempt(draft)
        if refused is not None:
            _put_off(draft, refused)
            continue
        try:
            return ordered(draft)
        except networkx.NetworkXUnfeasible:  # stages that wait for one another: statements, which cannot, run instead
            host |= {name for group in draft.groups if group.emits for name in group.members}


def _put_off(draft: Draft, refused: RefusedError) -> None:
    """Note the refusal; the reduction moves to a later stage, or to the host if that was tried."""
    name = refused.tensor
    draft.refusals.setdefault(name, refused_fold(draft, refused))
    if name in draft.later or not same_stage_operands(draft, name):
        draft.host.add(name)
    else:
        draft.later.add(name)


def _attempt(draft: Draft) -> RefusedError | None:
    """Derive every stage that emits something; what a monoid reads is emitted by earlier stages in turn."""
    _group(draft)
    _need(draft, draft.shapes.cascade.outputs)
    derived: dict[int, object] = {}
    while True:
        pending = [group for group in draft.groups if group.emits and derived.get(id(group)) != _given(draft, group)]
        if not pending:
            return None
        group = pending[-1]
        derived[id(group)] = _given(draft, group)
        try:
            group.monoid = _derived(draft, group)
        except RefusedError as refused:
            return refused
        _need(draft, _reads(group.monoid))


def _derived(draft: Draft, group: Group) -> Monoid:
    """The stage's monoid; error A302 where the algebra takes too long."""
    if isinstance(group.role, Direct):
        emits = tuple(group.emits)
        stored = _in_memory(draft) | light(draft, group)
        return tiled(draft.shapes, group.role, emits, stored - set(emits))
    problem, seconds = _problem(draft, group), seconds_allowed()
    try:
        return limited(seconds, lambda: derive(problem))
    except TooLongError:
        span = draft.shapes.tensors[group.members[-1]].parts[0].span
        what = f"the derivation of `{group.members[-1]}` was stopped after {seconds:g} s"
        helps = ("give the parts of long expressions names of their own", "allow more with ATTNC_SYMBOLIC_SECONDS=300")
        raise error("A302", what, span, "while separating this", helps=helps) from None


def _given(draft: Draft, group: Group) -> object:
    """What a stage's derivation rests on: what it emits, and which of its operands lie in memory."""
    needed = {name for member in group.members for name in dependencies(draft.shapes, member)}
    return tuple(group.emits), _in_memory(draft) & needed


def _in_memory(draft: Draft) -> frozenset[str]:
    """What is stored for another reason and is read, not computed again: S >= kth(S) must compare equal numbers.

    A kernel's value for each pair of positions that no statement reads is computed again, which costs less than its
    way, unless it is a fold.
    """
    read = {name for names in draft.hosts.values() for name in outside(draft.shapes, names)} | draft.host
    apart = {name for name, role in draft.direct.items() if role.columns is not None and role.loop is None}
    return frozenset(draft.stored.keys() - (apart - read))


def _group(draft: Draft) -> None:
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


def _need(draft: Draft, names: Iterable[str]) -> None:
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
        _need(draft, outside(draft.shapes, step.tensors))


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


def _problem(draft: Draft, group: Group) -> Problem:
    shapes = draft.shapes
    stored = _in_memory(draft) | light(draft, group)
    own = frozenset(group.members)
    needed = {name for emit in group.emits for name in ({emit} | dependencies(shapes, emit)) if name in own}
    members: list[Streamed] = []
    for name in group.members:
        if name in needed:
            item = streamed(shapes, name, draft.roles[name].index)
            if item is None:
                raise RefusedError(name, None)
            members.append(item)
    order = (group.role.parallel, *(item.index for item in shapes.cascade.ranges if item.index != group.role.parallel))
    stored = frozenset(name for name in stored if not dependencies(shapes, name) & own)
    return Problem(shapes, tuple(members), tuple(group.emits), stored - own - set(group.emits), group.role.grid, order)


def _reads(monoid: Monoid) -> list[str]:
    return read_names(monoid)
