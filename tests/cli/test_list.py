"""`attnc list` says what the compiler finds, of every attention of the library."""

import json

import pytest

from attnc.cli import main
from attnc.library import Spec, standard_attentions
from attnc.runtime.catalogue import Entry, entry
from attnc.source import Source

QKV = "Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]"
SCORES = "    S[b,h,m,n] = Q * K / sqrt(E)\n"
SPECS = {
    "weights": (f"attention x({QKV}) -> O, A:\n{SCORES}    A[b,h,m,n] = softmax[n](S)\n    O[b,h,m,f] = A * V\n"),
    "unit": f"attention x({QKV}) -> O:\n{SCORES}    X[b,h,m,n] = exp(S - max[n](S))\n    O[b,h,m,f] = X * V\n",
    "top": f"attention x({QKV}; k: int) -> O:\n{SCORES}    keep[b,h,m,n] = topk[n; k](S)\n"
    "    O[b,h,m,f] = sum[n](S * V where keep)\n",
    "total": "attention x(X[b,i,d]) -> H:\n    H[b,0,d] = X[b,0,d]\n    H[b,i+1,d] = 0.5 * H[b,i,d] + X\n",
    "near": f"attention x({QKV}) -> O:\n    index N - M <= m < N\n{SCORES}"
    "    O[b,h,m,f] = softmax[n](S where 0 <= m - n < 5) * V\n",
}


def found(name: str) -> Entry:
    return entry(Spec(Source(name, SPECS[name]), None, None))


def test_every_attention_of_the_library_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(rows) == set(standard_attentions())
    for row in rows.values():
        assert row["module"].startswith("std.")
        assert row["summary"]
        assert row["family"] in ("softmax", "exponential", "normaliser-free", "linear", "recurrent", "selected")
        assert row["plans"]["cpu"]
        assert row["plans"]["gpu"]
        assert not any(plan.startswith("A9") for plans in row["plans"].values() for plan in plans), row


def test_a_row_is_what_was_derived(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list", "--json"])
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["alibi"] == {
        "name": "alibi",
        "module": "std.attention",
        "summary": "A linear bias on distance in place of position embeddings (Press et al., 2022).",
        "paper": "Press et al., 2022",
        "family": "softmax",
        "patterns": ["causal"],
        "passes": {"n": 1},
        "plans": {"cpu": ["stream"], "gpu": ["stream"]},
    }
    assert rows["window_softmax"]["patterns"] == ["causal", "window"]
    assert rows["sink_softmax"]["patterns"] == ["causal", "virtual keys"]
    assert rows["document_softmax"]["patterns"] == ["causal", "by data"]
    assert rows["causal_softmax_gqa"]["patterns"] == ["causal", "shared heads"]
    assert rows["sigmoid_attention"]["family"] == "normaliser-free"
    assert rows["causal_linear"]["family"] == "linear"


def test_the_table_has_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(standard_attentions())
    assert lines[0].split()[0] == "attention"


def test_slower_plans_are_named() -> None:
    assert "heavy host" in found("top").plans["cpu"]
    assert found("weights").plans["cpu"] == ("stream",)
    assert found("weights").passes["n"] > 1


@pytest.mark.parametrize(
    ("name", "family"), [("unit", "exponential"), ("top", "selected"), ("total", "recurrent"), ("weights", "softmax")]
)
def test_families_are_told_apart(name: str, family: str) -> None:
    assert found(name).family == family


def test_a_window_bounds_the_loop_from_both_sides() -> None:
    assert found("near").patterns == ("causal", "window")
