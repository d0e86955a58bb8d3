"""A plan under construction: stages, what they emit, and what has been refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from attnc.ir.cascade import Grad, Order
from attnc.ir.stage import Monoid, Refusal
from attnc.ir.walk import walk
from attnc.passes.defined import dependencies
from attnc.passes.direct import Direct
from attnc.passes.families import Shapes
from attnc.passes.stages import Role


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
    direct: dict[str, Direct]  # values that wait for no fold
    groups: list[Group] = field(default_factory=list)
    group_of: dict[str, Group] = field(default_factory=dict)
    hosts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    stored: dict[str, None] = field(default_factory=dict)


def outside(shapes: Shapes, names: Iterable[str]) -> list[str]:
    """What statements read that is not evaluated with them; a derivative brings along all that lies between."""
    whole = shapes.piece(names)
    tensors = [tensor.name for tensor in shapes.cascade.tensors if tensor.name in whole]
    return [name for tensor in tensors for name in shapes.operands[tensor] if name not in whole]


def same_stage_operands(draft: Draft, name: str) -> frozenset[str]:
    """What a reduction needs from the stage it is in."""
    group = draft.group_of[name]
    return dependencies(draft.shapes, name) & set(group.members)


def blocks(draft: Draft, name: str) -> bool:
    """Whether a tensor is never computed inside a stage: a recurrence, an order statistic, a hosted reduction."""
    shapes = draft.shapes
    ordered = any(isinstance(node, Order | Grad) for node in walk(shapes.tensors[name]))
    return name in shapes.recurrent or name in draft.host or ordered
