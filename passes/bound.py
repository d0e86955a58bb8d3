"""Lower bounds on passes, by grade: of the cascade as written, of its rewrites, of the function."""

from __future__ import annotations

from dataclasses import dataclass

from attnc.diagnostics import error
from attnc.ir.cascade import Cascade, Read, Reduce
from attnc.ir.indices import free_indices
from attnc.ir.stage import Host, Plan, Stream
from attnc.ir.walk import walk
from attnc.passes.count import count
from attnc.source import NOWHERE


@dataclass(frozen=True)
class Passes:
    """The passes over one index: as written, as planned, and bounds with their grade and reason.

    `cascade` holds for these statements, whatever the mapping; `rewrite` for every form within the algebra of
    the derivation; `function` for any algorithm with a state of bounded size, by a structural certificate.
    """

    as_written: int
    derived: int
    cascade: int
    rewrite: int
    function: int
    certificate: str


def passes(cascade: Cascade, plan: Plan) -> dict[str, Passes]:
    """The passes over every index of an explicit cascade under a plan."""
    found = {}
    for index, counted in count(cascade).items():
        streams = sum(stage.stream == index for stage in plan.stages if isinstance(stage, Stream))
        heavy = any(
            isinstance(stage, Host) and stage.heavy and _touches(cascade, stage, index) for stage in plan.stages
        )
        derived = counted.as_written if heavy or not streams else streams
        certificate = _certificate(cascade, index)
        least = 2 if certificate else min(1, counted.as_written)
        found[index] = Passes(counted.as_written, derived, counted.as_written, derived, least, certificate)
    return found


def check_limits(cascade: Cascade, plan: Plan) -> None:
    """Every `require passes[index] <= limit` holds of the derived count; error A301 with what is in the way."""
    found = passes(cascade, plan) if cascade.limits else {}
    for limit in cascade.limits:
        row = found.get(limit.index)
        if row is None or row.derived <= limit.limit:
            continue
        clashes = [(item.span, f"{item.code}: {item.reason}") for item in plan.refusals if item.span != NOWHERE]
        what = f"the derivation needs {row.derived} passes over `{limit.index}`, and {limit.limit} are allowed"
        helps = (f"allow {row.derived}, or change what the marked statements need",)
        raise error("A301", what, limit.span, "required here", clashes=clashes, helps=helps)


def _touches(cascade: Cascade, stage: Host, index: str) -> bool:
    for name in stage.tensors:
        tensor = cascade.tensor(name)
        assert tensor is not None
        for part in tensor.parts:
            bound = {item for node in walk(part.value) if isinstance(node, Reduce) for item in node.over}
            if index in part.indices or index in bound:
                return True
    return False


def _certificate(cascade: Cascade, index: str) -> str:
    """Why no algorithm with a bounded state reads the stream once: an output along it waits for all of it."""
    for name in cascade.outputs:
        tensor = cascade.tensor(name)
        if tensor is None or not any(index in part.indices for part in tensor.parts):
            continue
        if _waits(cascade, name, index, frozenset()):
            return f"output `{name}` has a value for each {index} and needs a completed reduction over {index}"
    return ""


def _waits(cascade: Cascade, name: str, index: str, seen: frozenset[str]) -> bool:
    tensor = cascade.tensor(name)
    if tensor is None or name in seen:
        return False
    for part in tensor.parts:
        for node in walk(part):
            if isinstance(node, Read):
                below = cascade.tensor(node.tensor)
                if below is not None and index not in free_indices(node) and _reduces(below.parts[0].value, index):
                    return True
                if below is not None and _waits(cascade, node.tensor, index, seen | {name}):
                    return True
    return False


def _reduces(value: object, index: str) -> bool:
    return isinstance(value, Reduce) and index in value.over
