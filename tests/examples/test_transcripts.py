"""What `examples/README.md` shows is what the commands print."""

from pathlib import Path

import pytest

from tests.pages import replayed

ROOT = Path(__file__).parents[2]
README = ROOT / "examples" / "README.md"


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "120")


def test_every_example_is_shown() -> None:
    text = README.read_text()
    for spec in (ROOT / "examples").glob("*.attn"):
        assert f"$ attnc explain examples/{spec.name}" in text or f"$ attnc check examples/{spec.name}" in text


def test_the_transcripts_are_what_is_printed(request: pytest.FixtureRequest) -> None:
    text = README.read_text()
    new = replayed(text, "examples")
    if request.config.getoption("--update-golden"):
        README.write_text(new)
    assert new == text or request.config.getoption("--update-golden")
