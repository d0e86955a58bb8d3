"""Every code has a spec that provokes it and the exact text it provokes."""

import re
from pathlib import Path

import pytest

from attnc.cli.codes import explain_code, provoke

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "tests" / "errors"
PAIRS = sorted(FOLDER.glob("A*.attn"))
CODES = sorted({path.stem.partition("_")[0] for path in FOLDER.glob("A*.txt")})

# Provoked by files, tools and command lines, not by a spec: their tests stand beside what raises them.
WITHOUT_SPEC = {"A302", "A401", "A501", "A502", "A503", "A505", "A607", "A610", "A901"}
WITHOUT_SPEC |= {f"A62{digit}" for digit in range(9)} | {"A630", "A631", "A632", "A633"}


def codes_in_the_code() -> set[str]:
    folders = ("attnc", "grammar", "passes", "codegen")
    texts = (file.read_text() for folder in folders for file in (ROOT / folder).rglob("*.py"))
    return {code for text in texts for code in re.findall(r'"(A\d{3})"', text)}


@pytest.mark.parametrize("spec", PAIRS, ids=lambda path: path.stem)
def test_spec_provokes_its_error(spec: Path) -> None:
    expected = spec.with_suffix(".txt").read_text().rstrip()
    assert provoke(spec) == expected
    assert f"error[{spec.stem.partition('_')[0]}]" in expected


def test_every_code_has_its_pair() -> None:
    paired = {path.stem.partition("_")[0] for path in PAIRS}
    assert codes_in_the_code() - paired - WITHOUT_SPEC == set()


def test_there_are_forty_codes_that_a_spec_provokes() -> None:
    assert len({path.stem.partition("_")[0] for path in PAIRS}) >= 40


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_page(code: str) -> None:
    page = explain_code(code)
    assert page.startswith(code)
    assert f"error[{code}]" in page
