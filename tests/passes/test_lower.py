"""Kernels run by their own interpreter, against the oracle and formulas written out."""

from __future__ import annotations

import math

import pytest
import torch

import attnc
from attnc.compiler import lowered
from attnc.ir import kernel as k
from attnc.ir.interpret import run
from attnc.ir.kernel import Kernel
from attnc.ir.target import Target, find_target
from attnc.ir.walk import walk
from attnc.passes.lower.scope import Scope
from attnc.runtime.explain_backward import whole_backward
from tests.passes import monoids
from tests.passes.lowered import (
    SHAPES,
    SMALL_CPU,
    SMALL_GPU,
    difference,
    drawn,
    kernel_for,
    largest_error,
    only_stream,
    outputs_of,
    sizes_of,
)
from tests.thinned import thinned

TARGETS = (SMALL_CPU, SMALL_GPU)
HEAD = "Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]"
LAST = "    index N - M <= m < N\n"
SPECS = {
    "causal": f"attention a({HEAD}) -> O:\n{LAST}"
    "    S[b,h,m,n] = Q * K / sqrt(E)\n    A[b,h,m,n] = softmax[n](S where n <= m)\n    O[b,h,m,f] = A * V\n",
    "window and softcap": f"attention a({HEAD}) -> O, L:\n{LAST}"
    "    S[b,h,m,n] = 5 * tanh(sum[e](Q * K) / 5) where 0 <= m - n and m - n < 11\n"
    "    O[b,h,m,f] = sum[n](softmax[n](S) * V)\n    L[b,h,m] = logsumexp[n](S)\n",
    "sink and window": f"attention a({HEAD}, sink[h]) -> O, L:\n{LAST}"
    "    index t <= N\n    S[b,h,m,n] = Q * K / sqrt(E) where n <= m and (m - n < 20 or n < 4)\n"
    "    S[b,h,m,N] = sink\n    A[b,h,m,t] = softmax[t](S[b,h,m,t])\n"
    "    O[b,h,m,f] = A[b,h,m,n] * V\n    L[b,h,m] = logsumexp[t](S[b,h,m,t])\n",
    "two sinks": f"attention a({HEAD}, one[h], other[h]) -> O:\n{LAST}"
    "    index t <= N + 1\n    S[b,h,m,n] = Q * K / sqrt(E) where n <= m\n    S[b,h,m,N] = one\n"
    "    S[b,h,m,N + 1] = other\n    A[b,h,m,t] = softmax[t](S[b,h,m,t])\n    O[b,h,m,f] = A[b,h,m,n] * V\n",
    "sigmoid": f"attention a({HEAD}, beta[]) -> O:\n"
    "    S[b,h,m,n] = Q * K / sqrt(E)\n    O[b,h,m,f] = sum[n](sigmoid(S + beta) * V)\n",
    "entropy": f"attention a({HEAD}) -> O, H1:\n{LAST}"
    "    S[b,h,m,n] = Q * K / sqrt(E)\n    A[b,h,m,n] = softmax[n](S where n <= m)\n"
    "    O[b,h,m,f] = A * V\n    H1[b,h,m] = -sum[n](xlogx(A))\n",
    "moments": f"attention a({HEAD}) -> O, mu, v:\n{LAST}"
    "    S[b,h,m,n] = Q * K / sqrt(E) where n <= m\n    O[b,h,m,f] = sum[n](softmax[n](S) * V)\n"
    "    mu[b,h,m] = mean[n](S)\n    v[b,h,m] = var[n](S)\n",
    "differential": "attention a(Q[b,h,m,e], P[b,h,m,e], K[b,h,n,e], J[b,h,n,e], V[b,h,n,f], lam[h]) -> O:\n"
    f"{LAST}    A[b,h,m,n] = softmax[n](sum[e](Q * K) where n <= m)\n"
    "    C[b,h,m,n] = softmax[n](sum[e](P * J) where n <= m)\n    O[b,h,m,f] = (A - lam * C) * V\n",
    "additive": "attention a(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], w[e]) -> O:\n"
    "    S[b,h,m,n] = sum[e](w[e] * tanh(Q[b,h,m,e] + K[b,h,n,e]))\n    O[b,h,m,f] = sum[n](softmax[n](S) * V)\n",
    "grouped heads": "attention a(Q[b,h,m,e], K[b,g,n,e], V[b,g,n,f]) -> O:\n    require H % G == 0 and G >= 1\n"
    f"    r = H // G\n{LAST}    S[b,h,m,n] = Q * K[b,h // r,n,e] / sqrt(E)\n"
    "    A[b,h,m,n] = softmax[n](S where n <= m)\n    O[b,h,m,f] = A * V[b,h // r,n,f]\n",
    "documents": f"attention a({HEAD}, dq[b,m]: int, dk[b,n]: int) -> O:\n"
    "    S[b,h,m,n] = Q * K / sqrt(E)\n    A[b,h,m,n] = softmax[n](S where dq == dk)\n    O[b,h,m,f] = A * V\n",
    "lengths": f"attention a({HEAD}, len[b]: int, flag[h]: bool) -> O:\n"
    "    S[b,h,m,n] = Q * K / sqrt(E)\n    A[b,h,m,n] = softmax[n](S where n < 9 * len and flag)\n"
    "    O[b,h,m,f] = A * V\n",
    "starts": f"attention a({HEAD}, start[b,m]: int) -> O:\n"
    "    S[b,h,m,n] = Q * K / sqrt(E)\n    A[b,h,m,n] = softmax[n](S where n >= 7 * start[b,m])\n"
    "    O[b,h,m,f] = A * V\n",
    "blocks": f"attention a({HEAD}) -> O, C:\n{LAST}"
    "    S[b,h,m,n] = Q * K where n <= m and m // 8 - n // 8 <= 1\n    O[b,h,m,f] = sum[n](softmax[n](S) * V)\n"
    "    C[b,h,m] = sum[n](1 where n <= m and m // 8 - n // 8 <= 1)\n",
    "strided": f"attention a({HEAD}) -> O:\n{LAST}"
    "    S[b,h,m,n] = Q * K where n <= m and (m - n) % 3 == 0\n    O[b,h,m,f] = sum[n](softmax[n](S) * V)\n",
    "bias table": f"attention a({HEAD}, T[h,d]) -> O:\n{LAST}"
    "    S[b,h,m,n] = sum[e](Q * K) + T[h,m - n]\n    O[b,h,m,f] = sum[n](softmax[n](S) * V)\n",
    "no rows": "attention a(q[b,h,e], K[b,h,n,e], V[b,h,n,f], keep[b,n]: bool) -> O:\n"
    "    S[b,h,n] = q * K / sqrt(E)\n    O[b,h,f] = sum[n](softmax[n](S where keep) * V)\n",
    "extremes": f"attention a({HEAD}) -> top, low, some, count:\n{LAST}"
    "    S[b,h,m,n] = Q * K where n <= m\n    top[b,h,m] = max[n](S)\n    low[b,h,m] = min[n](S)\n"
    "    some[b,h,m] = any[n](S > 6)\n    count[b,h,m] = sum[n](S > 0)\n",
    "bilinear": "attention a(Q[b,h,m,e], W[h,e,f], K[b,h,n,f]) -> O:\n"
    "    S[b,h,m,n] = sum[e,f](Q * W * K)\n    O[b,h,m,f] = sum[n](softmax[n](S) * K)\n",
}
DECODE = {"no rows"}


