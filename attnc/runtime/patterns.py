"""What an attention is at a glance: how its weights come about, and what its masks and subscripts show."""

from __future__ import annotations

from collections.abc import Iterator

from attnc.ir.cascade import Cascade, Map, Order, Read, Reduce, Softmax
from attnc.ir.indices import free_indices
from attnc.ir.stage import Stream
from attnc.ir.walk import walk
from attnc.runtime.program import Program


def weights(cascade: Cascade) -> str:
    """How weights come about: by selection, recurrence, a normaliser, a function of each score, or as scores."""
    nodes = [node for tensor in cascade.tensors for node in walk(tensor)]
    if any(isinstance(node, Order) for node in nodes):
        return "selected"
    if any(step.axes for step in cascade.steps):
        return "recurrent"
    if any(isinstance(node, Softmax) or (isinstance(node, Reduce) and node.op == "logsumexp") for node in nodes):
        return "softmax"
    maps = {node.op for node in nodes if isinstance(node, Map)}
    if maps & {"exp", "exp2"}:
        return "exponential"
    return "normaliser-free" if maps & {"sigmoid", "tanh", "relu", "silu", "gelu", "softplus"} else "linear"


def patterns(program: Program) -> tuple[str, ...]:
    """What the solved masks and subscripts show; `full` where they show nothing."""
    return tuple(dict.fromkeys(_patterns(program))) or ("full",)


def _patterns(program: Program) -> Iterator[str]:
    from attnc.passes.areas import conditions, walked

    for stage in program.streams:
        for number in range(len(stage.monoid.segments)):
            if walked(stage, number) is None:
                yield from ("virtual keys",) if stage.stream is not None else ()
                continue
            solved = conditions(stage, number, program.explicit)
            moving = {bound.lower for bound in solved.bounds if stage.parallel in free_indices(bound.value)}
            yield from (word for lower, word in ((False, "causal"), (True, "window")) if lower in moving)
            if any(isinstance(node, Read) for test in solved.opaque for node in walk(test)):
                yield "by data"
            elif solved.opaque:
                yield "by position"
        if _shares_heads(stage):
            yield "shared heads"


def _shares_heads(stage: Stream) -> bool:
    reads = (node for node in walk(stage.monoid) if isinstance(node, Read))
    divided = (sub for read in reads for sub in read.subs if isinstance(sub, Map) and sub.op == "floordiv")
    return any(free_indices(sub) & set(stage.grid) for sub in divided)
