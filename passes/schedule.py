"""The stages of a finished draft in an order in which each finds what it reads."""

from __future__ import annotations

from collections.abc import Iterable

import networkx

from attnc.ir.cascade import Input, Map, Order, Read, Size
from attnc.ir.indices import free_indices
from attnc.ir.stage import Host, Monoid, Plan, Stage, Stream
from attnc.ir.walk import walk
from attnc.passes.crossing import crossings
from attnc.passes.defined import dependencies, read_names
from attnc.passes.direct import Direct, lengths
from attnc.passes.draft import Draft, Group, outside
from attnc.passes.families import Shapes
from attnc.passes.notes import gauge_notes
from attnc.passes.refusals import hosted_step, weights_out


def ordered(draft: Draft) -> Plan:
    """The plan; `networkx.NetworkXUnfeasible` where stages wait for one another."""
    graph: networkx.DiGraph[int] = networkx.DiGraph()
    stages: list[tuple[Stage, set[str], set[str], int]] = []
    position = draft.shapes.position
    for group in draft.groups:
        if group.monoid is not None:
            stage = _stream(draft, group, group.monoid)
            emits = set(group.emits)
            stages.append((stage, set(read_names(group.monoid)), emits, max(position[name] for name in emits)))
    for names in dict.fromkeys(draft.hosts.values()):
        reads = set(outside(draft.shapes, names))
        stages.append((_host(draft, names), reads, set(names), max(position[name] for name in names)))
    for number, (_, reads, _, _) in enumerate(stages):
        graph.add_node(number)
        for other, (_, _, gives, _) in enumerate(stages):
            if reads & gives:
                graph.add_edge(other, number)
    draft.refusals |= dict(crossings(draft))
    draft.refusals |= dict(gauge_notes(draft)) | dict(weights_out(draft))
    order = networkx.lexicographical_topological_sort(graph, key=lambda number: stages[number][3])
    return Plan(tuple(stages[number][0] for number in order), tuple(dict.fromkeys(draft.refusals.values())))


def _stream(draft: Draft, group: Group, monoid: Monoid) -> Stream:
    role = group.role
    span = draft.shapes.tensors[group.emits[0]].parts[0].span
    if isinstance(role, Direct):
        loop = None if role.loop is None else draft.shapes.family[role.loop]
        return Stream(group.emits[0], monoid, loop, role.parallel, role.grid, role.columns, span=span)
    return Stream(group.emits[0], monoid, role.family, role.parallel, role.grid, span=span)


def _host(draft: Draft, names: tuple[str, ...]) -> Host:
    span = draft.shapes.tensors[names[0]].parts[0].span
    heavy = is_heavy(draft, names)
    refusal = hosted_step(draft, names) if heavy else None
    if refusal is not None:
        draft.refusals.setdefault(names[0], refusal)
    return Host(names[0], names, heavy, refusal, span=span)


def is_heavy(draft: Draft, names: tuple[str, ...]) -> bool:
    """Whether some value in a step is for each pair of positions, or the step loops over a length in sequence.

    Positions on a map of tokens are no pairs, though two axes tell them.
    """
    family = draft.shapes.family
    known = lengths(draft.shapes, draft.roles)
    whole = draft.shapes.piece(names)
    parts = [part for name in whole for part in draft.shapes.tensors[name].parts]
    spaces = [frozenset(part.indices) for part in parts]
    spaces += [free_indices(node) for part in parts for node in walk(part.value) if isinstance(node, Map | Read)]
    looped = any(step.axes and whole.issuperset(step.tensors) for step in draft.shapes.cascade.steps)
    stored = () if any(isinstance(node, Order) for part in parts for node in walk(part)) else _rows(draft, whole)

    def is_large(space: frozenset[str]) -> bool:
        long = {index for index in space if family[index] in known}
        if len({family[index] for index in long}) < 2 or _on_a_map(draft.shapes, long, known):
            return False
        return not any(map({family[index] for index in space}.issubset, stored))

    return looped or any(map(is_large, spaces))


def _on_a_map(shapes: Shapes, indices: set[str], known: set[str]) -> bool:
    """Whether points lie on a map of tokens: some input has features at places that they grow with, each by its own."""
    for item in shapes.cascade.inputs:
        if item.type == "real" and item.indices and shapes.family[item.indices[-1]] not in known:
            grown = [axis for index in indices for axis in _grows_with(shapes, index, item)]
            if len(set(grown)) == len(grown) and set(grown) < set(item.indices):
                return True
    return False


def _grows_with(shapes: Shapes, index: str, item: Input) -> set[str]:
    """The axes that the extent of an index depends on; its own where it is an axis of the input."""
    sizes = {node.index for node in walk(shapes.cascade.range(index)) if isinstance(node, Size)}
    return {index} if index in item.indices else sizes


def _rows(draft: Draft, names: Iterable[str]) -> list[set[str]]:
    """The families along which streams leave rows that these tensors need: what is no larger costs no more."""
    needed = {other for name in names for other in dependencies(draft.shapes, name)}
    streams = (group for group in draft.groups if not (isinstance(group.role, Direct) and group.role.columns))
    emitted = (draft.shapes.tensors[name].parts[0] for group in streams for name in group.emits if name in needed)
    return [{draft.shapes.family[index] for index in part.indices} for part in emitted]