def sizes_for(name: str, shape: tuple[int, int, int, int]) -> dict[str, int]:
    return sizes_of(*shape) | ({"g": 2} if name == "grouped heads" else {}) | ({"d": 9} if "T[" in SPECS[name] else {})


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
@pytest.mark.parametrize("name", thinned(SPECS, 2))
def test_kernels_mean_what_the_definition_says(name: str, target: Target) -> None:
    for shape in SHAPES if name not in ("additive", "bilinear") else SHAPES[1:3]:
        error = largest_error(SPECS[name], target, sizes_for(name, shape))
        assert error < 1e-10, (shape, error)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_hand_built_monoids(target: Target) -> None:
    """Softmax and ALiBi with lse against PyTorch's own, at lengths that do not divide into tiles."""
    for m, n, e, f in SHAPES[:5]:
        sizes, made = sizes_of(m, n, e, f), monoids.alibi()
        inputs = drawn(made[1], sizes, seed=n)
        kernel = monoids.kernel_of(made, {"e": e, "f": f}, target, "float64")
        found = outputs_of(*made, kernel, inputs, sizes)
        rows, keys = torch.arange(n - m, n), torch.arange(n)
        scores = inputs["Q"] @ inputs["K"].mT / math.sqrt(e)
        scores = scores - inputs["slope"][:, None, None] * (rows[:, None] - keys)
        scores = scores.masked_fill(keys > rows[:, None], -torch.inf)
        wanted = torch.softmax(scores, -1).nan_to_num(0.0) @ inputs["V"]
        assert difference(found["O"], wanted) < 1e-11
        assert difference(found["L"], torch.logsumexp(scores, -1)) < 1e-11


