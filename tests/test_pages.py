"""Every command and every line of Python in `docs` does what the page shows."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from attnc.cli.codes import explain_code
from attnc.cli.refusal_words import REFUSALS
from tests.pages import replayed

DOCS = Path(__file__).parent.parent / "docs"
PAGES = [
    page for page in sorted(DOCS.glob("*.md")) if re.search(r"^```(python|console)", page.read_text(), re.MULTILINE)
]


@pytest.fixture(autouse=True)
def _same_dice() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page_shows_what_is_printed(
    page: Path, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    text = page.read_text()
    new = replayed(text, page.stem)
    if request.config.getoption("--update-golden"):
        page.write_text(new)
    assert new == text or request.config.getoption("--update-golden")


def test_every_code_of_a_refusal_is_told() -> None:
    text = "\n".join(file.read_text() for file in (DOCS.parent / "passes").rglob("*.py"))
    assert set(re.findall(r'Refusal\(\s*"([A-Z]+)"', text)) == set(REFUSALS)
    rows = re.findall(r"^\| `([A-Z]+)` \| (.*) \| (.*) \|$", (DOCS / "explain.md").read_text(), re.MULTILINE)
    assert {code: (meaning, mend) for code, meaning, mend in rows} == REFUSALS
    assert explain_code("SEQ").startswith("SEQ: a recurrence over positions")
