"""Values that wait for no fold over positions are made tile by tile: what is planned, and the kernels' meaning."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import attnc
from attnc.ir import kernel as k
from attnc.ir.interpret import run
from attnc.ir.kernel import Kernel
from attnc.ir.stage import Host, Plan, Stream
from attnc.ir.target import Target, find_target
from attnc.ir.walk import walk
from attnc.passes.areas import area
from attnc.passes.tiles import choose_tiles
from attnc.passes.work import work_of
from attnc.runtime.explain_backward import whole_backward
from tests.passes.lowered import SMALL_CPU, SMALL_GPU, difference, drawn, kernel_for, outputs_of
from tests.programs.direct import DIRECT, WAITING
from tests.thinned import thinned

EVERY = DIRECT | WAITING

# name: (emitted first, stream, rows, columns, grid) of each stage
Row = tuple[str, str | None, str | None, str | None, tuple[str, ...]]
DELTA: Row = ("D", None, "m", None, ("b", "h"))
PLANNED: dict[str, tuple[Row, ...]] = {
    "delta": (DELTA,),
    "bias": (DELTA, ("G", "b", "m", "n", ("h",))),
    "bias of all heads": (DELTA, ("G", "b_h", "m", "n", ())),
    "bias of each": (DELTA, ("G", None, "m", "n", ("b", "h"))),
    "bias without a mask": (DELTA, ("G", "b", "m", "n", ("h",))),
    "all gradients": (
        DELTA,
        ("G", "b", "m", "n", ("h",)),
        ("dQ", "n", "m", None, ("b", "h")),
        ("dK", "m", "n", None, ("b", "h")),
    ),
    "lengths": (DELTA, ("G", "b", "m", "n", ("h",))),
    "documents": (DELTA, ("G", None, "m", "n", ("b", "h"))),
    "scores": (("S", None, "m", "n", ("b", "h")), ("O", "n", "m", None, ("b", "h"))),
    "scores of shared keys": (("S", None, "m", "n", ("b", "h")),),
    "additive scores": (("S", None, "m", "n", ("b", "h")),),
    "whole numbers": (("C", None, "m", "n", ("b", "h")),),
    "highest": (("X", "b", "m", "n", ("h",)),),
    "indexer": (("G", "h", "m", "n", ("b",)),),
    "turned": (
        ("QR", None, "m", None, ("b", "h")),
        ("KR", None, "n", None, ("b", "h")),
        ("O", "n", "m", None, ("b", "h")),
    ),
    "rolled": (
        ("QR", None, "m", None, ("b", "h")),
        ("KR", None, "n", None, ("b", "h")),
        ("O", "n", "m", None, ("b", "h")),
    ),
    "turned and its norm": (("C", None, "n", None, ("b", "h")),),
}
LEFT = {
    "a projection": "attention a(X[b,n,d], W[o,d], V[b,n,f]) -> Y:\n    Y[b,n,o] = X * W\n",
    "a projection for each head": "attention a(X[b,n,d], W[h,o,d]) -> Y:\n    Y[b,h,n,o] = gelu(sum[d](X * W))\n",
    "a gain": "attention a(X[b,n,d], w[d]) -> Y:\n    Y[b,n] = X * w\n",
    "a plain product": "attention a(Q[b,h,m,e], K[b,h,n,e]) -> S:\n    S[b,h,m,n] = Q * K\n",
    "a product over positions": "attention a(X[b,m,k], Y[b,n,k]) -> S:\n"
    "    index N - M <= m < N, K - N <= n < K\n    S[b,m,n] = sum[k](X * Y where k <= m and k <= n)\n",
    "a value with features": "attention a(Q[b,i,e], K[b,j,e], Z[b,i,j,f]) -> Y:\n"
    "    Y[b,i,j,f] = Z * exp(sum[e](Q * K)) where j <= i\n",
}
SHAPES = ((40, 70, 16), (37, 19, 5), (1, 33, 8), (17, 17, 1), (50, 3, 16), (5, 0, 8), (0, 5, 8))


def planned(text: str) -> Plan:
    return attnc.compile(text).program().plan


def row(stage: Stream) -> Row:
    return stage.name, stage.stream, stage.parallel, stage.columns, stage.grid


@pytest.mark.parametrize("name", PLANNED)
def test_the_stages_are_planned(name: str) -> None:
    stages = planned(DIRECT[name]).stages
    assert tuple(row(stage) for stage in stages if isinstance(stage, Stream)) == PLANNED[name]
    assert not any(isinstance(stage, Host) for stage in stages)


def test_a_projection_is_made_before_its_norm() -> None:
    projection, norm = planned(DIRECT["norms of projections"]).stages
    assert (projection.name, type(projection)) == ("Y", Host)
    assert isinstance(norm, Stream)
    assert row(norm) == ("D", None, "n", None, ("b", "h"))


@pytest.mark.parametrize("name", DIRECT)
def test_nothing_is_refused(name: str) -> None:
    assert planned(DIRECT[name]).refusals == ()
    attnc.compile(DIRECT[name], strict=True).program()


@pytest.mark.parametrize("name", LEFT)
def test_what_is_none_of_these_is_left(name: str) -> None:
    program = attnc.compile(LEFT[name]).program()
    (output,) = program.explicit.outputs
    assert not any(stage.name == output and (stage.stream is None or stage.columns) for stage in program.streams)


def test_a_pair_that_needs_its_whole_row_is_made_once_that_is_known() -> None:
    plan = planned(WAITING["weights"])
    assert [row(stage) for stage in plan.stages if isinstance(stage, Stream)] == [
        ("A_max", "n", "m", None, ("b", "h")),
        ("A", None, "m", "n", ("b", "h")),
    ]
    assert not any(isinstance(stage, Host) for stage in plan.stages)
    assert [item.code for item in plan.refusals] == ["NOUT"]


def test_a_turned_key_is_stored_and_what_costs_less_than_its_way_is_not() -> None:
    """Each tile of queries would turn all keys anew; a factor is a part of the product."""
    program = attnc.compile(DIRECT["turned"]).program()
    assert program.needs["O"].tensors == ("KR", "O", "QR", "V")
    scaled = attnc.compile(DIRECT["turned"].replace("cos(m * w)", "w").replace("cos(n * w)", "w")).program()
    assert [stage.name for stage in scaled.streams] == ["O"]


def test_gradients_of_turned_keys_are_made_in_kernels() -> None:
    """What the angles get is a sum over all positions: statements take it."""
    steps = whole_backward(attnc.compile(DIRECT["turned"]).program()).steps
    hosts = [stage.name for _, own in steps if own is not None for stage in own.plan.stages if isinstance(stage, Host)]
    assert set(hosts) == {"dw_rows", "dw"}


def test_scores_that_are_given_out_are_made_again_where_they_are_used() -> None:
    scores, output = (stage for stage in planned(DIRECT["scores"]).stages if isinstance(stage, Stream))
    assert "S" in attnc.compile(DIRECT["scores"]).program().needs[scores.name].tensors
    assert attnc.compile(DIRECT["scores"]).program().needs[output.name].tensors == ("K", "O", "Q", "V")


def test_folded_scores_are_read_where_they_are_used() -> None:
    program = attnc.compile(DIRECT["indexer and values"]).program()
    assert [row(stage)[1:4] for stage in program.streams] == [("h", "m", "n"), ("n", "m", None)]
    assert program.needs["O"].tensors == ("G", "O", "V")


def test_scores_that_are_ordered_are_read_where_they_are_used() -> None:
    """S >= kth(S) compares numbers that are equal only if they are the same ones."""
    text = (
        "attention a(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]) -> O:\n    index N - M <= m < N\n"
        "    S[b,h,m,n] = Q * K where n <= m\n    t[b,h,m] = kth[n; 2](S)\n"
        "    O[b,h,m,f] = softmax[n](S where S >= t) * V\n"
    )
    program = attnc.compile(text).program()
    assert [(stage.name, stage.columns) for stage in program.streams if stage.name in "SO"] == [("S", "n"), ("O", None)]
    assert "S" in program.needs["O"].tensors


# ---- kernels --------------------------------------------------------------------------------


def errors(name: str, shape: tuple[int, int, int], target: Target) -> dict[str, float]:
    """The largest error of each output, in float64, its memory NaN before."""
    program = attnc.compile(EVERY[name]).program()
    m, n, width = shape
    sizes = {"b": 2, "h": 2, "g": 1, "m": m, "n": n, "e": width, "f": width}
    values = drawn(program.explicit, sizes, seed=m)
    wanted = run(program.explicit, values, sizes=sizes).outputs
    for stage in program.streams:
        kernel = kernel_for(stage, program.explicit, target, sizes)
        values |= outputs_of(stage, program.explicit, kernel, values, sizes)
    return {output: difference(values[output], value) for output, value in wanted.items()}


@pytest.mark.parametrize("target", [SMALL_CPU, SMALL_GPU], ids=lambda target: target.name)
@pytest.mark.parametrize("name", [name for name in EVERY if name != "norms of projections"])
def test_kernels_mean_what_is_written(name: str, target: Target) -> None:
    for shape in SHAPES:
        found = errors(name, shape, target)
        assert all(error < 1e-8 for error in found.values()), (shape, found)


@pytest.mark.parametrize("name", thinned((name for name in EVERY if name != "whole numbers"), 3))
def test_gradients_are_those_of_the_definition(name: str) -> None:
    attention = attnc.compile(EVERY[name])
    sizes = {"b": 2, "h": 2, "g": 1, "m": 19, "n": 23, "e": 8, "f": 8}
    given = drawn(attention.program().stated, sizes, seed=5)
    given = {key: value.requires_grad_() if value.is_floating_point() else value for key, value in given.items()}
    leaves = [value for value in given.values() if value.requires_grad]
    found, wanted = (_slopes(call(**given), leaves) for call in (attention, attention.reference))
    for one, other in zip(found, wanted, strict=True):
        assert difference(one, other) < 1e-9 * max(1.0, float(other.abs().max()))


def _slopes(outputs: Any, leaves: list[torch.Tensor]) -> list[torch.Tensor]:
    """The gradients of a weighted sum of the outputs."""
    total = torch.tensor(0.0, dtype=torch.float64)
    for output in outputs if isinstance(outputs, tuple) else (outputs,):
        total = total + (output * torch.linspace(-1, 1, output.numel()).to(output).reshape(output.shape)).sum()
    return list(torch.autograd.grad(total, leaves))


def kernel_of(name: str) -> Kernel:
    program = attnc.compile(DIRECT[name]).program()
    sizes = {"b": 2, "h": 2, "m": 40, "n": 70, "e": 16, "f": 16}
    return kernel_for(program.streams[-1], program.explicit, SMALL_GPU, sizes)


def test_a_tile_that_nothing_is_seen_of_is_not_computed() -> None:
    kernel = kernel_of("bias of each")
    assert [type(statement) for statement in kernel.loops] == [k.Guarded]
    assert not any(isinstance(node, k.Load | k.Dot) for item in kernel.setup for node in walk(item))
    (guard,) = kernel.loops
    assert isinstance(guard, k.Guarded)
    assert [type(node) for node in walk(guard.test)] == [k.Use]


def test_a_loop_over_an_unseen_tile_ends_where_it_starts() -> None:
    kernel = kernel_of("bias")
    (loop,) = kernel.loops
    assert isinstance(loop, k.Loop)
    assert (loop.index, loop.step) == ("b", 1)
    ends = [item.value for item in kernel.setup if isinstance(item, k.Let) and k.Use(item.name) == loop.hi]
    assert [value.op for value in ends if isinstance(value, k.Map)] == ["select"]


def test_a_test_by_data_is_taken_over_the_whole_tile() -> None:
    (guard,) = kernel_of("documents").loops
    assert isinstance(guard, k.Guarded)
    assert guard.why == "unseen"


def test_tiles_of_pairs_are_counted_by_class() -> None:
    program = attnc.compile(DIRECT["bias"]).program()
    found = area(program.streams[-1], program.explicit, 0, {"b": 3, "h": 2, "m": 64, "n": 64}, (16, 16))
    assert (found.empty, found.full, found.partial, found.points) == (6, 6, 4, 64 * 65 // 2)


@pytest.mark.parametrize("target", ["cpu", "sm_80", "sm_90", "gfx942"])
def test_tiles_of_pairs_fit(target: str) -> None:
    program, place = attnc.compile(DIRECT["bias"]).program(), find_target(target)
    extents = {"e": 64, "f": 64}
    rows, pairs = (choose_tiles(stage, program.explicit, place, {}, extents) for stage in program.streams)
    assert (pairs.parallel in place.rows, pairs.stream in place.keys) == (True, True)
    assert (rows.parallel in place.rows, rows.stream) == (True, 1)
    work = work_of(program.streams[-1], program.explicit, {}, extents)
    assert work.live == 4  # two products, the bias, the sum
    held = pairs.parallel * pairs.stream * work.live // (pairs.warps * place.warp)
    assert place.kind == "cpu" or held < place.registers
