"""What the backward of known mechanisms is derived to: passes, stages, what is held."""

from pathlib import Path

import pytest

import attnc
from attnc.ir.cascade import Map, Reduce
from attnc.ir.stage import Stream
from attnc.ir.walk import walk
from attnc.runtime.explain_backward import backward_facts
from tests.gradients.run import backward_of

EXAMPLES = {file.stem[3:]: file for file in (Path(__file__).parents[2] / "examples").glob("[01]*.attn")}
ONE_EACH = ["causal_softmax", "alibi", "softcap_window", "sigmoid", "documents", "differential", "l2_normalised"]


@pytest.mark.parametrize("name", [*ONE_EACH, "entropy", "score_moments", "gqa_sink_window"])
def test_keys_are_read_once_per_tile_of_queries_and_queries_once_per_tile_of_keys(name: str) -> None:
    assert backward_facts(attnc.load(EXAMPLES[name]).program())["passes"] == {"m": 1, "n": 1}


def test_the_row_constant_of_softmax_is_derived_as_a_stage_of_rows() -> None:
    ((_, program),) = backward_of(attnc.load(EXAMPLES["causal_softmax"])).steps
    assert program is not None
    rows = program.plan.stages[0]
    assert isinstance(rows, Stream)
    assert rows.stream is None
    assert rows.parallel == "m"
    (finish,) = rows.monoid.finishes
    assert finish.tensor == "dA_sum"
    assert "f" not in finish.indices
    tensor = program.explicit.tensor("dA_sum")
    assert tensor is not None
    assert isinstance(tensor.parts[0].value, Reduce)
    assert tensor.parts[0].value.over == ("f",)


def test_no_reference_is_kept_while_gradients_of_softmax_are_summed() -> None:
    ((_, program),) = backward_of(attnc.load(EXAMPLES["causal_softmax"])).steps
    assert program is not None
    streams = [stage for stage in program.streams if stage.stream is not None]
    assert [len(stage.monoid.gauges) for stage in streams] == [0, 0]
    powers = [node for stage in streams for node in walk(stage.monoid) if isinstance(node, Map) and node.op == "exp"]
    assert powers
    assert all(isinstance(item.args[0], Map) and item.args[0].op == "shift" for item in powers)


HELD = {
    "causal_softmax": ("A_max_kept", "A_sum_log", "K", "O", "Q", "V"),
    "softcap_window": ("A_sum_kept", "K", "O", "Q", "V"),
    "sigmoid": ("K", "Q", "V", "beta"),
    "differential": (
        "A1_max_kept",
        "A1_sum_log",
        "A2_max_kept",
        "A2_sum_log",
        "K1",
        "K2",
        "O_kept",
        "O_part1_kept",
        "Q1",
        "Q2",
        "V",
        "lam",
    ),
}


@pytest.mark.parametrize("name", HELD)
def test_what_is_held_is_the_minimum(name: str) -> None:
    assert backward_facts(attnc.load(EXAMPLES[name]).program())["saved"] == list(HELD[name])


PROJECTED = """attention projected(X[b,p,d], Wq[h,d,e], Wk[h,d,e], V[b,h,n,e]) -> O:
    index m < P, n < P
    Q[b,h,m,e] = sum[d](X[b,m,d] * Wq)
    K[b,h,n,e] = sum[d](X[b,n,d] * Wk)
    O[b,h,m,e] = softmax[n](sum[e](Q * K)) * V
"""


def test_projections_are_run_again_in_place_of_being_held() -> None:
    facts = backward_facts(attnc.compile(PROJECTED).program())
    assert set(facts["again"]) == {"Q", "K"}
    assert {"X", "Wq", "Wk"} <= set(facts["saved"])
    assert not {"Q", "K"} & set(facts["saved"])
    assert facts["gradients"] == ["V", "Wk", "Wq", "X"]


MERGED = """attention lightnet(Q[b,h,m,e], KL[b,h,n,e], V[b,h,n,f]) -> O:
    index N - M <= m < N
    A[b,h,m,n,e] = softmax[n](KL where n <= m)
    O[b,h,m,f] = sum[e,n](Q * A * V)

attention lightnet_block(X[b,n,d], WQ[d,h,e], WK[d,h,e], WV[d,h,f], WO[h,f,d]) -> Y:
    index m < N
    Q[b,h,m,e] = silu(sum[d](X[b,m,d] * WQ[d,h,e]))
    KL[b,h,n,e] = X * WK
    V[b,h,n,f] = X * WV
    O[b,h,m,f] = lightnet(Q, KL, V)
    Y[b,m,d] = O * WO
"""


def test_passes_are_counted_where_an_index_stands_for_one_that_the_backward_lacks() -> None:
    assert backward_facts(attnc.compile(MERGED).program())["passes"]
