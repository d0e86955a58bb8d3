"""What the documents say of commands, codes and variables is what there is."""

import re
from pathlib import Path

from attnc.cli import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CODE = [file.read_text() for folder in ("attnc", "passes", "codegen") for file in (ROOT / folder).rglob("*.py")]
OF_OTHERS = {"XDG_CACHE_HOME", "TRITON_INTERPRET"}


def table(head: str) -> list[str]:
    """The first cells of the table with this head."""
    found = re.search(rf"^\| {head} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", README, re.MULTILINE)
    assert found is not None
    return re.findall(r"^\| `([^`]+)`", found[1], re.MULTILINE)


def test_every_command_is_in_the_readme() -> None:
    assert {line.split()[1] for line in table("command")} == set(COMMANDS)


def test_every_variable_is_in_the_readme() -> None:
    used = {name for text in CODE for name in re.findall(r'environ(?:\.get\(|\[)"(\w+)"', text)}
    assert {line.partition("=")[0] for line in table("variable")} == used - OF_OTHERS


def test_files_that_the_documents_name_exist() -> None:
    for document in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / document).read_text()
        for path in re.findall(r"`((?:attnc|grammar|passes|codegen|stdlib|tests|examples)/[\w./]+)`", text):
            assert (ROOT / path).exists(), f"{document} names {path}"
