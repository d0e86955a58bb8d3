"""Tile sizes: what a score takes is counted, what is chosen fits, and the reasons are told."""

from dataclasses import replace
from pathlib import Path

import pytest

import attnc
from attnc.ir.cascade import Cascade
from attnc.ir.kernel import DType
from attnc.ir.stage import Stream
from attnc.ir.target import TARGETS, Target, find_target
from attnc.passes.tiles import Tiles, choose_tiles, registers_of
from attnc.passes.work import work_of

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("[01]*.attn"))[:11]


def stage(spec: Path) -> tuple[Stream, Cascade]:
    program = attnc.load(spec).program()
    return program.streams[-1], program.explicit


def chosen(spec: Path, target: Target, width: int, dtype: DType = "bfloat16") -> Tiles:
    stream, cascade = stage(spec)
    dtypes = {item.name: dtype for item in cascade.inputs if item.type == "real"}
    return choose_tiles(stream, cascade, target, dtypes, {"e": width, "f": width, "d": width})


def example(name: str) -> Path:
    return next(path for path in EXAMPLES if name in path.stem)


def test_the_work_of_plain_attention_is_counted_as_by_hand() -> None:
    stream, cascade = stage(example("causal"))
    work = work_of(stream, cascade, {"Q": "bfloat16", "K": "bfloat16", "V": "bfloat16"}, {"e": 64, "f": 128})
    assert work.products == 2 * 64 + 2 * 128
    assert work.functions == 1
    assert (work.row_bytes, work.position_bytes, work.score_bytes) == (2 * 64, 2 * (64 + 128), 0)
    assert work.state == 128 + 1 + 1  # the output, the sum, the maximum


def test_two_scores_and_their_weights_are_counted_twice() -> None:
    stream, cascade = stage(example("differential"))
    work = work_of(stream, cascade, {}, {"e": 32, "f": 16})
    assert work.products == 2 * (2 * 32 + 2 * 16)
    assert work.functions == 2
    assert work.state == 2 * (16 + 1 + 1)


@pytest.mark.parametrize("width", [1, 64, 128, 256])
@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
@pytest.mark.parametrize("spec", EXAMPLES, ids=lambda path: path.stem)
def test_what_is_chosen_fits(spec: Path, target: Target, width: int) -> None:
    tiles = chosen(spec, target, width)
    stream, cascade = stage(spec)
    dtypes: dict[str, DType] = {item.name: "bfloat16" for item in cascade.inputs if item.type == "real"}
    work = work_of(stream, cascade, dtypes, {"e": width, "f": width, "d": width})
    assert tiles.parallel in target.rows
    assert tiles.stream in target.keys
    if target.kind == "cpu":
        assert tiles.footprint <= target.onchip
    else:
        held = registers_of(tiles.parallel, tiles.stream, tiles.warps, work, target)
        assert held <= target.registers or (tiles.parallel, tiles.stream) == (16, 16)
    assert any(f"tile {tiles.parallel} x {tiles.stream}:" in line for line in tiles.lines)


@pytest.mark.parametrize("name", ["sm_80", "sm_90", "sm_100"])
def test_plain_attention_gets_the_tiles_that_the_field_uses(name: str) -> None:
    tiles = chosen(example("causal"), find_target(name), 64)
    assert (tiles.parallel, tiles.stream) in ((128, 64), (128, 128))


def test_less_memory_gives_smaller_tiles_and_says_what_the_larger_would_need() -> None:
    whole = chosen(example("causal"), find_target("sm_90"), 128)
    small = chosen(example("causal"), replace(find_target("sm_90"), onchip=64 << 10), 128)
    assert (small.stages, small.parallel * small.stream) < (whole.stages, whole.parallel * whole.stream)
    assert "would need" in small.lines[-1]
