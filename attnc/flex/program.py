"""FlexAttention as an attention of attnc: its cascade with the rules of two callables in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from attnc.flex.rules import SCORE, Rules
from attnc.ir import syntax as syn
from attnc.ir.node import Node
from attnc.ir.walk import bottom_up
from attnc.library import Spec
from attnc.runtime.attention import Attention
from attnc.runtime.build import announce
from attnc.source import NOWHERE
from attnc.trace import logsumexp, require, softmax, sqrt
from attnc.trace import max as largest
from attnc.trace.printed import Printed
from attnc.trace.recording import Recording, recording
from attnc.trace.tensors import index, tensor
from attnc.trace.values import Value
from attnc.trace.written import with_capitals

NAME = "flex_attention"


@dataclass(frozen=True)
class Form:
    """What else of a call is compiled in: the scale, whether heads share keys, and what is given out of each row."""

    rules: Rules
    scale: float | None
    shared: bool
    lse: bool = False
    top: bool = False

    @property
    def outputs(self) -> tuple[str, ...]:
        """The output, the row's logsumexp and its largest score, as far as they are asked for."""
        return ("O", *(["L"] if self.lse else []), *(["T"] if self.top else []))


@lru_cache(maxsize=256)
def attention_of(form: Form) -> Attention:
    """The attention of a form; the same for all lengths."""
    _watch(form)
    program = Recording(NAME, {"Q", "K", "V", *(item.name for item in form.rules.params)})
    with recording(program):
        _written(form)
    attention = syn.Attention(
        NAME,
        (*_inputs(form), *form.rules.params),
        (),
        form.outputs,
        (*form.rules.requires, *program.statements),
    )
    file = syn.File((), (with_capitals(attention, program.taken),), span=NOWHERE)
    return Attention(Spec(Printed(NAME, file), NAME, None))


_FORMS: Counter[Rules] = Counter()
_MANY = 16


def _watch(form: Form) -> None:
    """Says once that numbers of the callables change, where each change compiles anew."""
    plain = Rules(
        bottom_up(form.rules.score, _no_number),
        tuple(bottom_up(test, _no_number) for test in form.rules.tests),
        form.rules.params,
        form.rules.requires,
    )
    _FORMS[plain] += 1
    if _FORMS[plain] == _MANY:
        announce(
            f"attnc: the same callables of `flex_attention` are compiled for the {_MANY}th time, since numbers in them "
            "change; a tensor that they capture may change freely"
        )


def _no_number(node: Node) -> Node | None:
    return syn.Number(0) if isinstance(node, syn.Number) else None


def _inputs(form: Form) -> tuple[syn.Param, ...]:
    head = "g" if form.shared else "h"
    axes = {"Q": "bhme", "K": f"b{head}ne", "V": f"b{head}nf"}
    return tuple(syn.Param(name, tuple(own)) for name, own in axes.items())


def _written(form: Form) -> None:
    """The statements; a mask is where scores exist, and a row without any gives 0."""
    b, g, h, m, n, e, f = index("b g h m n e f")
    query, key, value, score, changed, weight, out, lse, top = tensor("Q K V S Z A O L T")
    if form.shared:
        require((h.extent % g.extent == 0) & (g.extent >= 1))
        shared = h // (h.extent // g.extent)
        key, value = key[b, shared, n, e], value[b, shared, n, f]
    product = query * key
    score[b, h, m, n] = product / sqrt(e.extent) if form.scale is None else product * form.scale
    seen = _masked(form, score)
    if form.rules.score != SCORE or len(form.outputs) > 1:
        changed[b, h, m, n] = seen
        seen = changed
    weight[b, h, m, n] = softmax(seen, over=n)
    out[b, h, m, f] = weight * value
    if form.lse:
        lse[b, h, m] = logsumexp(seen, over=n)
    if form.top:
        top[b, h, m] = largest(seen, over=n)


def _masked(form: Form, score: Value) -> Value:
    found = score if form.rules.score == SCORE else Value(form.rules.score, "real")
    tests = [Value(test, "bool") for test in form.rules.tests]
    if not tests:
        return found
    every = tests[0]
    for test in tests[1:]:
        every = every & test
    return found.where(every)
