"""`attnc compile`: a folder that runs without its spec, and kernels for machines that are not here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import attnc
from attnc import AttnError
from attnc.cli import main
from attnc.runtime.compiled import CompiledAttention
from attnc.runtime.files import read_tensors, write_tensors

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SCRIPT = """
import sys, torch
from launch import attention
import attnc.runtime.files as files
out = attention(**files.read_tensors(__import__("pathlib").Path("in.safetensors")))
names = ["O", "L"]
files.write_tensors(__import__("pathlib").Path("out.safetensors"), dict(zip(names, out)))
heavy = ("lark", "sympy", "networkx", "jinja2", "attnc.passes", "attnc.codegen", "attnc.grammar.parse")
print(sorted(name for name in sys.modules if name.startswith(heavy)))
"""


def compiled(folder: Path, spec: Path, *arguments: str) -> Path:
    assert main(["compile", str(spec), "-o", str(folder), *arguments]) == 0
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spec compiled for this machine, and then removed."""
    home = tmp_path_factory.mktemp("compiled")
    spec = Path(shutil.copy(EXAMPLES / "04_gqa_sink_window.attn", home))
    compiled(home / "out", spec, "--shape", "e=8,f=4", "-O", "W=5")
    spec.unlink()
    return home / "out"


def test_a_folder_runs_in_a_process_without_the_spec_and_the_compiler(folder: Path) -> None:
    inputs = {
        "Q": torch.randn(1, 4, 9, 8),
        "K": torch.randn(1, 2, 9, 8),
        "V": torch.randn(1, 2, 9, 4),
        "sink": torch.rand(4),
    }
    write_tensors(folder / "in.safetensors", inputs)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CXX": "", "PATH": "", "ATTNC_CACHE": "/dev/null/none"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"
    wanted = attnc.load(EXAMPLES / "04_gqa_sink_window.attn")(*inputs.values(), W=5)
    found = read_tensors(folder / "out.safetensors")
    assert torch.equal(found["O"], wanted.O)
    assert torch.equal(found["L"], wanted.L)


def test_the_manifest_says_what_was_compiled(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["attention"] == "sink_window"
    assert manifest["inputs"]["K"] == ["b", "g", "n", "e"]
    assert manifest["outputs"] == ["O", "L"]
    assert manifest["options"] == {"W": 5, "SINK": 4}
    (kernel,) = manifest["kernels"]
    assert (kernel["role"], kernel["target"], kernel["extents"]) == ("forward", "cpu", {"e": 8, "f": 4})
    assert (folder / kernel["binary"]).read_bytes()[:4] == b"\x7fELF"
    assert "attnc_run" in (folder / kernel["source"]).read_text()
    assert kernel["resources"]["tile_bytes"] > 0


def call(attention: CompiledAttention, **changed: Any) -> Any:
    tensors = {
        "Q": torch.randn(1, 4, 9, 8),
        "K": torch.randn(1, 2, 9, 8),
        "V": torch.randn(1, 2, 9, 4),
        "sink": torch.rand(4),
    }
    return attention(**{**tensors, **changed})


WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "another type": ("A631", {"Q": torch.randn(1, 4, 9, 8, dtype=torch.bfloat16)}),
    "another head dim": ("A631", {"V": torch.randn(1, 2, 9, 5)}),
    "a gradient": ("A401", {"Q": torch.randn(1, 4, 9, 8, requires_grad=True)}),
    "an unknown name": ("A606", {"W": 3}),
    "a missing input": ("A605", {"K": None}),
    "heads that do not divide": ("A608", {"Q": torch.randn(1, 3, 9, 8), "sink": torch.rand(3)}),
}


@pytest.mark.parametrize(("code", "changed"), WRONG.values(), ids=WRONG)
def test_what_was_not_compiled_is_refused(folder: Path, code: str, changed: dict[str, Any]) -> None:
    with pytest.raises(AttnError) as found:
        call(CompiledAttention(folder), **changed)
    assert found.value.code == code


def test_other_lengths_are_served(folder: Path) -> None:
    attention = CompiledAttention(folder)
    for length in (0, 1, 65):
        out = call(attention, Q=torch.randn(1, 4, length, 8), K=torch.randn(1, 2, 70, 8), V=torch.randn(1, 2, 70, 4))
        assert out.O.shape == (1, 4, length, 4)


@pytest.mark.parametrize("damage", ["manifest.json", "program.json"])
@pytest.mark.parametrize("text", [None, "", "{}", "[1, 2]", '{"attention": 3'])
def test_a_damaged_folder_is_told(damage: str, text: str | None, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / damage).unlink()
    if text is not None:
        (tmp_path / "copy" / damage).write_text(text)
    with pytest.raises(AttnError) as found:
        call(CompiledAttention(tmp_path / "copy"))
    assert found.value.code == "A635"


def test_a_binary_for_another_processor_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["kernels"][0]["needs"].append("avx4096")
    (tmp_path / "copy" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(AttnError, match="avx4096") as found:
        call(CompiledAttention(tmp_path / "copy"))
    assert found.value.code == "A631"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    spec = str(EXAMPLES / "01_causal_softmax.attn")
    assert main(["compile", spec, "--shape", "e=8,f=8", "-o", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.startswith("error[A623]")


def test_a_spec_without_a_stream_compiles_to_a_folder_that_runs(tmp_path: Path) -> None:
    spec = tmp_path / "scale.attn"
    spec.write_text("attention scale(X[m], by[] = 2) -> O:\n    O[m] = by * X\n")
    attention = CompiledAttention(compiled(tmp_path / "out", spec))
    assert attention(torch.ones(3)).tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("beta", [None, 2.0, torch.tensor(2.0, dtype=torch.bfloat16)])
def test_an_optional_input_may_be_left_out_in_any_type(beta: Any, tmp_path: Path) -> None:
    spec = EXAMPLES / "05_sigmoid.attn"
    attention = CompiledAttention(compiled(tmp_path, spec, "--shape", "e=8,f=8", "--dtype", "bf16"))
    x = torch.randn(1, 2, 9, 8, dtype=torch.bfloat16)
    assert torch.equal(attention(x, x, x, beta), attnc.load(spec)(x, x, x, beta))


@pytest.mark.offline
@pytest.mark.parametrize("target", ["sm_80", "sm_90", "sm_100", "gfx942"])
def test_kernels_for_machines_that_are_not_here(target: str, tmp_path: Path) -> None:
    spec = EXAMPLES / "01_causal_softmax.attn"
    call_ = ["compile", str(spec), "--target", target, "--dtype", "bf16", "--shape", "e=64,f=64", "-o", str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    subprocess.run([sys.executable, "-m", "attnc", *call_], env=environment, cwd=ROOT, check=True)
    (kernel,) = json.loads((tmp_path / "manifest.json").read_text())["kernels"]
    assert kernel["target"] == target
    assert (tmp_path / kernel["binary"]).read_bytes()[:4] == b"\x7fELF"
    assert kernel["resources"]["registers"] > 0
    assert kernel["resources"]["shared"] > 0
