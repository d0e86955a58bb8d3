"""Why a recurrence is no single pass that can be split: it steps, it solves, or it meets another one."""

from __future__ import annotations

from collections.abc import Iterator

from attnc.ir.cascade import Coord, Read, Reduce, Step
from attnc.ir.stage import Refusal
from attnc.ir.walk import walk
from attnc.passes.defined import dependencies, read_names
from attnc.passes.draft import Draft
from attnc.passes.wording import part_of


def recurrent(draft: Draft, name: str, step: Step) -> Refusal:
    """IMPLICIT, BIDIR or SEQ, with what makes it so."""
    part = part_of(draft.shapes, name)
    fold = _fold_of_lengths(draft, step)
    if fold is not None:
        reason = f"each step of `{name}` folds over `{fold.over[0]}` again: it is known by an equation only"
        clash = fold if fold.span.source.text else part
        return Refusal("IMPLICIT", reason, clash, "a pass for each step; it runs with PyTorch", span=part.span)
    other = _opposite(draft, step)
    if other is not None:
        reason = f"`{name}` and `{other}` run through the positions in opposite directions"
        help = "two passes, one in each direction; they run with PyTorch"
        return Refusal("BIDIR", reason, part_of(draft.shapes, other), help, span=part.span)
    reason = f"`{name}` is a recurrence: each step needs the one before"
    earlier = next((node for node in walk(part) if isinstance(node, Read) and node.tensor in step.tensors), part)
    return Refusal("SEQ", reason, earlier, "it runs step by step, with PyTorch", span=part.span)


def _fold_of_lengths(draft: Draft, step: Step) -> Reduce | None:
    """A reduction over a length inside a step of a recurrence over something else."""
    shapes = draft.shapes
    own = set(_loops(draft, step))
    lengths = {role.index for role in draft.roles.values()}
    inside = [shapes.tensors[name] for name in step.tensors]
    for name in step.tensors:
        inside += [shapes.tensors[other] for other in dependencies(shapes, name)]
    for tensor in inside:
        for node in walk(tensor):
            if not isinstance(node, Reduce) or not set(node.over) & lengths or set(node.over) & own:
                continue
            if set(read_names(node)) & set(step.tensors) or tensor.name in step.tensors:
                return node
    return None


def _loops(draft: Draft, step: Step) -> Iterator[str]:
    """The indices that a recurrence walks."""
    for name, axis in zip(step.tensors, step.axes, strict=True):
        for part in draft.shapes.tensors[name].parts:
            yield from (node.index for node in walk(part.left[axis]) if isinstance(node, Coord))


def _opposite(draft: Draft, step: Step) -> str | None:
    """A recurrence along the same axis in the other direction, joined with this one later on."""
    shapes = draft.shapes
    mine = {shapes.family[index] for index in _loops(draft, step)}
    for other in shapes.cascade.steps:
        if not other.axes or other.forward == step.forward:
            continue
        name = other.tensors[0]
        along = {shapes.family[index] for index in _loops(draft, other)}
        together = any({name, step.tensors[0]} <= dependencies(shapes, item) for item in shapes.tensors)
        if along & mine and together:
            return name
    return None
