"""What the passes found and what would run, as one record for programs and as text for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from attnc.ir.node import Node
from attnc.ir.stage import Host, Refusal, Stage, Stream
from attnc.ir.target import Target
from attnc.runtime.explain_backward import backward_facts
from attnc.runtime.explain_cost import Costs
from attnc.runtime.explain_masks import Masks
from attnc.runtime.explain_state import state_of
from attnc.runtime.packing import packing
from attnc.runtime.program import Program
from attnc.runtime.types import DTYPES, value_types

if TYPE_CHECKING:
    from attnc.passes.pack import Packed
    from attnc.passes.tiles import Tiles
    from attnc.runtime.streams import StageRun


@dataclass(frozen=True)
class Explanation:
    """The facts of one attention; `str` of it is the text, `facts` the record that `--json` prints."""

    facts: dict[str, Any]

    def __str__(self) -> str:
        from attnc.runtime.explain_text import text

        return text(self.facts)

    def json(self) -> str:
        """The record as JSON."""
        return json.dumps(self.facts)


@dataclass(frozen=True)
class Setting:
    """What an explanation is for: extents, the types of the inputs, the machine, and what has run there."""

    shape: Mapping[str, int]
    types: Mapping[str, torch.dtype]
    target: Target
    ran: Sequence[StageRun] = field(default=())


def explain(program: Program, setting: Setting) -> Explanation:
    """The facts of a program in a setting; what needs extents that are not given is None."""
    chosen = {stage.name: _tiles(stage, program, setting) for stage in program.streams}
    spans = {stage.name: _spans(stage, program, setting, chosen[stage.name]) for stage in program.streams}
    masks = Masks(program.explicit, setting.shape, chosen)
    costs = Costs(program, setting.shape, value_types(program, setting.types), chosen, spans, masks)
    facts = {
        "attention": program.explicit.name,
        "target": setting.target.name,
        "passes": _passes(program),
        "monoids": [state_of(stage, program.explicit) for stage in program.streams],
        "refusals": [_refusal(item) for item in program.plan.refusals],
        "stages": [
            _stage(stage, setting.target, chosen.get(stage.name))
            | _cut(stage, program, spans)
            | _packed(stage, program, setting)
            for stage in program.plan.stages
        ],
        "masks": [row for stage in program.streams for row in masks.rows(stage)],
        "bytes": {"compulsory": costs.compulsory(), "moved": costs.moved(), "peak": costs.peak()},
        "flops": costs.flops(),
        "backward": backward_facts(program, setting.types),
        "shape": dict(setting.shape),
        "dtypes": {name: str(kind).removeprefix("torch.") for name, kind in setting.types.items()},
        "ran": [_ran(run) for run in setting.ran],
    }
    return Explanation(facts)


def _passes(program: Program) -> dict[str, Any]:
    from attnc.compiler import expanded
    from attnc.passes.bound import passes

    counted = passes(program.explicit, program.plan, expanded(program.stated))
    return {index: _counts(found) for index, found in counted.items()}


def _counts(found: Any) -> dict[str, Any]:
    grades = {"cascade": found.cascade, "rewrite": found.rewrite, "function": found.function}
    row = {"as_written": found.as_written, "derived": found.derived, "optimal": found.optimal}
    row["bounds"] = {name: bound.passes for name, bound in grades.items()}
    row["reasons"] = {name: bound.reason for name, bound in grades.items()}
    return {**row, "certificate": found.function.reason} if found.function.passes > 1 else row


def _refusal(item: Refusal) -> dict[str, Any]:
    return {"code": item.code, "reason": item.reason, "spans": [_place(item), _place(item.clash)], "help": item.help}


def _place(node: Node) -> dict[str, Any]:
    span = node.span
    if not span.source.text:
        return {"line": None, "column": None, "text": ""}
    return {"line": span.line, "column": span.column, "text": span.text}


def _stage(stage: Stage, target: Target, tiles: Tiles | None) -> dict[str, Any]:
    row: dict[str, Any] = {"name": stage.name, "plan": "host", "backend": "torch", "heavy": False, "refusal": None}
    row |= {"tiles": None, "footprint": None}
    if isinstance(stage, Host):
        return row | {"heavy": stage.heavy, "refusal": stage.refusal.code if stage.refusal else None}
    row |= {"plan": "stream", "backend": "cpp" if target.kind == "cpu" else "triton"}
    row |= {"stream": stage.stream, "parallel": stage.parallel, "columns": stage.columns, "grid": list(stage.grid)}
    if tiles is None:
        return row
    second = "columns" if stage.columns else "stream"
    sizes = {"parallel": tiles.parallel} | ({second: tiles.stream} if stage.columns or stage.stream else {})
    return row | {"tiles": sizes, "footprint": tiles.footprint, "choice": list(tiles.lines)}


def _cut(stage: Stage, program: Program, spans: Mapping[str, int]) -> dict[str, Any]:
    """A stream that is cut into spans, with the names of its two kernels."""
    if spans.get(stage.name, 1) == 1:
        return {}
    cut = program.splits[stage.name]
    return {"plan": "split", "spans": spans[stage.name], "kernels": [cut.spans.name, cut.merge.name]}


def _packed(stage: Stage, program: Program, setting: Setting) -> dict[str, Any]:
    """How many heads share their keys, where they are rows of one tile."""
    found = _packing(stage, program, setting)
    return {} if found is None else {"packed": found[2]}


def _packing(stage: Stage, program: Program, setting: Setting) -> tuple[Packed, Program, int] | None:
    if not isinstance(stage, Stream) or not program.cuttings[stage.name].known(setting.shape):
        return None
    return packing(program, stage, setting.shape, setting.target)


def _spans(stage: Stream, program: Program, setting: Setting, tiles: Tiles | None) -> int:
    """How many spans the stream is cut into; 1 where extents are missing."""
    packed = _packing(stage, program, setting)
    cutting = program.cuttings[stage.name] if packed is None else packed[1].cuttings[packed[0].stream.name]
    if tiles is None or not cutting.known(setting.shape):
        return 1
    spans = cutting.spans(setting.shape, setting.target)
    return cutting.lengths(setting.shape, spans, tiles.stream)[0] if spans > 1 else 1


def _tiles(stage: Stream, program: Program, setting: Setting) -> Tiles | None:
    from attnc.passes.tiles import choose_tiles

    needed = program.needs[stage.name].compiled_in
    if any(index not in setting.shape for index in needed):
        return None
    types = value_types(program, setting.types)
    dtypes = {name: DTYPES[kind] for name, kind in types.items()}
    cutting = program.cuttings[stage.name]
    place = (
        cutting.place(setting.shape, setting.target.for_plain_calls) if cutting.known(setting.shape) else setting.target
    )
    return choose_tiles(stage, program.explicit, place, dtypes, {index: setting.shape[index] for index in needed})


def _ran(run: StageRun) -> dict[str, Any]:
    row: dict[str, Any] = {"name": run.name, "plan": run.plan, "backend": run.backend, "kernel": run.kernel}
    row |= {"compiled_now": run.compiled_now, "refusal": run.refusal}
    row |= {"packed": run.packed} if run.packed > 1 else {}
    return row | ({"spans": run.spans, "merge": run.merge} if run.merge else {})
