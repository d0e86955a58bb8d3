"""docs/errors.md is the index of the errors that are provoked."""

from pathlib import Path

import pytest

from attnc.cli import main
from attnc.cli.codes import FAMILIES, codes
from attnc.cli.errors_page import Said, page, said

PAGE = Path(__file__).parent.parent / "docs" / "errors.md"


def test_the_page_is_current(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page()


def test_every_code_is_in_it() -> None:
    text = PAGE.read_text()
    assert all(f'<a id="{code}"></a>{code} |' in text for code in codes())
    assert {code[:2] for code in codes()} == set(FAMILIES)


def test_a_message_has_its_own_mends() -> None:
    assert said("A001")[0] == Said("this parenthesis is never closed", ("close it: `sqrt(E)`",))
    assert [item.message for item in said("A003")] == ["unexpected character `≤`", "unexpected character `&`"]


def test_the_index_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--codes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == codes()
    assert lines[0] == "A001  this parenthesis is never closed"
