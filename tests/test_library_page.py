"""docs/library.md is what `attnc list --pages docs` writes."""

import re
from pathlib import Path

import pytest

from attnc.cli import main
from attnc.library import standard_attentions
from attnc.runtime.catalogue import family_of, listed

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "library.md").read_text()


def test_every_entry_has_a_line_under_its_family() -> None:
    sections = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
    for file, names in listed():
        assert re.search(rf"^\| `{names[-1]}` ", sections[family_of(file)], re.MULTILINE), names
    assert set(re.findall(r"^\| `(\w+)` ", PAGE, re.MULTILINE)) - {"use"} <= set(standard_attentions())


def test_its_pictures_are_there_and_no_others() -> None:
    shown = set(re.findall(r"\]\(masks/(\w+\.svg)\)", PAGE))
    assert shown == {file.name for file in (DOCS / "masks").iterdir()}


@pytest.mark.exhaustive
def test_it_is_current(tmp_path: Path) -> None:
    assert main(["list", "--pages", str(tmp_path)]) == 0
    written = {file.relative_to(tmp_path): file.read_text() for file in tmp_path.rglob("*.*")}
    assert written == {name: (DOCS / name).read_text() for name in written}
