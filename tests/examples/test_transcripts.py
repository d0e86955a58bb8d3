"""What `examples/README.md` shows is what the commands print."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from attnc.cli import main

ROOT = Path(__file__).parents[2]
README = ROOT / "examples" / "README.md"
BLOCK = re.compile(r"```text\n(\$ attnc .*?)```", re.DOTALL)
COMMAND = re.compile(r"^\$ attnc (.*)$", re.MULTILINE)


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "120")


def printed(block: str, capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    """Each command of a block with what it prints now."""
    for command in COMMAND.findall(block):
        main(shlex.split(command))
        found = capsys.readouterr()
        yield f"$ attnc {command}\n{found.out}{found.err}"


def test_every_example_is_shown() -> None:
    text = README.read_text()
    for spec in (ROOT / "examples").glob("*.attn"):
        assert f"$ attnc explain examples/{spec.name}" in text or f"$ attnc check examples/{spec.name}" in text


def test_the_transcripts_are_what_is_printed(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    text = README.read_text()
    new = BLOCK.sub(lambda found: f"```text\n{''.join(printed(found[1], capsys))}```", text)
    if request.config.getoption("--update-golden"):
        README.write_text(new)
    assert new == text or request.config.getoption("--update-golden")
