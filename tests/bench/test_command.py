"""`attnc bench cpu` on tiny shapes: every row runs and is judged, what is wrong fails, files are what they say."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from attnc.bench import timing
from attnc.bench.rows import ROWS
from attnc.bench.suite import USUAL
from attnc.cli import main
from attnc.runtime.backward import backward
from attnc.runtime.execute import execute

TINY = ("--n", "64", "--d", "16", "--repeat", "1", "--no-flex")
NO_SDPA = {"softcap", "sigmoid", "relu-squared"}
FIELDS = {"row", "batch", "heads", "key_heads", "queries", "keys", "width", "dtype", "device", "direction", "passed"}
FIELDS |= {"ratios", "rate", "operations", "rounds", "milliseconds", "fastest", "errors", "missing"}
HEAD = {"processor", "cores", "threads", "features", "caches", "versions", "date", "command", "peaks", "device"}
HEAD |= {"measurements", "correctness", "not_measured"}


@pytest.fixture(scope="module", autouse=True)
def _small_peak() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "PEAK_SIZES", (64,))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one run over all rows writes."""
    found = tmp_path_factory.mktemp("bench")
    files = [f"--{kind}={found / name}" for kind, name in (("json", "t.json"), ("markdown", "t.md"), ("plot", "t.svg"))]
    assert main(["bench", "cpu", *TINY, "--dtype", "fp32", *files]) == 0
    return found


@pytest.fixture(scope="module")
def table(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "t.json").read_text())
    return found


