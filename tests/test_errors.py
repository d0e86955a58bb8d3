"""Every code has a spec, a command or a call that provokes it, and the exact text it provokes."""

import re
from pathlib import Path

import pytest

from attnc.cli.codes import explain_code, provoke
from tests.provoked import heads, provoked

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "tests" / "errors"
PAIRS = sorted(FOLDER.glob("A*.attn"))
PAGES = [path for path in sorted(FOLDER.glob("A*.txt")) if not path.with_suffix(".attn").exists()]
CODES = sorted({path.stem.partition("_")[0] for path in FOLDER.glob("A*.txt")})


def codes_in_the_code() -> set[str]:
    folders = ("attnc", "grammar", "passes", "codegen")
    texts = (file.read_text() for folder in folders for file in (ROOT / folder).rglob("*.py"))
    return {code for text in texts for code in re.findall(r'"(A\d{3})"', text)}


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.mark.parametrize("spec", PAIRS, ids=lambda path: path.stem)
def test_spec_provokes_its_error(spec: Path, update: bool) -> None:
    page, said = spec.with_suffix(".txt"), provoke(spec)
    if update:
        page.write_text(said + "\n")
    assert said == page.read_text().rstrip()
    assert f"error[{spec.stem.partition('_')[0]}]" in said


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_command_provokes_its_error(page: Path, update: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = page.resolve()
    expected = page.read_text().rstrip()
    assert heads(expected), "a page without a spec begins with the command that provokes it"
    monkeypatch.delenv("ATTNC_WARNINGS")  # which users do not set
    said = provoked(expected, tmp_path, monkeypatch)
    if update:
        page.write_text(said + "\n")
    assert said == page.read_text().rstrip()
    assert f"error[{page.stem.partition('_')[0]}]" in said


def test_every_code_is_provoked() -> None:
    assert codes_in_the_code() == set(CODES)


def test_there_are_forty_codes_that_a_spec_provokes() -> None:
    assert len({path.stem.partition("_")[0] for path in PAIRS}) >= 40


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_page(code: str) -> None:
    page = explain_code(code)
    assert page.startswith(code)
    assert f"error[{code}]" in page
