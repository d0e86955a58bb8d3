"""Calls with few rows and long streams: cut into spans, held to the contract, with the same bits on any threads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import attnc
from attnc.contract import judge, references
from attnc.ir.target import Target, find_target
from attnc.runtime.attention import Attention
from attnc.runtime.bind import bind
from attnc.runtime.draw import draw
from attnc.runtime.execute import execute
from attnc.runtime.streams import StageRun
from tests.programs.generate import program
from tests.programs.run import fresh_memory_is_nan
from tests.thinned import thinned

Tensors = dict[str, torch.Tensor]
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("[01]*.attn"))[:11]
SHORT = {"b": 1, "h": 2, "g": 1, "m": 5, "n": 331, "e": 20, "f": 12}
LONG = {"b": 1, "h": 1, "g": 1, "m": 3, "n": 5003, "e": 16, "f": 16}

# states of every kind: integers, truth values, extrema, two references, moments, products, no row index
STATES = {
    "integers": "attention p(K[n], T[m], I[n]) -> O, P:\n    O[m] = sum[n](I where K[n] > T[m])\n"
    "    P[m] = max[n](I where K[n] > T[m])",
    "truth": "attention p(K[n], T[m]) -> O, P:\n    O[m] = any[n](K[n] > T[m])\n    P[m] = all[n](K[n] < T[m] + 3)",
    "extrema": "attention p(K[n], T[m]) -> O, P:\n    O[m] = min[n](K * T)\n    P[m] = max[n](K * T where n > m)",
    "moments": "attention p(K[n], T[m]) -> O, P:\n    O[m] = var[n](K * T where n > 2 * m)\n    P[m] = mean[n](K * T)",
    "two": "attention p(Q[m,e], K[n,e], V[n,f]) -> O:\n    S[m,n] = Q * K\n"
    "    O[m,f] = sum[n]((softmax[n](S) - 0.3 * softmax[n](0.5 * S)) * V)",
    "entropy": "attention p(Q[m,e], K[n,e]) -> O, L:\n    S[m,n] = Q * K where n <= 40 * m\n"
    "    O[m] = -sum[n](xlogx(softmax[n](S)))\n    L[m] = logsumexp[n](S)",
    "pairs": "attention p(Q[n,m,e], X[n,c,e]) -> O:\n    O[m,c] = sum[n](relu(sum[e](Q * X)))",
    "sink": "attention p(Q[m,e], K[n,e], V[n,f], sink[h]) -> O:\n"
    "    S[h,m,n] = Q * K where n > 70 * m\n    S[h,m,N] = sink\n    index t <= N\n"
    "    A[h,m,t] = softmax[t](S[h,m,t])\n    O[h,m,f] = A[h,m,n] * V",
    "parts": "attention p(Q[m,e], K[n,e], V[n,f], X[c,e], Y[c,f]) -> O:\n    S[m,n] = Q * K\n"
    "    S[m,N + c] = Q * X\n    index t < N + C\n    W[n,f] = V\n    W[N + c,f] = Y\n"
    "    A[m,t] = softmax[t](S[m,t])\n    O[m,f] = A * W[t,f]",
    "lengths": "attention p(Q[b,m,e], K[b,n,e], V[b,n,f], len[b]) -> O:\n    S[b,m,n] = Q * K where n < 40 * len[b]\n"
    "    O[b,m,f] = softmax[n](S) * V",
}


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def drawn(attention: Attention, shape: dict[str, int], dtype: torch.dtype, seed: int) -> Tensors:
    cascade = attention.program().stated
    used = {index for item in cascade.inputs for index in item.indices}
    return draw(cascade, {index: shape[index] for index in shape if index in used}, {}, dtype, seed)


def ran(attention: Attention, inputs: Tensors, target: Target) -> tuple[Tensors, list[StageRun]]:
    analysed = attention.program()
    with fresh_memory_is_nan():
        return execute(analysed, bind(analysed.stated, (), inputs), target)


def kept(attention: Attention, inputs: Tensors, target: str = "cpu") -> list[int]:
    """The spans of each stage that was cut; every output keeps the contract."""
    outputs, runs = ran(attention, inputs, find_target(target))
    judged = references(attention.program().stated, inputs, {name: value.dtype for name, value in outputs.items()})
    verdicts = [judge(name, value, judged[name]) for name, value in outputs.items()]
    assert [f"{v.output}: {v.error:.3g} > {v.allowed:.3g}" for v in verdicts if not v.passed] == []
    return [run.spans for run in runs if run.plan == "split"]


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.bfloat16, pytest.param(torch.float64, marks=pytest.mark.exhaustive)], ids=str
)
@pytest.mark.parametrize("spec", thinned(EXAMPLES, 2), ids=lambda path: path.stem)
def test_examples_in_three_spans(spec: Path, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNC_SPANS", "3")
    attention = attnc.load(spec)
    shape = {**SHORT, "n": 331 * 16} if "group" in spec.stem else SHORT  # groups of 16 keys
    assert 3 in kept(attention, drawn(attention, shape, dtype, 1))


@pytest.mark.parametrize("name", STATES)
def test_states_of_every_kind(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNC_SPANS", "4")
    attention = attnc.compile(STATES[name])
    for rows in (3, 40):
        inputs = drawn(attention, {**SHORT, "m": rows, "c": 7}, torch.float32, 2)
        assert max(kept(attention, inputs)) > 2


@pytest.mark.parametrize("name", ["01_causal_softmax", "04_gqa_sink_window", "10_entropy", "11_score_moments"])
def test_in_the_interpreter_of_triton(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNC_SPANS", "3")
    attention = attnc.load(Path(__file__).parents[2] / "examples" / f"{name}.attn")
    assert kept(attention, drawn(attention, SHORT, torch.float32, 3), "sm_90") == [3]


@pytest.mark.parametrize("name", STATES)
def test_states_of_every_kind_in_the_interpreter_of_triton(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNC_SPANS", "4")
    attention = attnc.compile(STATES[name])
    assert max(kept(attention, drawn(attention, {**SHORT, "c": 7}, torch.float32, 4), "sm_90")) > 1


@pytest.mark.parametrize("seed", range(0, 40, 4))
def test_generated_programs_in_three_spans(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNC_SPANS", "3")
    one = program(seed)
    attention = attnc.compile(one.text)
    kept(attention, drawn(attention, one.shape, torch.float32, seed))


def test_scores_of_minus_infinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNC_SPANS", "3")
    attention = attnc.compile(
        "attention p(Q[m,e], K[n,e], V[n,f], B[n]) -> O, L, D:\n    S[m,n] = sum[e](Q * K) + B[n]\n"
        "    O[m,f] = softmax[n](S) * V\n    L[m] = logsumexp[n](S)\n    D[m] = max[n](S)"
    )
    inputs = drawn(attention, SHORT, torch.float32, 5)
    for hidden in (slice(0, 128), slice(128, 256), slice(100, None), slice(None)):
        low = {**inputs, "B": inputs["B"].clone()}
        low["B"][hidden] = -torch.inf
        assert kept(attention, low) == [3]


# ---- the choice ------------------------------------------------------------------------------


def plans(shape: dict[str, int], spec: str = "01_causal_softmax") -> list[tuple[str, int]]:
    attention = attnc.load(Path(__file__).parents[2] / "examples" / f"{spec}.attn")
    attention(**drawn(attention, shape, torch.float32, 0))
    assert attention.last_run is not None
    return [(run.plan, run.spans) for run in attention.last_run.stages]


def test_long_streams_of_few_rows_are_cut() -> None:
    assert plans(LONG) == [("split", 4)]
    assert plans({**LONG, "h": 8}) == [("split", 4)]
    assert plans({**LONG, "h": 16}) == [("split", 4)]
    assert plans({**LONG, "h": 17}) == [("stream", 1)]
    assert plans({**LONG, "n": 4095}) == [("stream", 1)]
    assert plans({**LONG, "m": 0}) == [("stream", 1)]


def test_where_a_mask_hides_most_positions_one_kernel_runs() -> None:
    assert plans(LONG, "03_softcap_window") == [("stream", 1)]


def test_lengths_and_spans_compile_nothing() -> None:
    plans({**LONG, "m": 16})
    before = attnc.stats()["compilations"]
    for length in (4096, 4097, 9001):
        ((plan, _),) = plans({**LONG, "n": length, "m": 16})
        assert plan == "split"
    assert attnc.stats()["compilations"] == before


def test_a_split_call_is_told() -> None:
    attention = attnc.load("std:causal_softmax")
    inputs = drawn(attention, LONG, torch.float32, 0)
    attention(**inputs)
    found = attention.explain(*inputs.values())
    (stage,), (run,) = found.facts["stages"], found.facts["ran"]
    assert (stage["plan"], stage["spans"], stage["kernels"]) == ("split", 4, ["O_spans", "O_merge"])
    assert (run["plan"], run["spans"]) == ("split", 4)
    assert run["kernel"] != run["merge"]
    assert "stream over n split into 4 spans, kernels O_spans and O_merge, tiles of m" in str(found)
    states = 4 * 4 * 1 * 3 * (16 + 2)
    whole = attention.explain(*drawn(attention, {**LONG, "n": 1000}, torch.float32, 0).values())
    assert found.facts["bytes"]["peak"] - found.facts["bytes"]["compulsory"] == states
    assert whole.facts["bytes"]["peak"] == whole.facts["bytes"]["compulsory"]


def test_gradients_of_a_split_call() -> None:
    attention = attnc.load("std:causal_softmax", strict=True)
    inputs = {name: x.requires_grad_() for name, x in drawn(attention, LONG, torch.float64, 0).items()}
    out = attention(**inputs)
    assert attention.last_run is not None
    assert [run.plan for run in attention.last_run.stages] == ["split"]
    found = torch.autograd.grad(out.cos().sum(), list(inputs.values()))
    assert "split" in {run.plan for run in attention.last_run.backward}
    wanted = torch.autograd.grad(attention.reference(**inputs).cos().sum(), list(inputs.values()))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["01_causal_softmax", "10_entropy", "11_score_moments"])
def test_the_same_bits_on_any_number_of_threads(name: str) -> None:
    attention = attnc.load(Path(__file__).parents[2] / "examples" / f"{name}.attn")
    inputs = drawn(attention, LONG, torch.float32, 0)
    found = []
    for threads in (1, 2, 4, 3, 1):
        torch.set_num_threads(threads)
        outputs, runs = ran(attention, inputs, find_target("cpu"))
        assert runs[0].spans == 4
        found.append(tuple(outputs.values()))
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))
