"""The stages of an explicit cascade in order: streams with their monoids, and what PyTorch evaluates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import networkx

from attnc.ir.cascade import Cascade, Expr, Read, Reduce
from attnc.ir.node import Node
from attnc.ir.stage import Host, Monoid, Plan, Refusal, Stage, Stream
from attnc.ir.walk import walk
from attnc.passes.derive import Problem, RefusedError, derive
from attnc.passes.derive.reductions import Streamed, streamed
from attnc.passes.families import Shapes, is_pointwise
from attnc.passes.stages import Role, roles


@dataclass
class Group:
    """A stage under construction: one role key and the reductions that share it."""

    role: Role
    members: list[str] = field(default_factory=list)
    emits: list[str] = field(default_factory=list)
    monoid: Monoid | None = None


@dataclass
class Draft:
    """A plan under construction; repeated with more reductions put off until every stage derives."""

    shapes: Shapes
    roles: dict[str, Role]
    later: set[str]  # reductions that cannot share a stage with those they depend on
    host: set[str]  # reductions that cannot be streamed at all
    refusals: dict[str, Refusal]
    groups: list[Group] = field(default_factory=list)
    group_of: dict[str, Group] = field(default_factory=dict)
    hosts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    stored: dict[str, None] = field(default_factory=dict)


def plan(cascade: Cascade) -> Plan:
    """The stages of an explicit cascade.

    Before   statements
    After    streams, each with a monoid, and host steps; in an order in which each finds what it reads
    Holds    because every output is computed by the statements it depends on, streamed or not.
    """
    shapes = Shapes(cascade)
    found = roles(shapes)
    later: set[str] = set()
    host: set[str] = set()
    refusals: dict[str, Refusal] = {}
    while True:
        draft = Draft(shapes, found, later, host, refusals)
        refused = _attempt(draft)
        if refused is not None:
            _put_off(draft, refused)
            continue
        try:
            return _ordered(draft)
        except networkx.NetworkXUnfeasible:  # stages that wait for one another: statements, which cannot, run instead
            host |= {name for group in draft.groups if group.emits for name in group.members}


def _put_off(draft: Draft, refused: RefusedError) -> None:
    """Note the refusal; the reduction moves to a later stage, or to the host if that was tried."""
    name = refused.tensor
    draft.refusals.setdefault(name, _refusal(draft, refused))
    if name in draft.later or not _same_stage_operands(draft, name):
        draft.host.add(name)
    else:
        draft.later.add(name)


def _attempt(draft: Draft) -> RefusedError | None:
    """Derive every stage that emits something; what a monoid reads is emitted by earlier stages in turn."""
    _group(draft)
    _need(draft, draft.shapes.cascade.outputs)
    derived: dict[int, tuple[str, ...]] = {}
    while True:
        pending = [g for g in draft.groups if g.emits and derived.get(id(g)) != tuple(g.emits)]
        if not pending:
            return None
        group = pending[-1]
        derived[id(group)] = tuple(group.emits)
        try:
            group.monoid = derive(_problem(draft, group))
        except RefusedError as refused:
            return refused
        _need(draft, _reads(group.monoid))


def _group(draft: Draft) -> None:
    """Each reduction joins the last stage of its key, if nothing it needs comes between; else a new one."""
    for name, role in draft.roles.items():
        if name in draft.host:
            continue
        role = _widest(draft, name, role)
        group = next((g for g in reversed(draft.groups) if g.role.key == role.key), None)
        if group is None or not _joins(draft, group, name):
            group = Group(role)
            draft.groups.append(group)
        group.members.append(name)
        draft.group_of[name] = group


def _widest(draft: Draft, name: str, role: Role) -> Role:
    """The role of a reduction over fewer grid indices that serves just one stage: it is kept by every program of it."""
    if name in draft.shapes.cascade.outputs:
        return role
    users = [other for other in draft.roles if name in _dependencies(draft.shapes, other)]
    wider = {draft.roles[other].key: draft.roles[other] for other in users if draft.roles[other].key != role.key}
    fits = [item for item in wider.values() if (item.family, item.parallel) == (role.family, role.parallel)]
    return fits[0] if len(fits) == 1 == len(wider) and set(role.grid) < set(fits[0].grid) else role


def _joins(draft: Draft, group: Group, name: str) -> bool:
    needs = _dependencies(draft.shapes, name)
    if name in draft.later and needs & set(group.members):
        return False
    outside = {other for other in needs if other in draft.group_of and draft.group_of[other] is not group}
    between = {other for other in outside if _dependencies(draft.shapes, other) & set(group.members)}
    hosted = needs & draft.host
    return not between and not any(_dependencies(draft.shapes, item) & set(group.members) for item in hosted)


def _dependencies(shapes: Shapes, name: str) -> set[str]:
    """Every defined tensor that a tensor depends on."""
    seen: set[str] = set()
    queue = [name]
    while queue:
        for other in _read_names(shapes.tensors[queue.pop()]):
            if other in shapes.tensors and other not in seen:
                seen.add(other)
                queue.append(other)
    return seen


def _read_names(node: Node) -> list[str]:
    return [item.tensor for item in walk(node) if isinstance(item, Read)]


def _same_stage_operands(draft: Draft, name: str) -> set[str]:
    group = draft.group_of[name]
    return _dependencies(draft.shapes, name) & set(group.members)


def _need(draft: Draft, names: Iterable[str]) -> None:
    """Decide where each of these tensors, and all that it needs, is computed."""
    for name in names:
        if name in draft.stored or name not in draft.shapes.tensors:
            continue
        draft.stored[name] = None
        group = draft.group_of.get(name) or _finishing(draft, name)
        if group is not None:
            if name not in group.emits:
                group.emits.append(name)
            continue
        step = next(step for step in draft.shapes.cascade.steps if name in step.tensors)
        draft.stored |= dict.fromkeys(step.tensors)
        draft.hosts[name] = step.tensors
        for other in step.tensors:
            _need(draft, _read_names(draft.shapes.tensors[other]))


def _finishing(draft: Draft, name: str) -> Group | None:
    """The stage whose outputs this tensor is a pointwise function of, if there is one."""
    shapes = draft.shapes
    tensor = shapes.tensors[name]
    if len(tensor.parts) != 1 or name in shapes.recurrent:
        return None
    opened = shapes.open_all(tensor.parts[0].value, frozenset(draft.group_of) | frozenset(draft.host))
    groups = {id(draft.group_of[item]): draft.group_of[item] for item in _read_names(opened) if item in draft.group_of}
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
    stored = frozenset(draft.stored) | _light(draft, group)
    own = frozenset(group.members)
    needed = {name for emit in group.emits for name in ({emit} | _dependencies(shapes, emit)) if name in own}
    members: list[Streamed] = []
    for name in group.members:
        if name in needed:
            item = streamed(shapes, name, draft.roles[name].index)
            if item is None:
                raise RefusedError(name, None)
            members.append(item)
    order = (group.role.parallel, *(item.index for item in shapes.cascade.ranges if item.index != group.role.parallel))
    stored = frozenset(name for name in stored if not _dependencies(shapes, name) & own)
    return Problem(shapes, tuple(members), tuple(group.emits), stored - own - set(group.emits), group.role.grid, order)


def _light(draft: Draft, group: Group) -> frozenset[str]:
    """Operands with reductions of their own that do not run along both axes: computed before the stage."""
    shapes = draft.shapes
    found = set()
    for member in group.members:
        for name in _dependencies(shapes, member):
            if name in group.members or name in found:
                continue
            if name in draft.group_of or name in draft.host or _is_light(shapes, name, group):
                found.add(name)
    return frozenset(found)


def _is_light(shapes: Shapes, name: str, group: Group) -> bool:
    if _dependencies(shapes, name) & set(group.members):
        return False
    tensor = shapes.tensors[name]
    if name in shapes.recurrent or (len(tensor.parts) > 1 and not _all_pointwise(shapes, name)):
        return not _along_both(shapes, name, group)
    return not _all_pointwise(shapes, name) and not _along_both(shapes, name, group)


def _all_pointwise(shapes: Shapes, name: str) -> bool:
    names = {name} | _dependencies(shapes, name)
    return all(is_pointwise(part.value) for item in names for part in shapes.tensors[item].parts)


def _along_both(shapes: Shapes, name: str, group: Group) -> bool:
    indices = {index for part in shapes.tensors[name].parts for index in part.indices}
    return group.role.parallel in indices and any(shapes.family[i] == group.role.family for i in indices)


def _reads(monoid: Monoid) -> list[str]:
    return _read_names(monoid)


# ---- order and report ----------------------------------------------------------------------


def _ordered(draft: Draft) -> Plan:
    graph: networkx.DiGraph[int] = networkx.DiGraph()
    stages: list[tuple[Stage, set[str], set[str], int]] = []
    position = draft.shapes.position
    for group in draft.groups:
        if group.monoid is not None:
            stage = _stream(draft, group, group.monoid)
            stages.append((stage, set(_reads(group.monoid)), set(group.emits), max(position[e] for e in group.emits)))
    for names in dict.fromkeys(draft.hosts.values()):
        reads = {other for name in names for other in _read_names(draft.shapes.tensors[name])} - set(names)
        stages.append((_host(draft, names), reads, set(names), max(position[name] for name in names)))
    for number, (_, reads, _, _) in enumerate(stages):
        graph.add_node(number)
        for other, (_, _, gives, _) in enumerate(stages):
            if reads & gives:
                graph.add_edge(other, number)
    order = networkx.lexicographical_topological_sort(graph, key=lambda number: stages[number][3])
    return Plan(tuple(stages[number][0] for number in order), tuple(draft.refusals.values()))


def _stream(draft: Draft, group: Group, monoid: Monoid) -> Stream:
    role = group.role
    span = draft.shapes.tensors[group.emits[0]].parts[0].span
    return Stream(group.emits[0], monoid, role.family, role.parallel, role.grid, span=span)


def _host(draft: Draft, names: tuple[str, ...]) -> Host:
    lengths = {index for role in draft.roles.values() for index in (role.parallel, role.index)}
    families = {draft.shapes.family[index] for index in lengths}
    space: set[str] = set()
    for name in names:
        for part in draft.shapes.tensors[name].parts:
            bound = {index for node in walk(part.value) if isinstance(node, Reduce) for index in node.over}
            space |= {draft.shapes.family[index] for index in (*part.indices, *bound)}
    looped = any(step.axes and names == step.tensors for step in draft.shapes.cascade.steps)
    heavy = len(space & families) >= 2 or looped
    refusal = next((draft.refusals[name] for name in names if name in draft.refusals), None)
    if heavy and refusal is None:
        refusal = _unstreamed(draft, names, looped)
    span = draft.shapes.tensors[names[0]].parts[0].span
    return Host(names[0], names, heavy, refusal if heavy else None, span=span)


def _unstreamed(draft: Draft, names: tuple[str, ...], looped: bool) -> Refusal:
    part = draft.shapes.tensors[names[0]].parts[0]
    if looped:
        text = f"`{names[0]}` is a recurrence: each step needs the one before"
        return Refusal("SEQ", text, part, "a scan is planned by no stage yet; it runs step by step", span=part.span)
    text = f"`{names[0]}` has a value for every pair of positions, and it is read after it is complete"
    completed = next((node for node in walk(part.value) if isinstance(node, Read)), part)
    return Refusal("NOUT", text, completed, "leave it out of the outputs", span=part.span)


def _refusal(draft: Draft, refused: RefusedError) -> Refusal:
    name = refused.tensor
    part = draft.shapes.tensors[name].parts[0]
    factor: Expr | Node = refused.factor if refused.factor is not None else part
    others = sorted(_same_stage_operands(draft, name))
    clash = draft.shapes.tensors[others[0]].parts[0] if others else factor
    crossing = _crosses(draft, name)
    if crossing is not None:
        text = f"`{name}` needs `{crossing}`, which folds over the tiled index"
        return Refusal("CROSS", text, draft.shapes.tensors[crossing].parts[0], "two stages", span=part.span)
    text = (
        f"`{name}` depends on `{', '.join(others)}` in a way that cannot be split off"
        if others
        else f"`{name}` is no fold of independent terms"
    )
    return Refusal("NSEP" if others else "OPAQUE", text, clash, "it takes a pass of its own", span=part.span)


def _crosses(draft: Draft, name: str) -> str | None:
    role = draft.roles[name]
    for other in _dependencies(draft.shapes, name):
        item = draft.roles.get(other)
        if item is not None and draft.shapes.family[item.index] == draft.shapes.family[role.parallel]:
            return other
    return None
