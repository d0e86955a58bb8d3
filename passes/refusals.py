"""Why something is not one pass: a code, both places, and what attnc does instead."""

from __future__ import annotations

from collections.abc import Iterator

from attnc.ir.cascade import Const, Order, Part, Read, Reduce
from attnc.ir.node import Node
from attnc.ir.stage import Refusal
from attnc.ir.walk import walk
from attnc.passes.crossing import along, crossed, crossing_of
from attnc.passes.defined import dependencies
from attnc.passes.derive.problem import RefusedError
from attnc.passes.direct import Direct
from attnc.passes.draft import Draft, blocks, same_stage_operands
from attnc.passes.recurrent import recurrent
from attnc.passes.wording import called, is_condition, listed, part_of, quoted

BY_STATEMENTS = "it runs with PyTorch, statement by statement"


def refused_fold(draft: Draft, error: RefusedError) -> Refusal:
    """Why a reduction does not share the pass of those it depends on."""
    name, part = error.tensor, part_of(draft.shapes, error.tensor)
    crossing = crossing_of(draft, name)
    if crossing is not None:
        return crossed(draft, name, crossing)
    others = _mixed_with(draft, error)
    if not others:
        clash: Node = error.factor if error.factor is not None else part
        return Refusal(
            "OPAQUE",
            f"{called(draft.shapes, name)} is no fold of independent terms",
            clash,
            BY_STATEMENTS,
            span=part.span,
        )
    what, whole = called(draft.shapes, name), listed(draft.shapes, others)
    inside = quoted(draft.shapes, error.factor)
    if is_condition(error.factor):
        reason = f"{what} folds only where {inside or 'a condition on it holds'}, which waits for {whole}"
    else:
        place = f"in {inside}, which" if inside else "in a way that"
        reason = f"{what} takes {whole} together with the stream {place} does not split into a factor of each"
    help = f"a pass for {whole}, then one for {what}"
    return Refusal("NSEP", reason, part_of(draft.shapes, others[0]), help, span=part.span)


def _mixed_with(draft: Draft, error: RefusedError) -> list[str]:
    """The reductions of its stage that one mixes with the stream, as they come; those in the culprit, if it has any."""
    operands = same_stage_operands(draft, error.tensor)
    others = sorted(operands, key=draft.shapes.position.__getitem__)
    inside = list(walk(error.factor)) if error.factor is not None else []
    names = {getattr(node, "name", getattr(node, "tensor", "")) for node in inside}
    names |= {other for name in names if name in draft.shapes.tensors for other in dependencies(draft.shapes, name)}
    return [other for other in others if other in names] or others


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
    return _opaque(draft, names[0])


def _opaque(draft: Draft, name: str) -> Refusal:
    part = part_of(draft.shapes, name)
    reason = f"{called(draft.shapes, name)} is no fold that a stage keeps"
    return Refusal("OPAQUE", reason, part, BY_STATEMENTS, span=part.span)


def _reason(draft: Draft, name: str) -> Refusal | None:
    """What about a tensor itself keeps it out of a stage."""
    shapes, part = draft.shapes, part_of(draft.shapes, name)
    step = next(step for step in shapes.cascade.steps if name in step.tensors)
    if step.axes:
        return recurrent(draft, name, step)
    order = next((node for node in walk(shapes.tensors[name]) if isinstance(node, Order)), None)
    if order is not None:
        return _ordered(draft, name, order)
    place = next(
        (node for node in walk(part.value) if isinstance(node, Reduce) and node.op in ("argmax", "argmin")), None
    )
    if place is not None:
        reason = f"{called(draft.shapes, name)} is a position: a stream keeps sums and extrema, not where they are"
        return Refusal("OPAQUE", reason, _operand(draft, place) or part, BY_STATEMENTS, span=part.span)
    if name not in shapes.cascade.outputs or name not in draft.hosts or len(along(draft, name)) < 2:
        return None
    return _pairs(draft, name, part)


def _ordered(draft: Draft, name: str, order: Order) -> Refusal:
    """An order statistic: of a fixed number of values it would be a state, of a growing one it is none."""
    part, what = part_of(draft.shapes, name), called(draft.shapes, name)
    clash = _operand(draft, order) or part
    help = "all values are written out and ordered with PyTorch; what follows is streamed"
    if isinstance(order.k, Const):
        number = int(order.k.value) + (order.op == "kth")
        reason = f"{what} needs the {number} first in order: a stream keeps sums and extrema, no lists"
        return Refusal("STATE", reason, clash, help, span=part.span)
    reason = f"{what} needs all values in order: no state of bounded size knows it"
    return Refusal("ORDER", reason, clash, help, span=part.span)


def _pairs(draft: Draft, name: str, part: Part) -> Refusal:
    """An output with a value for every pair of positions."""
    completed = _completed(draft, name)
    if completed is None:
        reason = f"`{name}` has a value for every pair of positions, and it is asked for"
        return Refusal("NOUT", reason, part, f"leave `{name}` out of the outputs", span=part.span)
    whole = called(draft.shapes, completed)
    reason = f"`{name}` has a value for every pair of positions and needs {whole}, which all of a row make"
    help = f"leave `{name}` out of the outputs: with {whole} given out, it can be made anew where it is used"
    return Refusal("NOUT", reason, part_of(draft.shapes, completed), help, span=part.span)


def weights_out(draft: Draft) -> Iterator[tuple[str, Refusal]]:
    """Values for every pair of positions that a stage makes once what they need of whole rows is known."""
    for group in draft.groups:
        for name in group.emits if isinstance(group.role, Direct) and group.role.columns else ():
            completed = _completed(draft, name)
            if completed is not None and name in draft.shapes.cascade.outputs:
                whole, part = called(draft.shapes, completed), part_of(draft.shapes, name)
                reason = f"`{name}` has a value for every pair of positions and needs {whole}, which all of a row make"
                help = f"a pass for {whole}, then one that makes each pair's value"
                yield name, Refusal("NOUT", reason, part_of(draft.shapes, completed), help, span=part.span)


def _users(draft: Draft, name: str) -> Iterator[str]:
    """The tensors that need a tensor, nearest first."""
    tensors, reads = draft.shapes.tensors, draft.shapes.operands
    yield from (other for other in tensors if name in reads[other] and other != name)
    yield from (other for other in tensors if name in dependencies(draft.shapes, other) and other != name)


def _operand(draft: Draft, node: Node) -> Part | None:
    names = [item.tensor for item in walk(node) if isinstance(item, Read) and item.tensor in draft.shapes.tensors]
    return part_of(draft.shapes, names[0]) if names else None


def _completed(draft: Draft, name: str) -> str | None:
    """The nearest reduction over one of the tensor's own indices that it reads."""
    own = {draft.shapes.family[index] for index in draft.shapes.tensors[name].parts[0].indices}
    for other in sorted(dependencies(draft.shapes, name), key=draft.shapes.position.__getitem__, reverse=True):
        role = draft.roles.get(other)
        if role is not None and role.family in own:
            return other
    return None
