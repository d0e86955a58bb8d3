"""What a reader of a derived state should know though nothing was refused."""

from __future__ import annotations

from collections.abc import Iterator

from attnc.ir.stage import Finish, Gauge, Monoid, Refusal
from attnc.passes.derive.probe import depends, uses
from attnc.passes.draft import Draft
from attnc.passes.wording import called, part_of

GAUGE_HELP = (
    "the maximum is kept exactly, as written; where it was meant to cancel, give every term of the sum "
    "the same factor: exp(-R) in the place of 1"
)


def gauge_notes(draft: Draft) -> Iterator[tuple[str, Refusal]]:
    """GAUGE: outputs that change with the maximum which their exponents are taken relative to.

    No refusal, for it costs nothing: the reference is the exact maximum, and is never replaced by another.
    """
    for group in draft.groups:
        if group.monoid is None:
            continue
        for gauge in group.monoid.gauges:
            for finish in _shown(draft, group.monoid, gauge):
                if depends(group.monoid, finish, gauge):
                    yield f"{finish.tensor} {gauge.name}", _gauge_note(draft, finish.tensor, gauge.name)


def _shown(draft: Draft, monoid: Monoid, gauge: Gauge) -> Iterator[Finish]:
    """The outputs of the spec that read sums relative to a maximum which the spec has as well."""
    if gauge.op == "max" and gauge.name in draft.shapes.tensors:
        outputs = (finish for finish in monoid.finishes if finish.tensor in draft.shapes.cascade.outputs)
        yield from (finish for finish in outputs if uses(monoid, finish, gauge))


def _gauge_note(draft: Draft, output: str, gauge: str) -> Refusal:
    shapes = draft.shapes
    reason = (
        f"{called(shapes, output)} changes with {called(shapes, gauge)} itself, which is more than a reference here"
    )
    return Refusal("GAUGE", reason, part_of(shapes, gauge), GAUGE_HELP, span=part_of(shapes, output).span)
