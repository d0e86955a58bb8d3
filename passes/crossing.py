"""Which reductions run across one another: each row of the one waits for all rows of the other."""

from __future__ import annotations

from collections.abc import Iterator

from attnc.ir.cascade import Reduce
from attnc.ir.stage import Refusal
from attnc.ir.walk import walk
from attnc.passes.defined import dependencies
from attnc.passes.draft import Draft
from attnc.passes.wording import called, part_of


def crossings(draft: Draft) -> Iterator[tuple[str, Refusal]]:
    """The reductions that need one over their own rows, each such one told once."""
    told: set[str] = set()
    for name in draft.shapes.position:
        crossing = crossing_of(draft, name)
        if crossing is not None and crossing not in told and name not in draft.refusals:
            told.add(crossing)
            yield name, crossed(draft, name, crossing)


def crossing_of(draft: Draft, name: str) -> str | None:
    """A reduction over this one's own index, itself along the index that this one folds, which it needs."""
    own, folded = along(draft, name), folded_by(draft, name)
    if not own or not folded:
        return None
    for other in sorted(dependencies(draft.shapes, name), key=draft.shapes.position.__getitem__, reverse=True):
        if folded_by(draft, other) & own and along(draft, other) & folded:
            return other
    return None


def crossed(draft: Draft, name: str, crossing: str) -> Refusal:
    """CROSS: why a fold waits for another one across it. NOUT, where it is asked for weights summed over the rows."""
    span, what, whole = part_of(draft.shapes, name).span, called(draft.shapes, name), called(draft.shapes, crossing)
    if name in draft.shapes.cascade.outputs and name in draft.roles and not draft.roles[name].inner:
        reason = f"{what} sums weights over the rows: each is known when {whole} is, which all of a row make"
        help = f"a pass for {whole}, then one in which {what} makes the weights anew"
        return Refusal("NOUT", reason, part_of(draft.shapes, crossing), help, span=span)
    reason = f"{what} needs {whole}, which folds over the rows: each row waits for all of them"
    help = f"a pass for {whole}, then one for {what}, all rows finished in between"
    return Refusal("CROSS", reason, part_of(draft.shapes, crossing), help, span=span)


def along(draft: Draft, name: str) -> set[str]:
    """The lengths that a tensor has values along."""
    return {draft.shapes.family[index] for index in draft.shapes.tensors[name].parts[0].indices} & _lengths(draft)


def folded_by(draft: Draft, name: str) -> set[str]:
    """The lengths that a tensor's definition folds."""
    nodes = walk(draft.shapes.tensors[name].parts[0].value)
    over = [index for node in nodes if isinstance(node, Reduce) for index in node.over]
    return {draft.shapes.family[index] for index in over} & _lengths(draft)


def _lengths(draft: Draft) -> set[str]:
    return {draft.shapes.family[index] for role in draft.roles.values() for index in (role.parallel, role.index)}
