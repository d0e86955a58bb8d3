"""What is known of an attention at a glance: family, patterns, passes, and the plans that serve it; all computed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from attnc.diagnostics import AttnError
from attnc.ir.cascade import Cascade, Map, Order, Read, Reduce, Softmax
from attnc.ir.indices import free_indices
from attnc.ir.stage import Stream
from attnc.ir.walk import walk
from attnc.library import Spec
from attnc.runtime.attention import Attention
from attnc.runtime.program import Program

MACHINES = {"cpu": "cpu", "gpu": "sm_90"}
EXTENT = 16  # of what is compiled in; no plan depends on it


@dataclass(frozen=True)
class Entry:
    """One attention: where it comes from, what it is, and how it runs."""

    name: str
    summary: str
    paper: str
    family: str
    patterns: tuple[str, ...]
    passes: dict[str, int]
    plans: dict[str, tuple[str, ...]]


def entry(spec: Spec) -> Entry:
    """The entry of an attention; options without a default are 2."""
    attention = Attention(spec, lazy=True)
    program = attention.program(dict.fromkeys(attention.signature.needed, 2))
    doc = (attention.signature.doc or "").strip()
    return Entry(
        name=attention.signature.name,
        summary=doc.split("\n")[0],
        paper=next(iter(re.findall(r"\(([^()]*?, \d{4})\b", doc)), ""),
        family=family(program.stated),
        patterns=tuple(dict.fromkeys(_patterns(program))) or ("full",),
        passes=_passes(program),
        plans={machine: _plans(program, target) for machine, target in MACHINES.items()},
    )


def family(cascade: Cascade) -> str:
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


def _patterns(program: Program) -> Iterator[str]:
    """What the solved masks and subscripts show."""
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


def _passes(program: Program) -> dict[str, int]:
    """The derived passes over what is streamed, or over every index read more than once."""
    from attnc.compiler import expanded
    from attnc.passes.bound import passes

    streamed = {stage.stream for stage in program.streams}
    found = passes(program.explicit, program.plan, expanded(program.stated))
    return {index: row.derived for index, row in found.items() if index in streamed or row.derived > 1}


def _plans(program: Program, target: str) -> tuple[str, ...]:
    """The plans of its stages on a machine; a stream that no kernel can be written for is named by its error."""
    from attnc.runtime.kernels import kernels

    plans: dict[str, None] = {}
    for stage in program.plan.stages:
        if isinstance(stage, Stream):
            plans["stream"] = None
        else:
            plans["heavy host" if stage.heavy else "host"] = None
    shape = {index: EXTENT for stage in program.streams for index in program.needs[stage.name].compiled_in}
    try:
        kernels(program, target, "bf16" if target != "cpu" else "fp32", shape)
    except AttnError as mistake:
        plans[mistake.code] = None
    return tuple(plans)