def benched(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> list[dict[str, Any]]:
    assert main(["bench", "cpu", *TINY, *words, "--json"]) == code
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["measurements"]
    return found


def test_every_row_runs_and_passes_in_both_directions(table: dict[str, Any]) -> None:
    ran = [(item["row"], item["direction"]) for item in table["measurements"]]
    usual = [row for row in ROWS if row.name in USUAL["cpu"].rows]
    trained = [(row.name, "backward") for row in usual if row.queries is None]
    assert sorted(ran) == sorted([(row.name, "forward") for row in usual] + trained)
    for item in table["measurements"]:
        assert item["passed"]
        assert 0 < item["errors"]["attnc"] <= 1
        assert item["milliseconds"]["attnc"] > 0
        assert item["rounds"] == 1


def test_sdpa_computes_the_same_where_it_can(table: dict[str, Any]) -> None:
    for item in table["measurements"]:
        assert ("SDPA" in item["milliseconds"]) == (item["row"] not in NO_SDPA)
        if item["row"] in NO_SDPA:
            assert item["missing"]["SDPA"]
            assert item["ratios"]["SDPA"] is None
        else:
            assert item["errors"]["SDPA"] <= 1
            assert item["ratios"]["SDPA"] == item["milliseconds"]["SDPA"] / item["milliseconds"]["attnc"]


def test_the_json_has_its_fields(table: dict[str, Any]) -> None:
    assert table.keys() == HEAD
    assert table["threads"] == torch.get_num_threads()
    assert table["versions"]["torch"] == torch.__version__
    assert table["command"].startswith("attnc bench cpu --n 64 --d 16 --dtype fp32")
    assert table["peaks"].keys() == {"fp32"}
    for item in table["measurements"]:
        assert item.keys() == FIELDS
        operations = {"forward": 4, "backward": 10}[item["direction"]]
        assert item["operations"] % (operations * item["width"] * item["heads"]) == 0
        assert item["rate"] == pytest.approx(1e3 * item["operations"] / item["milliseconds"]["attnc"])


def test_the_markdown_is_one_table(folder: Path, table: dict[str, Any]) -> None:
    text = (folder / "t.md").read_text()
    rows = [line for line in text.split("\n") if line.startswith("|")]
    assert len(rows) == 2 + len(table["measurements"])
    assert len({line.count("|") for line in rows}) == 1
    assert text.startswith("# attnc beside PyTorch on a CPU\n")
    for part in (table["processor"], f"`{table['command']}`", "SDPA, sigmoid, relu-squared: its weights are always"):
        assert part in text


@pytest.mark.parametrize(("name", "start"), [("t.svg", b"<?xml"), ("t.png", b"\x89PNG")])
def test_the_plot_is_a_picture(name: str, start: bytes, folder: Path) -> None:
    if name.endswith("png"):
        assert main(["bench", "cpu", *TINY, "--rows", "full", "--no-backward", "--plot", str(folder / name)]) == 0
    assert (folder / name).read_bytes().startswith(start)


def test_bf16_is_judged_as_bf16(capsys: pytest.CaptureFixture[str]) -> None:
    found = benched(capsys, "--rows", "sink", "--dtype", "bf16")
    assert [item["dtype"] for item in found] == ["bf16"] * 2
    assert all(item["passed"] and 0 < item["errors"]["attnc"] <= 1 for item in found)


def test_flex_takes_part_with_masks_scores_and_a_sink(capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for word in TINY if word != "--no-flex"]
    assert main(["bench", "cpu", *words, "--rows", "sink,sigmoid", "--dtype", "fp32", "--json"]) == 0
    sink, sink_backward, sigmoid, _ = json.loads(capsys.readouterr().out)["measurements"]
    assert sink["errors"]["Flex"] <= 1, sink
    assert sink["ratios"]["Flex"] > 0
    assert sink_backward["missing"] == {"Flex": "it has no backward on a CPU"}
    assert "softmax" in sigmoid["missing"]["Flex"]


# ---- what is wrong ------------------------------------------------------------------------------


def off_at(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., Any]:
    def wrong(*arguments: Any) -> Any:
        outputs, runs = execute(*arguments)
        return {name: change(value) for name, value in outputs.items()}, runs

    return wrong


def late(value: torch.Tensor) -> torch.Tensor:
    """Wrong in the last row of a long call only, which a comparison at few keys does not see."""
    return value + 0.01 * (torch.arange(value.shape[2]) == 899)[:, None]


WRONGS = {"everywhere": lambda value: value + 0.01, "late": late, "nan": lambda value: value * float("nan")}


@pytest.mark.parametrize("name", WRONGS)
def test_a_wrong_forward_fails(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--rows", "causal", "--dtype", "fp32", "--no-backward", "--n", "900")
    monkeypatch.setattr("attnc.runtime.attention.execute", off_at(WRONGS[name]))
    (item,) = benched(capsys, *words, code=1)
    assert not item["passed"]
    assert item["ratios"]["SDPA"] is None
    assert item["rate"] is None
    assert main(["bench", "cpu", *TINY, *words]) == 1
    said = capsys.readouterr().out
    assert "FAILS" in said
    assert "attnc, causal (fp32 forward): FAILS the numerics contract" in said


@pytest.mark.parametrize("name", ["Q", "K", "V"])
def test_a_wrong_gradient_fails(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def wrong(*arguments: Any) -> Any:
        found = backward(*arguments)
        keys = found[name].shape[2]
        return found | {name: found[name] * (1 + 0.01 * (keys > 512))}  # on long calls only

    words = ("--rows", "full", "--dtype", "fp32", "--n", "600")
    monkeypatch.setattr("attnc.runtime.autograd.backward", wrong)
    forward, failed = benched(capsys, *words, code=1)
    assert forward["passed"]
    assert not failed["passed"]
    assert failed["errors"]["SDPA"] <= 1


BAD = {
    "--n": ("0", "-4", "many", "64,", "1e3"),
    "--d": ("x",),
    "--heads": ("0",),
    "--repeat": ("0",),
    "--seconds": ("0", "inf", "nan", "soon"),
    "--rows": ("",),
    "--dtype": (",",),
}


@pytest.mark.parametrize(("flag", "value"), [(flag, value) for flag, values in BAD.items() for value in values])
def test_bad_numbers_are_told_with_the_argument(flag: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["bench", "cpu", f"{flag}={value}"])
    assert done.value.code == 2
    assert f"argument {flag}: " in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--json", "--markdown", "--plot"])
def test_a_file_that_cannot_be_written_is_told_before_anything_is_measured(
    flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.svg").mkdir()
    for path in (tmp_path / "a.svg", tmp_path / "missing" / "b.svg"):
        assert main(["bench", "cpu", flag, str(path)]) == 2
        said = capsys.readouterr()
        assert said.err.startswith("error[A623]")
        assert said.out == ""