def causal_kernel(target: Target = SMALL_CPU) -> Kernel:
    return monoids.kernel_of(monoids.causal_softmax(), {"e": 16, "f": 16}, target)


def loops(kernel: Kernel) -> list[k.Loop]:
    return [item for item in kernel.loops if isinstance(item, k.Loop)]


def test_causal_has_whole_tiles_and_then_cut_ones() -> None:
    whole, cut = loops(causal_kernel())
    assert (whole.cut, cut.cut) == (False, True)
    assert whole.hi == cut.lo
    assert not any(isinstance(node, k.Inside) for node in walk(whole))


def test_what_does_not_vary_is_computed_before_the_loops() -> None:
    kernel = monoids.kernel_of(monoids.alibi(), {"e": 16, "f": 16}, SMALL_CPU)
    loaded = [item.tensor for item in kernel.setup if isinstance(item, k.Load)]
    assert sorted(loaded) == ["Q", "slope"]
    for loop in loops(kernel):
        assert [item.tensor for item in loop.body if isinstance(item, k.Load)] == ["K", "V"]


def test_types_are_declared_for_every_name() -> None:
    kernel = causal_kernel()
    names = {
        node.name
        for part in (kernel.setup, kernel.loops, kernel.finish)
        for item in part
        for node in walk(item)
        if isinstance(node, k.Let | k.Load | k.State)
    }
    assert names == {name for name, _ in kernel.types}
    assert kernel.type_of("acc").axes == ("m", "f")


def test_sixteen_bit_operands_share_a_type_on_a_gpu() -> None:
    kernel = monoids.kernel_of(monoids.causal_softmax(), {"e": 16, "f": 16}, SMALL_GPU, "bfloat16")
    dots = [node for item in kernel.loops for node in walk(item) if isinstance(node, k.Dot)]
    assert len(dots) == 4
    for dot in dots:
        assert isinstance(dot.a, k.Use)
        assert isinstance(dot.b, k.Use)
        assert {kernel.type_of(dot.a.name).dtype, kernel.type_of(dot.b.name).dtype} == {"bfloat16"}


def test_gpu_tiles_are_padded_to_powers_of_two() -> None:
    kernel = monoids.kernel_of(monoids.causal_softmax(), {"e": 40, "f": 5}, SMALL_GPU)
    assert [(axis.index, axis.tile, axis.extent) for axis in kernel.axes] == [
        ("n", 16, None),
        ("e", 64, 40),
        ("f", 16, 5),
    ]


def test_a_sink_opens_the_state() -> None:
    stream, cascade = only_stream(SPECS["sink and window"])
    kernel = kernel_for(stream, cascade, SMALL_CPU, sizes_of(40, 70, 8, 8))
    states = {item.name: item.init for item in kernel.setup if isinstance(item, k.State)}
    assert not isinstance(states["A_max"], k.Const)
    assert [loop.cut for loop in loops(kernel)] == [False, True, True]  # the last: all tiles of the window


