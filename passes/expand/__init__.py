"""The sugar of a cascade becomes primitive maps and reductions, existence becomes boolean algebra."""

from __future__ import annotations

from dataclasses import replace

from attnc.ir.cascade import Carry, Cascade, Choose, Const, Part, Step, Tensor, Type
from attnc.ir.verify import explicit, ordered, resolved, stated
from attnc.passes.expand.expressions import expanded
from attnc.passes.expand.recurrence import expand_recurrence
from attnc.passes.expand.site import Expansion, Site, tidy
from attnc.passes.pipeline import transform
from attnc.passes.simplify import conjunction

ABSENT: dict[Type, Const] = {"bool": Const(False), "int": Const(-1), "real": Const(0.0)}


@transform(needs=(resolved, ordered, stated), gives=(resolved, ordered, explicit))
def expand(cascade: Cascade) -> Cascade:
    """The cascade in explicit form: primitive reductions, each a statement, and conditions as booleans.

    Before   A[m,n] = softmax[n](S where n <= m)
    After    A_max[m] = max[n](S when n <= m)
             A_exp[m,n] = exp(shift(S, A_max))                     when n <= m
             A_sum[m] = sum[n](A_exp when n <= m)
             A[m,n] = A_exp / A_sum                                when n <= m
    Holds    because every rule here is the definition of what it replaces, and naming changes nothing.
    """
    state = Expansion.of(cascade)
    for step in cascade.steps:
        _expand_step(state, step)
    carries = tuple(_carried(state, carry) for carry in cascade.carries)
    tensors = tuple(state.done.values())
    return replace(cascade, tensors=tensors, steps=tuple(state.steps), carries=carries)


def _expand_step(state: Expansion, step: Step) -> None:
    if step.axes:
        expand_recurrence(state, step, _tensor)
        return
    for name in step.tensors:
        state.add(_tensor(state, name), Step((name,), span=step.span))


def _tensor(state: Expansion, name: str) -> Tensor:
    tensor = state.cascade.tensor(name)
    assert tensor is not None, f"no tensor {name}"
    return replace(tensor, parts=tuple(_part(state, part) for part in tensor.parts))


def _part(state: Expansion, part: Part) -> Part:
    site = Site(part.tensor, part.indices, part.span)
    item = tidy(state, expanded(state, site, part.value, top=True))
    return replace(part, value=item.value, when=item.when)


def _carried(state: Expansion, carry: Carry) -> Carry:
    source = state.cascade.input(carry.name)
    assert source is not None, f"no input {carry.name}"
    item = tidy(state, expanded(state, Site(carry.name, source.indices, carry.span), carry.value))
    value = Choose(conjunction(item.when), item.value, ABSENT[source.type]) if item.when else item.value
    return replace(carry, value=value)
