"""Tile sizes: what a score takes is counted, what is chosen fits, and the reasons are told."""

from dataclasses import replace
from pathlib import Path

import pytest

import attnc
from attnc.ir.cascade import Cascade
from attnc.ir.kernel import DType
from attnc.ir.stage import Stream
from attnc.ir.target import TARGETS, Target, find_target
from attnc.passes.tile_model import registers_of
from attnc.passes.tiles import Tiles, choose_tiles, rivals
from attnc.passes.work import Work, work_of
from attnc.runtime.explain_backward import whole_backward

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
        smallest = {(16, 16), (target.unit, 16)}  # where none fits, the one that fills a matrix unit first
        assert held <= target.registers or (tiles.parallel, tiles.stream) in smallest
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


# ---- loops inside a turn ------------------------------------------------------------------------


def grouped(width: int = 64) -> Work:
    stream, cascade = stage(example("grouped"))
    return work_of(stream, cascade, dict.fromkeys("QKV", "bfloat16"), {"e": width, "f": width})


def test_what_a_loop_inside_a_turn_walks_is_moved_whole_and_held_one_at_a_time() -> None:
    work = grouped()
    assert work.position_bytes == 16 * work.position_held == 16 * 2 * (64 + 64)  # 16 keys a group


def test_what_a_loop_inside_a_turn_computes_counts_every_time() -> None:
    work = grouped()
    assert work.products == 16 * (2 * 64 + 2 * 64)
    assert work.functions == 16 + 1  # of every key, and of its group
    assert work.folds == 2  # the best key, the sum of the keys' weights


def test_a_sum_over_a_function_of_three_indices_is_no_matrix_product() -> None:
    additive = attnc.compile(
        "attention additive(Q[m,e], K[n,e], V[n,f]) -> O:\n"
        "    S[m,n] = sum[e](tanh(Q[m,e] + K[n,e]))\n"
        "    O[m,f] = sum[n](softmax[n](S) * V)\n"
    ).program()
    work = work_of(additive.streams[-1], additive.explicit, {}, {"e": 32, "f": 16})
    assert work.products == 2 * 16
    assert work.functions == 32 + 1
    assert work.columns == 1  # K, a feature at a time


def test_groups_of_keys_do_not_need_a_small_tile() -> None:
    for name in ("sm_90", "sm_100"):
        assert chosen(example("grouped"), find_target(name), 128).parallel >= find_target(name).unit


# ---- products of float32 ------------------------------------------------------------------------


def registers(target: str, dtype: DType, rows: int, keys: int) -> int:
    stream, cascade = stage(example("causal"))
    work = work_of(stream, cascade, dict.fromkeys("QKV", dtype), {"e": 64, "f": 64})
    return registers_of(rows, keys, 4, work, find_target(target))


@pytest.mark.parametrize("target", ["sm_80", "sm_90", "sm_100"])
def test_threads_that_multiply_float32_themselves_hold_the_operands(target: str) -> None:
    assert registers(target, "float32", 64, 64) > 400 > registers(target, "bfloat16", 64, 64)
    assert registers(target, "float32", 32, 16) < find_target(target).registers


def test_a_unit_that_multiplies_float32_leaves_the_registers_as_they_are() -> None:
    stream, cascade = stage(example("causal"))
    wide = chosen(example("causal"), find_target("gfx942"), 64, "float32")
    assert (wide.parallel, wide.stream) >= (64, 64)
    assert all(item.wide for item in work_of(stream, cascade, {}, {"e": 64, "f": 64}).dots)


@pytest.mark.parametrize("name", ["sm_90", "sm_100"])
def test_tiles_of_fewer_rows_than_the_matrix_unit_takes_are_slower(name: str) -> None:
    target = find_target(name)
    whole = chosen(example("causal"), replace(target, rows=(64,)), 64)
    half = chosen(example("causal"), replace(target, rows=(32,)), 64)
    assert half.cycles > 1.2 * whole.cycles


# ---- where the model errs -----------------------------------------------------------------------


def test_the_last_rivals_take_ever_fewer_registers_and_are_ever_smaller() -> None:
    stream, cascade = stage(example("causal"))
    dtypes: dict[str, DType] = dict.fromkeys("QKV", "bfloat16")
    target, extents = find_target("sm_90"), {"e": 64, "f": 64}
    work = work_of(stream, cascade, dtypes, extents)
    tried = rivals(stream, cascade, target, dtypes, extents)
    spent = [registers_of(item.rows[0], item.keys[0], item.warps[0], work, target) for item in tried]
    assert min(spent[5:]) < 0.9 * min(spent[:5])
    scores = [item.rows[0] * item.keys[0] / item.warps[0] for item in tried]
    least = min(target.rows) * min(target.keys)
    assert scores[-len(target.warps) :] == [least / warps for warps in target.warps]
    assert all(scores[place] <= min(scores[:place]) / 2 for place in (-2, -1))


def test_some_rivals_are_tiles_that_the_model_doubts() -> None:
    program = attnc.load(example("documents")).program()
    own = next(own for _, own in whole_backward(program).steps if own is not None and own.streams)
    stream, cascade, target = own.streams[-1], own.explicit, find_target("sm_90")
    dtypes: dict[str, DType] = {item.name: "bfloat16" for item in cascade.inputs if item.type == "real"}
    extents = {"e": 128, "f": 128}
    work = work_of(stream, cascade, dtypes, extents)
    tried = rivals(stream, cascade, target, dtypes, extents)
    first, *others = [(item.rows[0], item.keys[0], item.warps[0]) for item in tried]
    doubted = [sides for sides in others if registers_of(*sides, work, target) > target.registers]
    assert doubted
    assert all(item[2] != first[2] or item[0] < first[0] or item[1] < first[1] for item in doubted)


MATRICES = "attention a(X[b,i], T[b,q,j], W[q,j]) -> G:\n    S[b,q] = T * W\n    G[q,i,j] = sum[b](X * T where S > 0)\n"


@pytest.mark.parametrize(("width", "alone"), [(16, False), (128, True)])
def test_where_no_tile_fits_the_smallest_is_tried_with_the_most_warps_at_last(width: int, alone: bool) -> None:
    """Every row keeps a matrix; several times the registers there are take any assembler minutes."""
    program, target = attnc.compile(MATRICES).program(), find_target("sm_90")
    (stream,), cascade = program.streams, program.explicit
    dtypes: dict[str, DType] = dict.fromkeys("XTW", "bfloat16")
    given = stream, cascade, target, dtypes, {"i": width, "j": 128}
    found = choose_tiles(*given)
    assert (found.parallel, found.stream, found.warps) == (16, 16, target.warps[0])
    *_, last = rivals(*given)
    assert last.warps == (target.warps[0 if alone else -1],)
    assert (len(rivals(*given)) == 1) == alone
