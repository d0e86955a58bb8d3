"""What `attnc compile --report` says of two examples for every GPU target, kept beside this file as report.txt."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KEPT = Path(__file__).with_name("report.txt")
TARGETS = ("sm_80", "sm_90", "sm_100", "gfx942")
SPECS = ("01_causal_softmax", "02_alibi")


def reported(spec: str, target: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "attnc", "compile", f"examples/{spec}.attn", "--target", target, "--dtype", "bf16"]
    done = subprocess.run(
        [*command, "--shape", "e=64,f=64", "--report", "--backward"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return f"## {spec}\n{done.stdout}"


@pytest.mark.offline
def test_the_report_is_what_it_was(request: pytest.FixtureRequest) -> None:
    version = f"triton {importlib.metadata.version('triton')}\n"
    text = version + "".join(reported(spec, target) for spec in SPECS for target in TARGETS)
    if request.config.getoption("--update-golden"):
        KEPT.write_text(text, encoding="utf-8")
    kept = KEPT.read_text(encoding="utf-8")
    if not kept.startswith(version):
        pytest.skip(f"the report was kept for another Triton than {version.strip()}")
    assert text == kept
