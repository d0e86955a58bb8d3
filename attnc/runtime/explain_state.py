"""The running state of a streamed stage as a record: what is kept, how it starts, merges and ends."""

from __future__ import annotations

from typing import Any

from attnc.ir.cascade import Cascade
from attnc.ir.print_cascade import sizes_of
from attnc.ir.print_expression import Sizes, show
from attnc.ir.stage import Accumulator, Gauge, Stream

IDENTITY = {"sum": 0, "prod": 1, "max": "-inf", "mean": "unset", "min": "inf", "any": False, "all": True}


def state_of(stage: Stream, cascade: Cascade) -> dict[str, Any]:
    """The monoid of a stage: its components, identity, merge and outputs."""
    sizes, monoid = sizes_of(cascade), stage.monoid
    return {
        "stage": stage.name,
        "state": [_component(item, sizes) for item in monoid.parts],
        "init": {item.name: IDENTITY[item.op] for item in monoid.parts},
        "merge": {item.name: _merge(item, sizes) for item in monoid.parts},
        "finalise": {item.tensor: show(item.value, sizes) for item in monoid.finishes},
        "commutative": True,  # every operator of a streamed stage is
    }


def _component(item: Gauge | Accumulator, sizes: Sizes) -> dict[str, Any]:
    row: dict[str, Any] = {"name": item.name, "op": item.op, "axes": list(item.axes)}
    row |= (
        {"reference": True, "pure": item.pure} if isinstance(item, Gauge) else {"reference": False, "gauge": item.gauge}
    )
    return row | {"of": [show(lift.body, sizes) for lift in item.lifts]}


def _merge(item: Gauge | Accumulator, sizes: Sizes) -> str:
    if isinstance(item, Gauge):
        return "max of both" if item.op == "max" else "either one"
    kept = " + ".join(f"{show(coef, sizes)} * {other}" for coef, other in item.keep)
    return f"{item.op} of both sides" + (f", each corrected to {kept}" if kept else "")
