"""The README shows a spec and the kernel it becomes, as they are."""

import re
from pathlib import Path

import pytest

import attnc

ROOT = Path(__file__).parent.parent
SPEC = ROOT / "examples" / "02_alibi.attn"


def block(marker: str) -> str:
    found = re.search(rf"<!-- {marker} -->\n```\w+\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_spec_is_the_example() -> None:
    assert block("spec") == SPEC.read_text()


def test_the_kernel_is_what_the_spec_becomes(request: pytest.FixtureRequest) -> None:
    kernel = attnc.load(SPEC).kernels(target="sm_90", dtype="bf16", shape={"e": 64, "f": 64})["forward"]
    if request.config.getoption("--update-golden"):
        readme = ROOT / "README.md"
        readme.write_text(readme.read_text().replace(block("kernel"), kernel.source))
    assert block("kernel") == kernel.source
