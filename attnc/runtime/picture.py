"""Which keys a query sees, as a picture: rows are queries, columns keys; small shapes stand for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from attnc.diagnostics import AttnError
from attnc.ir.cascade import Cascade, Const, Coord, Expr, Map, Part, Size, Step, Tensor
from attnc.ir.indices import free_indices
from attnc.ir.interpret import run
from attnc.ir.stage import Stream
from attnc.ir.walk import walk
from attnc.library import Spec
from attnc.runtime.attention import Attention
from attnc.runtime.bind import bind
from attnc.runtime.check_shapes import usable
from attnc.runtime.draw import draw
from attnc.runtime.program import Program

SIDE, FEW, WIDTHS = 24, 2, (4, 64)
WIDE, SHOWN = 8, 6  # an option that is wider than this is shown as that
CELL, PAPER, INK = 5, "#eef1f4", "#2b5c8a"


@dataclass(frozen=True)
class Picture:
    """An SVG image, and the options that it was drawn with."""

    svg: str
    options: Mapping[str, Any]


def picture(spec: Spec) -> Picture | None:
    """The mask of an attention's first stream; None where every position is seen, or no stream shows a mask."""
    attention = Attention(spec, lazy=True)
    for options in _options(attention):
        try:
            seen = _seen(attention.program(options))
        except AttnError:  # these options do not go together
            continue
        return None if seen is None or bool(seen.all()) else Picture(_svg(seen.tolist()), options)
    return None


def _options(attention: Attention) -> list[dict[str, Any]]:
    """Windows and blocks that fit into the picture, then the defaults."""
    needed = dict.fromkeys(attention.signature.needed, 2)
    given = attention.program(needed).stated.options
    wide = {name: SHOWN for name, value in given if type(value) is int and value > WIDE}
    return [needed | wide, needed]


def _seen(program: Program) -> torch.Tensor | None:
    stage = next((item for item in program.streams if item.parallel and _columns(item)), None)
    if stage is None:
        return None
    cascade = _asking(program.explicit, stage)
    sizes = _sizes(program.stated, stage)
    if cascade is None or sizes is None:
        return None
    inputs = {name: _grouped(value) for name, value in draw(program.stated, sizes, {}, torch.float64, 3).items()}
    bound = bind(program.stated, (), inputs)
    seen = run(cascade, bound.tensors, sizes=bound.sizes).outputs[cascade.outputs[0]]
    return seen.reshape(-1, *seen.shape[-2:])[0]


def _columns(stage: Stream) -> str | None:
    return stage.columns or stage.monoid.segments[0].index


def _asking(cascade: Cascade, stage: Stream) -> Cascade | None:
    """The cascade with one output: whether a pair of positions enters the stage; None where all do."""
    rows, columns = stage.parallel, _columns(stage)
    assert rows is not None
    assert columns is not None
    whens = {lift.when for item in stage.monoid.parts for lift in item.lifts if lift.segment == 0}
    if not all(whens):
        return None
    test = _joined("or", [_joined("and", list(when)) for when in whens])
    grid = [item.index for item in cascade.ranges if item.index in free_indices(test) - {rows, columns}]
    indices: tuple[str, ...] = (*grid, rows, columns)
    axes = tuple((cascade.range(index).lo, cascade.range(index).hi) for index in indices)
    name = "seen" + "_" * max(len(item.name) for item in cascade.tensors)
    tensor = Tensor(name, axes, "bool", (Part(name, tuple(map(Coord, indices)), indices, test),))
    return replace(
        cascade, tensors=(*cascade.tensors, tensor), steps=(*cascade.steps, Step((name,))), outputs=(name,), carries=()
    )


def _joined(op: str, tests: list[Expr]) -> Expr:
    return tests[0] if len(tests) == 1 else Map(op, tuple(tests)) if tests else Const(True)


def _sizes(cascade: Cascade, stage: Stream) -> dict[str, int] | None:
    """Extents at which what the spec requires holds, the lengths as long as the picture is wide."""
    ranges = (item for item in cascade.ranges if item.index in (stage.parallel, _columns(stage)))
    long = {node.index for item in ranges for node in walk(item) if isinstance(node, Size)}
    every = {index for item in cascade.inputs for index in item.indices}
    known = dict.fromkeys(every & {"b", "h", "g"}, FEW) | dict.fromkeys(every & long, SIDE)
    tries = [dict.fromkeys(every, width) | known for width in WIDTHS]
    return next((sizes for sizes, _ in usable(tries, lambda _: cascade)), None)


def _grouped(value: torch.Tensor) -> torch.Tensor:
    """Numbers of documents and the like lie beside one another, as they do in use."""
    return value.sort(-1).values if value.dim() and value.dtype == torch.int64 else value


def _svg(seen: list[list[bool]]) -> str:
    rows, columns = len(seen), len(seen[0])
    runs = "".join(f"M{at} {row}h{length}v1h-{length}z" for row, line in enumerate(seen) for at, length in _runs(line))
    size = f'viewBox="0 0 {columns} {rows}" width="{columns * CELL}" height="{rows * CELL}"'
    paper = f'<rect width="{columns}" height="{rows}" fill="{PAPER}"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{paper}<path fill="{INK}" d="{runs}"/></svg>\n'


def _runs(line: list[bool]) -> list[tuple[int, int]]:
    """Where runs of seen keys start, and how long they are."""
    edges = [at for at in range(len(line) + 1) if (at < len(line) and line[at]) != (at > 0 and line[at - 1])]
    return [(start, end - start) for start, end in zip(edges[::2], edges[1::2], strict=True)]
