"""What the passes found and what would run, as one record for programs and as text for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attnc.ir.cascade import Cascade, Expr, Read, Reduce
from attnc.ir.node import Node
from attnc.ir.print_cascade import sizes_of
from attnc.ir.print_expression import show
from attnc.ir.sizes import evaluate
from attnc.ir.stage import Host, Monoid, Refusal, Stage, Stream
from attnc.ir.target import find_target
from attnc.ir.walk import walk
from attnc.runtime.build import compiled_in
from attnc.runtime.program import Program


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


def explain(program: Program, shape: Mapping[str, int]) -> Explanation:
    """The facts of a program, at the extents that are given."""
    from attnc.compiler import expanded
    from attnc.passes.bound import passes

    cascade = program.explicit
    counted = passes(cascade, program.plan, expanded(program.stated))
    facts = {
        "attention": cascade.name,
        "passes": {index: _passes(found) for index, found in counted.items()},
        "monoids": [_monoid(stage.name, stage.monoid, cascade) for stage in program.streams],
        "refusals": [_refusal(item) for item in program.plan.refusals],
        "stages": [_stage(stage, program, shape) for stage in program.plan.stages],
        "masks": [row for stage in program.streams for row in _masks(stage, program, shape)],
        "bytes": _bytes(program, shape),
        "flops": _flops(program, shape),
        "shape": dict(shape),
    }
    return Explanation(facts)


def _passes(found: Any) -> dict[str, Any]:
    grades = {"cascade": found.cascade, "rewrite": found.rewrite, "function": found.function}
    row = {"as_written": found.as_written, "derived": found.derived, "optimal": found.optimal}
    row["bounds"] = {name: bound.passes for name, bound in grades.items()}
    row["reasons"] = {name: bound.reason for name, bound in grades.items()}
    return {**row, "certificate": found.function.reason} if found.function.passes > 1 else row


def _monoid(name: str, monoid: Monoid, cascade: Cascade) -> dict[str, Any]:
    sizes = sizes_of(cascade)
    state: list[dict[str, Any]] = [
        {
            "name": item.name,
            "op": item.op,
            "axes": list(item.axes),
            "reference": True,
            "pure": item.pure,
            "of": [show(lift.body, sizes) for lift in item.lifts],
        }
        for item in monoid.gauges
    ]
    state += [
        {
            "name": item.name,
            "op": item.op,
            "axes": list(item.axes),
            "reference": False,
            "gauge": item.gauge,
            "of": [show(lift.body, sizes) for lift in item.lifts],
        }
        for item in monoid.accumulators
    ]
    identity = {"sum": 0, "prod": 1, "max": "-inf", "mean": "unset", "min": "inf", "any": False, "all": True}
    init = {item["name"]: identity[item["op"]] for item in state}
    merge = {item.name: f"{item.op} of both" if item.op == "max" else "either one" for item in monoid.gauges}
    for item in monoid.accumulators:
        kept = " + ".join(f"{show(coef, sizes)} * {other}" for coef, other in item.keep) or item.name
        merge[item.name] = (
            f"{item.op} of both sides, each corrected to {kept}" if item.keep else f"{item.op} of both sides"
        )
    finalise = {item.tensor: show(item.value, sizes) for item in monoid.finishes}
    return {"stage": name, "state": state, "init": init, "merge": merge, "finalise": finalise, "commutative": True}


def _refusal(item: Refusal) -> dict[str, Any]:
    return {"code": item.code, "reason": item.reason, "spans": [_place(item), _place(item.clash)], "help": item.help}


def _place(node: Node) -> dict[str, Any]:
    span = node.span
    if not span.source.text:
        return {"line": None, "column": None, "text": ""}
    return {"line": span.line, "column": span.column, "text": span.text}


def _stage(stage: Stage, program: Program, shape: Mapping[str, int]) -> dict[str, Any]:
    if isinstance(stage, Host):
        code = stage.refusal.code if stage.refusal else None
        return {
            "name": stage.name,
            "plan": "host",
            "backend": "torch",
            "heavy": stage.heavy,
            "refusal": code,
            "tiles": None,
            "footprint": None,
        }
    tiles = _tiles(stage, program, shape)
    row: dict[str, Any] = {"name": stage.name, "plan": "stream", "backend": "cpp", "heavy": False, "refusal": None}
    row |= {"stream": stage.stream, "parallel": stage.parallel, "grid": list(stage.grid)}
    if tiles is None:
        return {**row, "tiles": None, "footprint": None}
    return {
        **row,
        "tiles": {"parallel": tiles.parallel, "stream": tiles.stream},
        "footprint": tiles.footprint,
        "choice": list(tiles.lines),
    }


def _tiles(stage: Stream, program: Program, shape: Mapping[str, int]) -> Any:
    from attnc.passes.tiles import choose_tiles

    needed = compiled_in(stage, program.explicit)
    if any(index not in shape for index in needed):
        return None
    extents = {index: shape[index] for index in needed}
    return choose_tiles(stage, program.explicit, find_target("cpu"), {}, extents)


def _masks(stage: Stream, program: Program, shape: Mapping[str, int]) -> list[dict[str, Any]]:
    from attnc.passes.areas import area, conditions

    cascade = program.explicit
    sizes, rows, tiles = sizes_of(cascade), [], _tiles(stage, program, shape)
    for number, segment in enumerate(stage.monoid.segments):
        if segment.index is None:
            continue
        solved = conditions(stage, number)
        bounds = [f"{segment.index} {'>=' if b.lower else '<'} {show(b.value, sizes)}" for b in solved.bounds]
        row: dict[str, Any] = {"stage": stage.name, "index": segment.index, "bounds": bounds}
        row["tested"] = [show(test, sizes) for test in solved.opaque]
        if tiles is not None and _known(cascade, stage, shape):
            found = area(stage, cascade, number, shape, (tiles.parallel, tiles.stream))
            total = max(1, found.empty + found.full + found.partial)
            share = {"empty": found.empty / total, "full": found.full / total, "partial": found.partial / total}
            row |= {"tiles": share, "points": found.points, "exact": found.exact}
        rows.append(row)
    return rows


def _known(cascade: Cascade, stage: Stream, shape: Mapping[str, int]) -> bool:
    from attnc.ir.cascade import Size

    ranges = [item for item in cascade.ranges if item.index == stage.parallel]
    nodes = [*ranges, *stage.monoid.segments]
    return all(node.index in shape for item in nodes for node in walk(item) if isinstance(node, Size))


def _extent(cascade: Cascade, axes: Any, shape: Mapping[str, int]) -> int | None:
    total = 1
    for lo, hi in axes:
        try:
            total *= max(0, int(evaluate(hi, shape)) - int(evaluate(lo, shape)))
        except KeyError:
            return None
    return total


def _bytes(program: Program, shape: Mapping[str, int]) -> dict[str, int | None]:
    """Compulsory: inputs and outputs once, 4 bytes a value. Moved: streamed operands once per tile of rows."""
    cascade = program.explicit
    sizes: list[int | None] = []
    for item in cascade.inputs:
        axes = [(cascade.range(i).lo, cascade.range(i).hi) for i in item.indices]
        sizes.append(_extent(cascade, axes, shape))
    for name in cascade.outputs:
        tensor = cascade.tensor(name)
        sizes.append(_extent(cascade, tensor.axes, shape) if tensor else 0)
    if any(size is None for size in sizes):
        return {"compulsory": None, "moved": None}
    compulsory = 4 * sum(size or 0 for size in sizes)
    return {
        "compulsory": compulsory,
        "moved": compulsory + sum(_reread(stage, program, shape) for stage in program.streams),
    }


def _reread(stage: Stream, program: Program, shape: Mapping[str, int]) -> int:
    cascade, chosen = program.explicit, _tiles(stage, program, shape)
    if stage.parallel is None or chosen is None:
        return 0
    item = cascade.range(stage.parallel)
    tiles = -(-int(evaluate(item.hi, shape) - evaluate(item.lo, shape)) // chosen.parallel)
    streams = {segment.index for segment in stage.monoid.segments}
    total = 0
    for name in {node.tensor for node in walk(stage.monoid) if isinstance(node, Read)}:
        given = cascade.input(name)
        if given is not None and streams & set(given.indices):
            axes = [(cascade.range(i).lo, cascade.range(i).hi) for i in given.indices]
            total += 4 * (_extent(cascade, axes, shape) or 0) * max(0, tiles - 1)
    return total


def _flops(program: Program, shape: Mapping[str, int]) -> int | None:
    """Multiply-adds of the matrix products, counted as two, on the points that the masks leave."""
    from attnc.passes.areas import area

    cascade, total = program.explicit, 0
    for stage in program.streams:
        if not _known(cascade, stage, shape):
            return None
        heads = _extent(cascade, [(cascade.range(i).lo, cascade.range(i).hi) for i in stage.grid], shape)
        if heads is None:
            return None
        for number, segment in enumerate(stage.monoid.segments):
            points = 1 if segment.index is None else area(stage, cascade, number, shape, (64, 64)).points
            per_point = _work(stage, cascade, number, shape)
            if per_point is None:
                return None
            total += heads * points * per_point
    return total


def _work(stage: Stream, cascade: Cascade, number: int, shape: Mapping[str, int]) -> int | None:
    bodies: dict[Expr, None] = {}
    work = 0
    for item in stage.monoid.accumulators:
        for lift in item.lifts:
            if lift.segment == number:
                width = _extent(cascade, [_range(cascade, i) for i in item.axes if i != stage.parallel], shape)
                if width is None:
                    return None
                work += 2 * width if len(item.axes) > 1 else 0
                bodies[lift.body] = None
    for gauge in stage.monoid.gauges:
        bodies |= {lift.body: None for lift in gauge.lifts if lift.segment == number}
    sums = {node for body in bodies for node in walk(body) if isinstance(node, Reduce)}
    for node in sums:
        width = _extent(cascade, [_range(cascade, i) for i in node.over], shape)
        if width is None:
            return None
        work += 2 * width
    return work


def _range(cascade: Cascade, index: str) -> tuple[Expr, Expr]:
    item = cascade.range(index)
    return item.lo, item.hi
