"""The oracle at a length of 4096: its peak memory, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ("02_alibi", "04_gqa_sink_window", "07_differential", "10_entropy", "11_score_moments")
ALLOWED = 8.0  # GiB: seven M x N tensors of eight heads in float64

MEASURE = """
import resource, sys
from pathlib import Path
import torch
from attnc import compiler
from attnc.ir.interpret import run
from attnc.library import Library, Spec
from attnc.source import Source

path = Path(sys.argv[1])
spec = Spec(Source(path.name, path.read_text(encoding="utf-8")), None, path.parent)
cascade = compiler.stated(spec, {}, Library(path.parent))
extents = {"b": 1, "h": 8, "g": 8, "m": 4096, "n": 4096, "e": 64, "f": 64}
inputs = {item.name: torch.randn([extents[index] for index in item.indices]) for item in cascade.inputs}
with torch.no_grad():
    outputs = run(cascade, inputs).outputs
assert all(bool(torch.isfinite(value).all()) for value in outputs.values())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", EXAMPLES)
def test_peak_memory(name: str) -> None:
    spec = ROOT / "examples" / f"{name}.attn"
    command = [sys.executable, "-c", MEASURE, str(spec)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < ALLOWED
