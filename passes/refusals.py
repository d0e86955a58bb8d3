"""Why something is not one pass: a code, both places, and a way out."""

from __future__ import annotations

from collections.abc import Iterator

from attnc.ir.cascade import Coord, Order, Part, Read, Reduce, Step
from attnc.ir.node import Node
from attnc.ir.stage import Refusal
from attnc.ir.walk import walk
from attnc.passes.derive import RefusedError
from attnc.passes.draft import Draft, blocks, same_stage_operands
from attnc.passes.families import dependencies, read_names

ANOTHER_PASS = "it takes a pass of its own"


def refused_fold(draft: Draft, error: RefusedError) -> Refusal:
    """Why a reduction does not share the pass of those it depends on."""
    name, part = error.tensor, _part(draft, error.tensor)
    crossing = _crossing(draft, name)
    if crossing is not None:
        return _crossed(draft, name, crossing)
    others = sorted(same_stage_operands(draft, name))
    if not others:
        clash: Node = error.factor if error.factor is not None else part
        return Refusal("OPAQUE", f"`{name}` is no fold of independent terms", clash, ANOTHER_PASS, span=part.span)
    reason = f"`{name}` takes `{', '.join(others)}` and the stream together in a way that cannot be split"
    return Refusal("NSEP", reason, _part(draft, others[0]), ANOTHER_PASS, span=part.span)


def split_stage(draft: Draft, name: str, between: set[str]) -> Refusal | None:
    """Why a reduction starts a pass of its own: what it needs waits for the pass before."""
    blocking = [other for other in draft.shapes.position if other in dependencies(draft.shapes, name)]
    found = (_reason(draft, item) for item in blocking if item in between and blocks(draft, item))
    return next(found, None)


def hosted_step(draft: Draft, names: tuple[str, ...]) -> Refusal:
    """Why a heavy step runs statement by statement."""
    for name in names:
        if name in draft.refusals:
            return draft.refusals[name]
    found = _reason(draft, names[0])
    if found is not None:
        return found
    for other in (*_users(draft, names[0]), *sorted(dependencies(draft.shapes, names[0]))):
        found = _reason(draft, other) if other in draft.hosts else None
        if found is not None:
            return found
    part = _part(draft, names[0])
    reason = f"`{names[0]}` is no fold that a stage keeps"
    return Refusal("OPAQUE", reason, part, "it runs with PyTorch", span=part.span)


def _reason(draft: Draft, name: str) -> Refusal | None:
    """What about a tensor itself keeps it out of a stage."""
    shapes, part = draft.shapes, _part(draft, name)
    step = next(step for step in shapes.cascade.steps if name in step.tensors)
    if step.axes:
        return _recurrent(draft, name, step)
    order = next((node for node in walk(shapes.tensors[name]) if isinstance(node, Order)), None)
    if order is not None:
        reason = f"`{name}` needs all values in order: no state of bounded size knows it"
        return Refusal("ORDER", reason, _operand(draft, order) or part, "it takes a pass of its own", span=part.span)
    if name not in shapes.cascade.outputs or name not in draft.hosts or not _is_pairs(draft, name):
        return None
    completed = _completed(draft, name)
    if completed is not None:
        reason = f"`{name}` has a value for every pair of positions and needs `{completed}`, which all of them make"
        help = f"leave `{name}` out of the outputs, or give `{completed}` out in its place"
        return Refusal("NOUT", reason, _part(draft, completed), help, span=part.span)
    reason = f"`{name}` has a value for every pair of positions, and it is asked for"
    return Refusal("NOUT", reason, part, f"leave `{name}` out of the outputs", span=part.span)


def crossings(draft: Draft) -> Iterator[tuple[str, Refusal]]:
    """The reductions that need one over their own rows: every row waits for all of them."""
    told: set[str] = set()
    for name in draft.shapes.position:
        crossing = _crossing(draft, name)
        if crossing is not None and crossing not in told and name not in draft.refusals:
            told.add(crossing)
            yield name, _crossed(draft, name, crossing)


# ---- recurrences ----------------------------------------------------------------------------


def _recurrent(draft: Draft, name: str, step: Step) -> Refusal:
    part = _part(draft, name)
    fold = _fold_of_lengths(draft, step)
    if fold is not None:
        reason = f"each step of `{name}` folds over `{fold.over[0]}` again: it is known by an equation only"
        return Refusal("IMPLICIT", reason, fold if fold.span.source.text else part, "as many passes", span=part.span)
    other = _opposite(draft, step)
    if other is not None:
        reason = f"`{name}` and `{other}` run through the positions in opposite directions"
        return Refusal("BIDIR", reason, _part(draft, other), "two passes, one in each direction", span=part.span)
    reason = f"`{name}` is a recurrence: each step needs the one before"
    earlier = next((node for node in walk(part) if isinstance(node, Read) and node.tensor in step.tensors), part)
    return Refusal("SEQ", reason, earlier, "it runs step by step", span=part.span)


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


# ---- what stands in the way -----------------------------------------------------------------


def _part(draft: Draft, name: str) -> Part:
    return draft.shapes.tensors[name].parts[0]


def _users(draft: Draft, name: str) -> Iterator[str]:
    """The tensors that need a tensor, nearest first."""
    tensors = draft.shapes.tensors
    yield from (other for other in tensors if name in read_names(tensors[other]) and other != name)
    yield from (other for other in tensors if name in dependencies(draft.shapes, other) and other != name)


def _operand(draft: Draft, order: Order) -> Part | None:
    names = [name for name in read_names(order) if name in draft.shapes.tensors]
    return _part(draft, names[0]) if names else None


def _completed(draft: Draft, name: str) -> str | None:
    """The nearest reduction over one of the tensor's own indices that it reads."""
    own = {draft.shapes.family[index] for index in _part(draft, name).indices}
    for other in sorted(dependencies(draft.shapes, name), key=draft.shapes.position.__getitem__, reverse=True):
        role = draft.roles.get(other)
        if role is not None and role.family in own:
            return other
    return None


def _crossing(draft: Draft, name: str) -> str | None:
    """A reduction over this one's own index, itself along the index that this one folds, which it needs."""
    own, folded = _along(draft, name), _folded(draft, name)
    if not own or not folded:
        return None
    for other in sorted(dependencies(draft.shapes, name), key=draft.shapes.position.__getitem__, reverse=True):
        if _folded(draft, other) & own and _along(draft, other) & folded:
            return other
    return None


def _along(draft: Draft, name: str) -> set[str]:
    """The lengths that a tensor has values along."""
    return {draft.shapes.family[index] for index in _part(draft, name).indices} & _lengths(draft)


def _folded(draft: Draft, name: str) -> set[str]:
    """The lengths that a tensor's definition folds."""
    over = [index for node in walk(_part(draft, name).value) if isinstance(node, Reduce) for index in node.over]
    return {draft.shapes.family[index] for index in over} & _lengths(draft)


def _lengths(draft: Draft) -> set[str]:
    return {draft.shapes.family[index] for role in draft.roles.values() for index in (role.parallel, role.index)}


def _is_pairs(draft: Draft, name: str) -> bool:
    return len(_along(draft, name)) > 1


def _crossed(draft: Draft, name: str, crossing: str) -> Refusal:
    span = _part(draft, name).span
    reason = f"`{name}` needs `{crossing}`, which folds over the rows: each row waits for all of them"
    return Refusal("CROSS", reason, _part(draft, crossing), "a pass each, one after the other", span=span)
