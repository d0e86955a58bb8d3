"""Kernels compile for GPUs that are not here: every example and variant, forward, in 16 bits."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import attnc
from tests.programs.generate import variants, written

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("[01]*.attn"))[:11]
TARGETS = ("sm_80", "sm_90", "sm_100", "gfx942")


def compiled(spec: Path, shape: dict[str, int], target: str) -> subprocess.CompletedProcess[str]:
    extents = ",".join(f"{index}={extent}" for index, extent in shape.items())
    command = [sys.executable, "-m", "attnc", "compile", str(spec), "--target", target, "--dtype", "bf16", "--json"]
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    return subprocess.run(
        [*command, "--shape", extents], capture_output=True, text=True, env=environment, check=False, cwd=ROOT
    )


@pytest.mark.offline
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("width", [64, 128])
@pytest.mark.parametrize("spec", EXAMPLES, ids=lambda path: path.stem)
def test_examples_compile(spec: Path, width: int, target: str) -> None:
    indices = {index for item in attnc.load(spec).program().stated.inputs for index in item.indices}
    done = compiled(spec, dict.fromkeys(indices & {"d", "e", "f"}, width), target)
    assert done.returncode == 0, done.stderr
    assert '"registers":' in done.stdout


@pytest.mark.offline
@pytest.mark.parametrize("target", ["sm_90", "gfx942"])
@pytest.mark.parametrize("spec", variants(), ids=lambda path: path.stem)
def test_variants_compile(spec: Path, target: str) -> None:
    done = compiled(spec, written(spec).shape, target)
    assert done.returncode == 0, done.stderr
    assert '"registers":' in done.stdout
