"""Heads that share their keys as rows of one tile: where few rows are asked for, whatever else the spec has."""

from pathlib import Path

import pytest
import torch

import attnc
from attnc.contract import judge, references
from attnc.ir.target import find_target
from attnc.runtime.attention import Attention
from attnc.runtime.bind import bind
from attnc.runtime.draw import draw
from attnc.runtime.execute import execute
from attnc.runtime.streams import StageRun
from tests.programs.run import fresh_memory_is_nan
from tests.thinned import thinned

ROOT = Path(__file__).parents[2]
SHAPE = {"b": 2, "h": 6, "g": 2, "m": 3, "n": 77, "e": 20, "f": 24}
SPECS = {
    "grouped": "Q[b,h,m,e], K[b,g,n,e], V[b,g,n,f]) -> O:\n    require H % G == 0\n    r = H // G\n"
    "    S[b,h,m,n] = Q * K[b,h // r,n,e]\n    O[b,h,m,f] = softmax[n](S) * V[b,h // r,n,f]",
    "one key head": "Q[b,h,m,e], K[b,n,e], V[b,n,f]) -> O, L:\n    index N - M <= m < N\n"
    "    S[b,h,m,n] = Q * K where n <= m\n    O[b,h,m,f] = softmax[n](S) * V\n    L[b,h,m] = logsumexp[n](S)",
    "by head": "Q[b,h,m,e], K[b,g,n,e], V[b,g,n,f], slope[h], wide[h]: bool, sink[h]) -> O:\n    require H % G == 0\n"
    "    r = H // G\n    index N - M <= m < N, t <= N\n"
    "    S[b,h,m,n] = sum[e](Q * K[b,h // r,n,e]) - slope * (m - n) where n <= m and (wide[h] or m - n < 9)\n"
    "    S[b,h,m,N] = sink\n    A[b,h,m,t] = softmax[t](S[b,h,m,t])\n    O[b,h,m,f] = A[b,h,m,n] * V[b,h // r,n,f]",
    "shared scores": "Q[h,m,e], K[g,n,e], bias[g,n]) -> O, T:\n    require H % G == 0\n    r = H // G\n"
    "    S[h,m,n] = sum[e](Q * K[h // r,n,e]) + bias[h // r,n]\n    O[h,m] = sum[n](sigmoid(S))\n"
    "    T[h,m] = max[n](S)",
}
APART = {
    "a key for each head": "Q[h,m,e], K[h,n,e]) -> O:\n    S[h,m,n] = Q * K\n    O[h,m] = logsumexp[n](S)",
    "a bias for each head": "Q[h,m,e], K[g,n,e], bias[h,n]) -> O:\n    require H % G == 0\n    r = H // G\n"
    "    S[h,m,n] = sum[e](Q * K[h // r,n,e]) + bias\n    O[h,m] = logsumexp[n](S)",
    "two groupings": "Q[h,m,e], K[g,n,e], V[z,n,f]) -> O:\n    require H % G == 0 and H % Z == 0\n"
    "    S[h,m,n] = Q * K[h // (H // G),n,e]\n    O[h,m,f] = softmax[n](S) * V[h // (H // Z),n,f]",
}


def ran(
    attention: Attention, target: str = "cpu", dtype: torch.dtype = torch.float32, **extents: int
) -> list[StageRun]:
    """What ran; every output keeps the contract."""
    program = attention.program()
    used = {index for item in program.stated.inputs for index in item.indices}
    sizes = {index: extent for index, extent in {**SHAPE, "z": 3, **extents}.items() if index in used}
    inputs = draw(program.stated, sizes, {}, dtype, 3)
    with fresh_memory_is_nan():
        outputs, runs = execute(program, bind(program.stated, (), inputs), find_target(target))
    judged = references(program.stated, inputs, {name: value.dtype for name, value in outputs.items()})
    verdicts = [judge(name, value, judged[name]) for name, value in outputs.items()]
    assert [f"{v.output}: {v.error:.3g} > {v.allowed:.3g}" for v in verdicts if not v.passed] == []
    return runs


@pytest.mark.parametrize("dtype", thinned([torch.float32, torch.bfloat16, torch.float64], 2), ids=str)
@pytest.mark.parametrize("name", SPECS)
def test_heads_of_a_group_are_rows_of_one_tile(name: str, dtype: torch.dtype) -> None:
    attention = attnc.compile(f"attention p({SPECS[name]}")
    share = 6 if name == "one key head" else 3
    for rows in (1, 3, 15):
        assert [run.packed for run in ran(attention, dtype=dtype, m=rows)] == [share]


@pytest.mark.parametrize("name", SPECS)
def test_in_the_interpreter_of_triton(name: str) -> None:
    attention = attnc.compile(f"attention p({SPECS[name]}")
    assert all(run.packed > 1 for run in ran(attention, "sm_90"))


@pytest.mark.parametrize("name", APART)
def test_heads_that_do_not_share_stay_apart(name: str) -> None:
    attention = attnc.compile(f"attention p({APART[name]}")
    assert attention.program().packs == {}
    assert [run.packed for run in ran(attention)] == [1]


def test_many_rows_and_unshared_heads_are_as_before() -> None:
    attention = attnc.compile(f"attention p({SPECS['grouped']}")
    assert [run.packed for run in ran(attention, m=16)] == [1]
    assert [run.packed for run in ran(attention, h=2)] == [1]
    assert [run.packed for run in ran(attention, m=0)] == [1]


def test_packed_streams_are_cut_into_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNC_SPANS", "3")
    for target in ("cpu", "sm_90"):
        (run,) = ran(attnc.compile(f"attention p({SPECS['by head']}"), target, n=500)
        assert (run.plan, run.spans, run.packed) == ("split", 3, 3) or target == "sm_90"
        assert run.packed == 3


def test_a_head_too_many_for_whole_groups_is_not_packed() -> None:
    spec = SPECS["grouped"].replace("    require H % G == 0\n", "").replace("r = H // G", "r = 4")
    attention = attnc.compile(f"attention p({spec}")
    assert [run.packed for run in ran(attention, h=8)] == [4]
    assert [run.packed for run in ran(attention, h=6)] == [1]


def test_an_example() -> None:
    attention = attnc.load(ROOT / "examples" / "04_gqa_sink_window.attn")
    assert [run.packed for run in ran(attention, "sm_90", h=4, m=1)] == [2]


def test_an_explanation_says_so() -> None:
    attention = attnc.compile(f"attention p({SPECS['grouped']}")
    told = attention.explain(shape={"b": 1, "h": 6, "g": 2, "m": 1, "n": 77, "e": 16, "f": 16})
    assert "tiles of m, 3 heads that share their keys in one" in str(told)
    told = attention.explain(shape={"b": 1, "h": 6, "g": 2, "m": 64, "n": 77, "e": 16, "f": 16})
    assert "share their keys" not in str(told)
