"""`attnc run`: inputs from files, outputs to files, seeds, types and verdicts."""

import json
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

import attnc
from attnc.cli import main
from attnc.runtime import files
from attnc.runtime.execute import execute

SHAPE = "b=1,h=2,m=8,n=8,e=4,f=4"


def ran(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    assert main(["run", *arguments, "--json", "--repeat", "1"]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_inputs_and_outputs_go_through_files(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given, made = tmp_path / f"in.{kind}", tmp_path / f"out.{kind}"
    q, k, v = (torch.randn(1, 2, 8, 4) for _ in range(3))
    files.write_tensors(given, {"Q": q, "K": k, "V": v.mT.contiguous().mT})
    report = ran(capsys, "std:causal_softmax", "--inputs", str(given), "--outputs", str(made))
    assert report["verified"][0]["passed"]
    assert torch.equal(files.read_tensors(made)["O"], attnc.std.causal_softmax(q, k, v))
    assert [path.name for path in sorted(tmp_path.iterdir())] == [given.name, made.name]


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool]
)
def test_tensors_survive_a_file(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    file = tmp_path / f"t.{kind}"
    tensors = {
        "a": (10 * torch.randn(3, 5)).to(dtype),
        "allow_pickle": torch.zeros(()).to(dtype),
        "z": torch.ones(0, 4),
    }
    files.write_tensors(file, tensors)
    found = files.read_tensors(file)
    assert {name: tensor.tolist() for name, tensor in found.items()} == {n: t.tolist() for n, t in tensors.items()}
    if not (kind == "npz" and dtype == torch.bfloat16):  # NumPy has no such type: it is kept as float32
        assert found["a"].dtype == dtype


def test_files_of_others_are_read(tmp_path: Path) -> None:
    numpy.savez_compressed(tmp_path / "a.npz", Q=numpy.arange(6, dtype=">f4").reshape(2, 3)[:, ::-1])
    assert files.read_tensors(tmp_path / "a.npz")["Q"].tolist() == [[2, 1, 0], [5, 4, 3]]


@pytest.mark.parametrize(
    "array", [numpy.array(["a"]), numpy.array([1, "a", None], dtype=object), numpy.zeros(2, "M8[s]")]
)
def test_what_is_no_tensor_in_a_file_is_told(array: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numpy.savez(tmp_path / "a.npz", Q=array)
    assert main(["run", "std:causal_softmax", "--inputs", str(tmp_path / "a.npz")]) == 2
    assert capsys.readouterr().err.startswith("error[A622]")


@pytest.mark.parametrize(
    "name", ["missing.npz", "missing.safetensors", "folder.npz", "folder.safetensors", "text.safetensors"]
)
def test_what_is_no_file_of_tensors_is_told(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "text.safetensors").write_text("text")
    assert main(["run", "std:causal_softmax", "--inputs", str(tmp_path / name)]) == 2
    assert capsys.readouterr().err.startswith("error[A622]")


def test_a_file_may_hold_some_of_the_inputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files.write_tensors(tmp_path / "q.npz", {"Q": torch.zeros(1, 2, 8, 4)})
    report = ran(capsys, "std:causal_softmax", "--inputs", str(tmp_path / "q.npz"), "--shape", "n=8,f=3")
    assert report["inputs"]["V"] == "float32[1, 2, 8, 3]"
    files.write_tensors(tmp_path / "x.npz", {"X": torch.zeros(1)})
    assert main(["run", "std:causal_softmax", "--inputs", str(tmp_path / "x.npz"), "--shape", SHAPE]) == 2
    assert capsys.readouterr().err.startswith("error[A606]")


def test_a_seed_fixes_what_is_drawn(tmp_path: Path) -> None:
    def outputs(seed: str) -> torch.Tensor:
        file = tmp_path / "o.safetensors"
        arguments = ["--shape", SHAPE, "--seed", seed, "--outputs", str(file), "--no-verify", "--repeat", "0"]
        assert main(["run", "std:causal_softmax", *arguments]) == 0
        return files.read_tensors(file)["O"]

    assert torch.equal(outputs("1"), outputs("1"))
    assert not torch.equal(outputs("1"), outputs("2"))


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16", "fp64"])
def test_types_are_those_asked_for(dtype: str, capsys: pytest.CaptureFixture[str]) -> None:
    report = ran(capsys, "std:causal_softmax", "--shape", SHAPE, "--dtype", dtype, "--device", "cpu")
    assert report["outputs"]["O"].startswith({"fp32": "float32", "bf16": "bfloat16"}.get(dtype, "float"))
    assert report["verified"][0]["passed"]
    assert report["stages"] == [{"name": "O", "plan": "stream", "backend": "cpp", "refusal": None}]


def test_options_are_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(capsys, "std:window_softmax", "-O", "W=2", "--shape", SHAPE)["verified"][0]["passed"]
    assert main(["run", "std:window_softmax", "-O", "W=2.5", "--shape", SHAPE]) == 2
    assert main(["run", "std:window_softmax", "-O", "nothing=1", "--shape", SHAPE]) == 2


def test_a_wrong_result_is_told_and_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def wrong(*arguments: Any) -> Any:
        outputs, runs = execute(*arguments)
        return {name: value + 0.01 for name, value in outputs.items()}, runs

    monkeypatch.setattr("attnc.runtime.attention.execute", wrong)
    report = ran(capsys, "std:causal_softmax", "--shape", SHAPE, code=1)
    assert not report["verified"][0]["passed"]
    assert main(["run", "std:causal_softmax", "--shape", SHAPE]) == 1
    assert "O DIFFERS FROM the oracle" in capsys.readouterr().out


def test_a_slower_path_is_told_and_refused_if_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = Path(__file__).parents[1] / "errors" / "A310.attn"
    with pytest.warns(UserWarning, match="slower path"):
        report = ran(capsys, str(file), "--shape", SHAPE)
    assert {stage["refusal"] for stage in report["stages"]} >= {"STATE"}
    assert main(["run", str(file), "--strict", "--shape", SHAPE]) == 2
    assert capsys.readouterr().err.startswith("error[A310]")
