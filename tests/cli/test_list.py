"""`attnc list` says what the compiler finds, of every entry of the library."""

import json
from pathlib import Path
from typing import Any

import pytest

from attnc.cli import main
from attnc.library import Spec
from attnc.runtime.catalogue import Entry, entry, listed
from attnc.source import Source
from tests.stdlib.cases import entries

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
    return entry(Spec(Source(name, SPECS[name]), None, None), name, "tests")


def rows(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["list", "--json", *words]) == 0
    return {row["name"]: row for row in json.loads(capsys.readouterr().out)["entries"]}


def test_every_file_of_a_family_is_one_entry_and_every_attention_of_a_module() -> None:
    files = [file for file, _ in listed()]
    assert set(entries()) <= set(files)
    assert all(files.count(file) == 1 for file in entries())
    assert len({names[-1] for _, names in listed()}) == len(listed())


def test_a_row_is_what_was_derived(capsys: pytest.CaptureFixture[str]) -> None:
    assert rows(capsys, "alibi") == {
        "alibi": {
            "paper": "Press et al., 2022",
            "slug": "attention",
            "family": "attention",
            "name": "alibi",
            "attentions": ["alibi"],
            "summary": "A linear bias on distance in place of position embeddings (Press et al., 2022).",
            "confidence": "high",
            "weights": "softmax",
            "patterns": ["causal"],
            "passes": {"n": {"written": 3, "derived": 1, "bound": 1}},
            "stages": [{"name": "O", "plan": "stream", "backend": "cpp, triton", "heavy": False, "refusal": None}],
            "fused": {"forward": True, "backward": True},
            "refusals": [],
        }
    }


def test_a_family_is_listed_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(capsys, "attention")
    assert found["window_softmax"]["patterns"] == ["causal", "window"]
    assert found["sink_softmax"]["patterns"] == ["causal", "virtual keys"]
    assert found["document_softmax"]["patterns"] == ["causal", "by data"]
    assert found["causal_softmax_gqa"]["patterns"] == ["causal", "shared heads"]
    assert found["sigmoid_attention"]["weights"] == "normaliser-free"
    assert found["causal_linear"]["weights"] == "linear"
    assert {row["family"] for row in found.values()} == {"attention"}


def test_a_file_tells_its_paper_and_how_sure_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = rows(capsys, "gnmt_attention").values()
    assert row["paper"].startswith("Google's Neural Machine Translation System: ")
    assert row["paper"].endswith(" (Wu et al., 2016)")
    assert (row["slug"], row["family"], row["name"]) == ("gnmt_attention", "score-mod", "gnmt_attention")
    assert "gnmt_decoder" in row["attentions"]
    assert row["confidence"].startswith("medium - ")


def test_the_table_has_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "tempscale"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split()[0] == "attention"
    assert line.startswith("tempscale  score-mod  full")
    assert "3/1/1 over n" in line
    assert "forward, backward" in line


@pytest.mark.exhaustive
def test_no_entry_runs_into_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    for row in rows(capsys).values():
        assert row["summary"]
        assert row["paper"] or row["family"] == "attention"
        assert row["weights"] in ("softmax", "exponential", "normaliser-free", "linear", "recurrent", "selected")
        assert not any(code.startswith("A9") for code in row["refusals"]), row


def test_slower_plans_are_named() -> None:
    top = found("top")
    assert {row.plan for row in top.stages if row.heavy} == {"host"}
    assert top.fused == {"forward": False, "backward": False}
    assert "ORDER" in top.refusals or "STATE" in top.refusals
    assert found("weights").fused["forward"]
    assert found("weights").passes["n"]["derived"] > 1


@pytest.mark.parametrize(
    ("name", "kind"), [("unit", "exponential"), ("top", "selected"), ("total", "recurrent"), ("weights", "softmax")]
)
def test_weights_are_told_apart(name: str, kind: str) -> None:
    assert found(name).weights == kind


def test_a_window_bounds_the_loop_from_both_sides() -> None:
    assert found("near").patterns == ("causal", "window")


def test_pages_are_written_into_a_folder(tmp_path: Path) -> None:
    assert main(["list", "window_softmax", "--pages", str(tmp_path / "pages")]) == 0
    page = (tmp_path / "pages" / "library.md").read_text()
    assert "![window_softmax](masks/window_softmax.svg)<br>W = 6" in page
    assert (tmp_path / "pages" / "masks" / "window_softmax.svg").read_text().startswith("<svg")
