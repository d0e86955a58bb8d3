"""The maxima that values are only taken relative to: with them held, outputs change as they do."""

from __future__ import annotations

from collections.abc import Iterator

from attnc.ir.cascade import Cascade, Reduce
from attnc.ir.stage import Gauge, Host, Monoid, Plan, Stream
from attnc.ir.walk import walk
from attnc.passes.derive.probe import depends
from attnc.passes.differentiate.held import held, is_maximum, stopped


def references(cascade: Cascade, plan: Plan) -> frozenset[str]:
    """The tensors that are such maxima.

    Before   A_max = max[n](S);  A_exp = exp(shift(S, A_max));  A_sum = sum[n](A_exp);  A = A_exp / A_sum
    After    A_max
    Holds    because a plan keeps it as a reference by which no output changes, or does without it.
    """
    streams = [stage.monoid for stage in plan.stages if isinstance(stage, Stream)]
    gauges = [(gauge, _shows(monoid, gauge)) for monoid in streams for gauge in monoid.gauges if gauge.op == "max"]
    shown = {gauge.name for gauge, shows in gauges if shows}
    found = {gauge.name for gauge, _ in gauges} - shown
    if not shown and not any(isinstance(stage, Host) or _takes_maxima(stage.monoid) for stage in plan.stages):
        found |= {tensor.name for tensor in cascade.tensors if is_maximum(tensor)}
    return frozenset(found) - stopped(cascade) | frozenset(held(cascade, cascade.outputs))


def _shows(monoid: Monoid, gauge: Gauge) -> bool:
    return any(depends(monoid, finish, gauge) for finish in monoid.finishes)


def _takes_maxima(monoid: Monoid) -> bool:
    """Whether a stage takes an extremum but as a reference."""
    return any(op in ("max", "min") for op in _folds(monoid))


def _folds(monoid: Monoid) -> Iterator[str]:
    for part in (*monoid.accumulators, *monoid.finishes):
        yield from (node.op for node in walk(part) if isinstance(node, Reduce))
    yield from (item.op for item in monoid.accumulators)