def test_tiles_outside_a_window_and_its_sinks_are_not_visited() -> None:
    """Tiles between the sinks and the window are skipped: their keys are never read."""
    stream, cascade = only_stream(SPECS["sink and window"])
    sizes = sizes_of(16, 160, 8, 8)
    inputs = drawn(cascade, sizes, seed=1)
    kernel = kernel_for(stream, cascade, SMALL_CPU, sizes)
    clean = outputs_of(stream, cascade, kernel, inputs, sizes)
    for name in ("K", "V"):
        inputs[name][:, :, 16:112] = torch.nan
    spoiled = outputs_of(stream, cascade, kernel, inputs, sizes)
    assert difference(clean["O"], spoiled["O"]) == 0.0


def test_unseen_keys_do_not_leak() -> None:
    """A condition on the key alone masks its loads: NaN and infinity behind it reach no row."""
    text = SPECS["lengths"]
    stream, cascade = only_stream(text)
    sizes = sizes_of(20, 40, 8, 8)
    inputs = drawn(cascade, sizes, seed=3)
    inputs["len"] = torch.tensor([2])
    kernel = kernel_for(stream, cascade, SMALL_CPU, sizes)
    clean = outputs_of(stream, cascade, kernel, inputs, sizes)
    inputs["K"][:, :, 18:], inputs["V"][:, :, 18:] = torch.inf, torch.nan
    assert difference(outputs_of(stream, cascade, kernel, inputs, sizes)["O"], clean["O"]) == 0.0


def test_large_scores_stay_finite() -> None:
    for name in ("causal", "entropy", "differential", "sink and window"):
        stream, cascade = only_stream(SPECS[name])
        sizes = sizes_for(name, SHAPES[0])
        inputs = drawn(cascade, sizes, seed=2, scale=30.0)
        kernel = kernel_for(stream, cascade, SMALL_CPU, sizes)
        found = outputs_of(stream, cascade, kernel, inputs, sizes)
        for output, wanted in run(cascade, inputs, sizes=sizes).outputs.items():
            assert difference(found[output], wanted) < 1e-9 * max(1.0, float(wanted.abs().max())), name


def test_a_value_bound_outside_takes_no_name_that_a_loop_inside_has_bound() -> None:
    """A target without scopes of its own, as Python, would find the inner value when it comes back to the outer one."""
    scope = Scope("float32", ("m",), frozenset(("m",)))
    with scope.block("n", tiled=False):
        with scope.block("f", tiled=False):
            inner = scope.let("x", k.Map("add", (k.Coord("n"), k.Coord("f"))))
        outer = scope.let("x", k.Map("mul", (k.Coord("m"), k.Const(2, "int32"))))
    assert isinstance(inner, k.Use)
    assert isinstance(outer, k.Use)
    assert inner.name != outer.name


@pytest.mark.parametrize(("name", "late"), [("sm_90", False), ("cpu", True)])
def test_on_a_gpu_no_load_waits_for_a_product_of_its_turn(name: str, late: bool) -> None:
    """Its gradients are those of scores above 0, which the loop computes: what is loaded ahead cannot know them."""
    steps = whole_backward(attnc.load("std:relu_random_features").program()).steps
    found = [
        (stage, own.explicit) for _, own in steps if own is not None for stage in own.streams if stage.name == "dW_of"
    ]
    ((stream, cascade),) = found
    dtypes: dict[str, k.DType] = {item.name: "bfloat16" for item in cascade.inputs if item.type == "real"}
    dtypes |= dict.fromkeys((finish.tensor for finish in stream.monoid.finishes), "float32")
    extents = {item.index: 16 for item in cascade.ranges}
    kernel = lowered(stream, cascade, find_target(name), dtypes, extents)
    nodes = list(walk(kernel))
    made = {node.name: node.value for node in nodes if isinstance(node, k.Let)}

    def folds(value: k.Value) -> bool:
        inside = list(walk(value))
        uses = [made[node.name] for node in inside if isinstance(node, k.Use) and node.name in made]
        return any(isinstance(node, k.Dot | k.Reduce) for node in inside) or any(map(folds, uses))

    assert any(folds(test) for node in nodes if isinstance(node, k.Load) for test in node.when) == late
    assert any(isinstance(node, k.Map) and node.op == "select" for node in nodes)
