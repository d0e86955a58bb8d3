"""What the documents say of commands, codes and variables is what there is."""

import re
from pathlib import Path

import pytest

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


PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "examples/README.md")] + sorted(
    (ROOT / "docs").glob("*.md")
)


def prose(page: Path) -> str:
    """A page without its blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def links(page: Path) -> list[tuple[str, str]]:
    """The files and the places in them that a page links to."""
    return re.findall(r"\]\((?!https?:)([\w./-]*)(?:#([\w-]*))?\)", re.sub(r"`[^`\n]*`", "", prose(page)))


def anchors(page: Path) -> set[str]:
    """What a link can point at within a page: its headings, and the places that it names."""
    heads = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
    return slugs | set(re.findall(r'<a id="(\w+)">', page.read_text()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in links(page):
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), anchor


def test_every_page_is_linked_from_the_readme() -> None:
    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= {
        file for file, _ in links(ROOT / "README.md")
    }
