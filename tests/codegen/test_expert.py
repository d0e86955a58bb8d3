"""Generated causal attention against the same written by hand, compiled for the same target, tile and warps."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "examples" / "01_causal_softmax.attn"
SLACK = 1.05  # instructions other than matrix products, for each score


def run(*arguments: str) -> Any:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def others(loop: dict[str, int]) -> int:
    return sum(loop.values()) - loop["matrix"]


@pytest.mark.offline
@pytest.mark.parametrize("width", [64, 128])
@pytest.mark.parametrize("target", ["sm_80", "sm_90", "sm_100"])
def test_the_generated_kernel_is_as_good(target: str, width: int) -> None:
    asked = ["--target", target, "--dtype", "bf16", "--shape", f"e={width},f={width}", "--json", "--report"]
    (made,) = [row for row in run("attnc", "compile", str(SPEC), *asked) if row["role"] == "forward"]
    report = made["report"]
    rows, keys = report["tile"]
    choice = {"rows": rows, "keys": keys, "warps": report["warps"], "stages": report["stages"]}
    expert = run("tests.codegen.expert", json.dumps({"target": target, "width": width, **choice}))
    assert made["resources"]["spills"] <= expert["spills"]
    assert others(report["loop"]) <= SLACK * min(others(loop) for loop in expert["loops"])
