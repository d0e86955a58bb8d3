"""The stages of an explicit cascade in order: streams with their monoids, and what PyTorch evaluates."""

from __future__ import annotations

import networkx

from attnc.diagnostics import error
from attnc.ir.cascade import Cascade
from attnc.ir.stage import Monoid, Plan, Refusal
from attnc.passes.defined import dependencies, read_names
from attnc.passes.derive import derive
from attnc.passes.derive.limit import TooLongError, limited, seconds_allowed
from attnc.passes.derive.problem import Problem, RefusedError
from attnc.passes.derive.reductions import Streamed, streamed
from attnc.passes.direct import Direct, direct
from attnc.passes.draft import Draft, Group, outside, same_stage_operands
from attnc.passes.families import Shapes
from attnc.passes.grouped import grouped
from attnc.passes.light import light
from attnc.passes.needed import need
from attnc.passes.refusals import refused_fold
from attnc.passes.schedule import ordered
from attnc.passes.stages import roles
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
    grouped(draft)
    need(draft, draft.shapes.cascade.outputs)
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
        need(draft, _reads(group.monoid))


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
