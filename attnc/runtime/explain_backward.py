"""What the backward of a program does: passes, stages, and what is held for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from attnc.ir.adjoint import Adjoint
from attnc.ir.stage import Host, Stage, Stream
from attnc.runtime.gradients import Gradients, backward_for
from attnc.runtime.program import Program
from attnc.runtime.types import rounding_shows


def whole_backward(program: Program, given: Mapping[str, torch.dtype] | None = None) -> Gradients:
    """The backward for every real input from every real output, for inputs `given` in some types or all of one."""
    wanted = tuple(sorted(item.name for item in program.explicit.inputs if item.type == "real"))
    precise = rounding_shows(program, given or {}, [name for name in wanted if name in (given or {})])
    return backward_for(program, wanted, precise=precise)


def backward_facts(program: Program, given: Mapping[str, torch.dtype] | None = None) -> dict[str, Any]:
    """The facts of the whole backward, for inputs in these types.

    `passes` counts for each index that is streamed in how many passes; `saved` are the tensors that are held from
    the forward, `kept` those of them that it emits for that, `again` the host stages that run again instead.
    """
    gradients = whole_backward(program, given)
    backward = gradients.backward
    slow = {stage.name for stage in program.plan.stages if isinstance(stage, Stream) or stage.heavy}
    stages = [row for step, own in gradients.steps for row in _stages(step, own, heavy=step.stage in slow)]
    return {
        "gradients": sorted(gradients.reached),
        "passes": _passes(gradients),
        "stages": stages,
        "saved": list(backward.saved),
        "kept": [item.tensor for _, items in backward.kept for item in items],
        "again": list(backward.again),
    }


def _stages(step: Adjoint, program: Program | None, *, heavy: bool) -> list[dict[str, Any]]:
    if program is None:
        gives = [own for _, own in step.gradients]
        return [{"name": f"d{step.stage}", "plan": "host", "stream": None, "gives": gives, "heavy": heavy}]
    return [_row(stage) for stage in program.plan.stages]


def _row(stage: Stage) -> dict[str, Any]:
    row: dict[str, Any] = {"name": stage.name, "plan": "host", "stream": None}
    if isinstance(stage, Host):
        return row | {"gives": list(stage.tensors), "heavy": stage.heavy}
    gives = [finish.tensor for finish in stage.monoid.finishes]
    return row | {"plan": "stream", "stream": stage.stream, "gives": gives, "heavy": False}


def _passes(gradients: Gradients) -> dict[str, int]:
    """How often each streamed index is walked, over all steps."""
    from attnc.passes.families import Shapes
    from attnc.passes.planned_passes import planned_passes

    found: dict[str, int] = {}
    for _, program in gradients.steps:
        streams = [stage for stage in program.plan.stages if isinstance(stage, Stream)] if program else []
        for index in dict.fromkeys(stage.stream for stage in streams if stage.stream is not None):
            assert program is not None
            times = planned_passes(Shapes(program.explicit), program.plan, index)
            found[index] = found.get(index, 0) + times
    return found


def backward_text(facts: dict[str, Any]) -> str:
    """The facts of the backward as text."""
    found = facts["backward"]
    if not found["stages"]:
        return ""
    counts = ", ".join(f"{index} {times}" for index, times in found["passes"].items())
    lines = [f"backward of {', '.join(found['gradients'])}", f"  passes: {counts or 'none'}"]
    for stage in found["stages"]:
        over = f" over {stage['stream']}" if stage["stream"] else ""
        weight = " (heavy: a slower path)" if stage["heavy"] else ""
        lines.append(f"  {stage['name']}: {stage['plan']}{over}{weight}, gives {', '.join(stage['gives'])}")
    kept = [f"{name} (emitted for it)" if name in found["kept"] else name for name in found["saved"]]
    lines.append(f"  held from the forward: {', '.join(kept) or 'nothing'}")
    lines += [f"  run again: {', '.join(found['again'])}"] if found["again"] else []
    return "\n".join(lines)
