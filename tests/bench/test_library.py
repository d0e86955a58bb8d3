"""`attnc bench cpu --stdlib`: what is timed is the same function as the definition, what is not has its reason."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from attnc.bench import speed, timing
from attnc.bench.drawn import inputs
from attnc.bench.entries import OWN, Entry, Extents, entries
from attnc.bench.plain import needed_bytes, plain
from attnc.bench.speed import measured
from attnc.bench.timing import Budget
from attnc.cli import main
from attnc.contract import judge, references
from attnc.ir.interpret import run
from attnc.library import standard_attentions
from attnc.runtime.attention import Attention
from attnc.runtime.bind import bind
from attnc.runtime.catalogue import listed

TINY = ("--n", "64", "--d", "16", "--heads", "2", "--repeat", "1")
FIELDS = {"family", "slug", "name", "shape", "options", "milliseconds", "ratio", "rounds", "passed", "reason"}
SMALL = Extents(64, 2, 16)


@pytest.fixture(autouse=True)
def _small_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "PEAK_SIZES", (64,))


def entry(name: str) -> Entry:
    (found,) = entries(name)
    return found


def benched(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    assert main(["bench", "cpu", "--stdlib", *words, *TINY, "--json"]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_an_entry_is_timed_beside_its_definition(capsys: pytest.CaptureFixture[str]) -> None:
    found = benched(capsys, "alibi")
    (item,) = found["entries"]
    assert item.keys() == FIELDS
    assert item["shape"] == {"b": 1, "h": 2, "m": 64, "e": 16, "n": 64, "f": 16}
    assert item["ratio"] == item["milliseconds"]["PyTorch"] / item["milliseconds"]["attnc"] == found["median_ratio"]
    assert item["passed"]
    assert found["command"].startswith("attnc bench cpu --stdlib alibi --n 64 --d 16 --heads 2 --repeat 1")


def test_the_page_has_every_entry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "speed.md"
    assert main(["bench", "cpu", "--stdlib", "fusemax", *TINY, "--markdown", str(page)]) == 0
    assert "0 of 1 entries are timed; no ratio" in page.read_text()
    assert main(["bench", "cpu", "--stdlib", "tempscale", *TINY, "--markdown", str(page)]) == 0
    assert "the median ratio is" in page.read_text()
    assert "| tempscale | score-mod |" in page.read_text()
    assert "the median ratio is" in capsys.readouterr().out


# ---- the definition in plain PyTorch ------------------------------------------------------------

TOLD = ("causal_softmax_gqa", "sink_softmax", "landmark", "gnmt_attention", "user_steering", "waad_fai")


@pytest.mark.parametrize("name", TOLD)
def test_plain_pytorch_is_the_definition(name: str) -> None:
    item = entry(name)
    stated = item.attention.program(item.options).stated
    shape = item.shape(stated, SMALL)
    assert shape is not None
    given = inputs(stated, shape, torch.float64)
    bound = bind(stated, (), given)
    exact = run(stated, bound.tensors, sizes=bound.sizes).outputs
    found = plain(stated, bound.tensors, bound.sizes, torch.float64)
    torch.testing.assert_close(found, exact, rtol=1e-9, atol=1e-9)


def test_rows_without_a_key_are_zero_in_plain_pytorch() -> None:
    item = entry("document_softmax")
    stated = item.attention.program().stated
    given = inputs(stated, item.shape(stated, SMALL) or {}, torch.float32)
    given["doc_q"] = torch.full_like(given["doc_q"], 9)
    bound = bind(stated, (), given)
    assert not plain(stated, bound.tensors, bound.sizes, torch.float32)["O"].any()


# ---- what is not timed --------------------------------------------------------------------------


def reason(name: str, limit: float = 60.0) -> str:
    return measured(entry(name), SMALL, Budget(repeat=1), torch.float32, limit).reason


def test_what_is_not_fused_says_why() -> None:
    assert reason("fusemax").startswith("not fused: ")


def test_what_does_not_fit_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    stated = entry("alibi").attention.program().stated
    needed = needed_bytes(stated, {"b": 1, "h": 2, "m": 1024, "n": 1024, "e": 64, "f": 64})
    assert needed == 4 * 4 * 2 * 1024 * 1024
    monkeypatch.setattr(speed, "_free_bytes", lambda: 1000)
    assert "MiB are free" in reason("alibi")


def test_what_takes_too_long_says_so() -> None:
    assert reason("alibi", limit=1e-3) == "not done after 0.001 s"


def test_when_time_is_up_nothing_more_is_begun(capsys: pytest.CaptureFixture[str]) -> None:
    found = benched(capsys, "attention", "--within", "1e-9")
    assert {item["reason"] for item in found["entries"]} == {"not begun: time was up"}
    assert found["median_ratio"] is None


@pytest.mark.parametrize("who", ["attnc", "PyTorch"])
def test_a_wrong_result_has_no_ratio(
    who: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def off(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrong(*arguments: Any, **named: Any) -> Any:
            found = call(*arguments, **named)
            return {name: value + 0.01 for name, value in found.items()} if isinstance(found, dict) else found + 0.01

        return wrong

    if who == "attnc":
        monkeypatch.setattr(Attention, "__call__", off(Attention.__call__))
    else:
        monkeypatch.setattr(speed, "plain", off(plain))
    (item,) = benched(capsys, "alibi", code=1)["entries"]
    assert not item["passed"]
    assert item["ratio"] is None


# ---- which are timed, and at what ---------------------------------------------------------------


def test_own_extents_are_of_attentions() -> None:
    assert OWN.keys() <= standard_attentions().keys()


@pytest.mark.exhaustive
def test_every_entry_of_the_list_has_a_line() -> None:
    assert [item.slug for item in entries()] == [file.stem for file, _ in listed()]


@pytest.mark.exhaustive
def test_every_fused_entry_has_extents_of_the_length() -> None:
    for item in entries():
        program = item.attention.program(item.options)
        shape = item.shape(program.stated, Extents())
        assert program.heavy or shape is not None, item.name
        on_a_map = item.name in ("natten3d", "mixformer_cvt")
        assert shape is None or on_a_map or max(shape.values()) >= 1000, (item.name, shape)


def test_an_extent_that_others_give_is_as_large_as_they_say() -> None:
    item = entry("autoint")
    shape = item.shape(item.attention.program().stated, Extents())
    assert shape is not None
    assert shape["c"] == shape["h"] * shape["f"] == 512


def test_weights_keep_what_they_project_as_wide_as_it_is() -> None:
    item = entry("l_query_attention")
    stated = item.attention.program().stated
    given = inputs(stated, item.shape(stated, Extents(96)) or {}, torch.float64)
    keys = run(stated, bind(stated, (), given).tensors, keep=["K"]).values["K"]
    assert 0.8 < float(given["x"].std()) < 1.2
    assert 0.8 < float(keys.std()) < 1.2


def broken(item: Entry) -> list[str]:
    """The outputs of plain PyTorch that break the contract at a short length."""
    stated = item.attention.program(item.options).stated
    shape = item.shape(stated, replace(SMALL, length=96))
    if shape is None:
        return []
    bound = bind(stated, (), inputs(stated, shape, torch.float32))
    found = plain(stated, bound.tensors, bound.sizes, torch.float32)
    right = references(stated, bound.tensors, {name: value.dtype for name, value in found.items()})
    return [f"{item.name}: {name}" for name, value in found.items() if not judge(name, value, right[name]).passed]


@pytest.mark.exhaustive
def test_plain_pytorch_keeps_the_contract() -> None:
    fused = (item for item in entries() if not item.attention.program(item.options).heavy)
    assert [wrong for item in fused for wrong in broken(item)] == []
