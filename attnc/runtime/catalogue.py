"""What is known of each entry of the library: a file of a family, or an attention of the modules beside them.

All of it is computed from the spec, but for what its docstring says: paper, sentence, confidence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from attnc.diagnostics import AttnError
from attnc.grammar.read import read
from attnc.ir.cascade import Range, Size
from attnc.ir.sizes import whole
from attnc.ir.stage import Host, Stage
from attnc.ir.walk import walk
from attnc.library import Spec, standard_attentions, standard_folder
from attnc.runtime.attention import Attention
from attnc.runtime.explain_backward import backward_facts, whole_backward
from attnc.runtime.patterns import patterns, weights
from attnc.runtime.program import Program

MACHINES = {"cpp": "cpu", "triton": "sm_90"}
EXTENT = 16  # of what is compiled in; no plan depends on it


@dataclass(frozen=True)
class StageRow:
    """A stage: its plan, the backends that have a kernel for it, whether it is a slower path, and why."""

    name: str
    plan: str
    backend: str
    heavy: bool
    refusal: str | None


@dataclass(frozen=True)
class Entry:
    """One entry: where it comes from, what it is, and how the attention `name` runs.

    `passes` are told for each streamed index as written, as derived, and the least that any way needs. `fused` is
    whether no slower path is in it and every machine has kernels; `refusals` are the codes of why it is not.
    """

    paper: str
    slug: str
    family: str
    name: str
    attentions: tuple[str, ...]
    summary: str
    confidence: str
    weights: str
    patterns: tuple[str, ...]
    passes: Mapping[str, Mapping[str, int]]
    stages: tuple[StageRow, ...]
    fused: Mapping[str, bool]
    refusals: tuple[str, ...]


def listed() -> list[tuple[Path, tuple[str, ...]]]:
    """The files and attentions of every entry: a whole file of a family, each attention of a module by itself."""
    names = standard_attentions()
    files = dict.fromkeys(sorted(names.values(), key=lambda file: (file.parent != standard_folder(), file)))
    every = [(file, tuple(name for name, home in names.items() if home == file)) for file in files]
    alone = [(file, (name,)) for file, own in every if file.parent == standard_folder() for name in own]
    return [*alone, *(row for row in every if row[0].parent != standard_folder())]


def entry_of(file: Path, names: tuple[str, ...]) -> Entry:
    """The entry of a file of the library; its main attention is the last."""
    text = read(file)
    doc = "".join(re.findall(r'^"""(.*?)"""', text.text, re.DOTALL)[:1]) if file.parent != standard_folder() else ""
    return entry(Spec(text, names[-1], standard_folder()), file.stem, family_of(file), names, doc)


def family_of(file: Path) -> str:
    """The folder of a file, or the module that it is."""
    return (file.stem if file.parent == standard_folder() else file.parent.name).replace("_", "-")


def entry(spec: Spec, slug: str, family: str, names: tuple[str, ...] = (), doc: str = "") -> Entry:
    """The entry of an attention; options without a default are 2."""
    attention = Attention(spec, lazy=True)
    program = attention.program(dict.fromkeys(attention.signature.needed, 2))
    doc = (doc or attention.signature.doc or "").strip()
    without = {machine: code for machine, target in MACHINES.items() if (code := _refused(program, target))}
    forward = not program.heavy and not without
    slow = [stage["name"] for stage in backward_facts(program)["stages"] if stage["heavy"]]
    backward = not slow and not any(_refused(program, target, backward=True) for target in MACHINES.values())
    return Entry(
        paper=_line(doc, "Paper") or next(iter(re.findall(r"\(([^()]*?, \d{4})\b", doc)), ""),
        slug=slug,
        family=family,
        name=attention.signature.name,
        attentions=names or (attention.signature.name,),
        summary=doc.split("\n")[0],
        confidence=_line(doc, "Confidence") or "high",
        weights=weights(program.stated),
        patterns=patterns(program),
        passes=_passes(program),
        stages=tuple(_stage(stage, without) for stage in program.plan.stages),
        fused={"forward": forward, "backward": backward},
        refusals=_codes(program, without),
    )


def _line(doc: str, word: str) -> str:
    found = re.search(rf"^\s*{word}: (.*)$", doc, re.MULTILINE)
    return found[1] if found else ""


def _stage(stage: Stage, without: Mapping[str, str]) -> StageRow:
    if isinstance(stage, Host):
        return StageRow(stage.name, "host", "torch", stage.heavy, stage.refusal.code if stage.refusal else None)
    backend = ", ".join(machine for machine in MACHINES if machine not in without)
    return StageRow(stage.name, "stream", backend or "none", False, next(iter(without.values()), None))


def _codes(program: Program, without: Mapping[str, str]) -> tuple[str, ...]:
    """Why the forward is not one fused pass: refusals of the plan, errors of a machine, heavy steps of the backward."""
    slow = (step.refusal.code for step in _backward_hosts(program) if step.refusal)
    own = (item.code for item in program.plan.refusals)
    return tuple(dict.fromkeys((*own, *without.values(), *slow)))


def _backward_hosts(program: Program) -> list[Host]:
    stages = [stage for _, own in whole_backward(program).steps if own is not None for stage in own.plan.stages]
    return [stage for stage in stages if isinstance(stage, Host) and stage.heavy]


def _passes(program: Program) -> dict[str, dict[str, int]]:
    """The passes over what is streamed; where nothing is, over every index read more than once."""
    from attnc.compiler import expanded
    from attnc.passes.bound import passes

    streamed = {stage.stream for stage in program.streams}
    found = passes(program.explicit, program.plan, expanded(program.stated))
    kept = {index: row for index, row in found.items() if (index in streamed if streamed else row.derived > 1)}
    return {
        index: {"written": row.as_written, "derived": row.derived, "bound": row.function.passes}
        for index, row in kept.items()
    }


def _refused(program: Program, target: str, backward: bool = False) -> str:
    """The code of the error that a machine's kernels run into, if there is one."""
    from attnc.runtime.kernels import backward_kernels, kernels

    cascades = [program.explicit, *(own.explicit for _, own in whole_backward(program).steps if own is not None)]
    shape = {item.index: _extent(item) for cascade in cascades for item in cascade.ranges}
    try:
        (backward_kernels if backward else kernels)(program, target, "fp32" if target == "cpu" else "bf16", shape)
    except AttnError as mistake:
        return mistake.code
    return ""


def _extent(item: Range) -> int:
    """The extent that the spec says, or any."""
    if any(isinstance(node, Size) for node in walk(item)):
        return EXTENT
    return whole(item.hi, {}) - whole(item.lo, {})
