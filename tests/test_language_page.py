"""docs/language.md is what the grammar and the tables of operators make of it, and its examples are programs."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import attnc
from attnc.cli import language_words, main
from attnc.cli.language_entries import TABLES, Entry, grammar
from attnc.cli.language_page import page
from attnc.ir.operators import FUNCTIONS, INFIX
from attnc.passes.names.modules import BUILT_IN
from attnc.runtime.checks import run_checks

PAGE = Path(__file__).parent.parent / "docs" / "language.md"
FRAME = """attention example(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], H0[b,h] = 0) -> O:
    {line}
    A[b,h,m,n] = softmax[n](sum[e](Q * K) / sqrt(E))
    O[b,h,m,f] = A * V
"""
ATTENTION = "\nattention example(X[n]) -> Y:\n    Y[n] = X\n"


@pytest.fixture(scope="module")
def entries() -> dict[str, list[Entry]]:
    return {name: list(table()) for name, table in TABLES.items()}


def test_the_page_is_current(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page()


def test_every_word_of_the_grammar_and_of_the_compiler_has_a_line(entries: dict[str, list[Entry]]) -> None:
    known = {word for table in entries.values() for item in table for word in item.word.split()}
    patterns = re.findall(r"^[A-Z]+(?:\.\d)?: /\(?([a-z|]+)\)?\\b", grammar(), re.MULTILINE)
    assert len(patterns) > 15
    assert {word for pattern in patterns for word in pattern.split("|")} <= known
    assert {*BUILT_IN, *FUNCTIONS, *INFIX} <= known


def test_no_line_is_about_what_is_gone(entries: dict[str, list[Entry]]) -> None:
    tables = [value for name, value in vars(language_words).items() if name.isupper()]
    lines = [item for table in tables for item in table.values()]
    assert sorted(lines) == sorted((item.meaning, item.example) for table in entries.values() for item in table)


def test_examples_of_expressions_have_values(entries: dict[str, list[Entry]]) -> None:
    tables = ("operators", "reductions", "orderings", "functions", "constants")
    assert all(item.value for name in tables for item in entries[name])
    values = {item.example: item.value for name in tables for item in entries[name]}
    assert values["sum[n](x where p)"] == "5"
    assert values["-7 // 2"] == "-4"
    assert values["argtopk[n -> t](x)"] == "0, 2"


def programs(entries: dict[str, list[Entry]]) -> Iterator[str]:
    """The examples of definitions, types and statements in whole programs."""
    for item in (*entries["definitions"], *entries["types"]):
        yield item.example + ("\n" if item.example.startswith("attention") else ATTENTION)
    for item in (*entries["statements"], *entries["clauses"]):
        yield FRAME.format(line=item.example)
    yield PAGE.read_text().partition("```attn\n")[2].partition("```")[0]


def test_examples_of_statements_stand_in_programs_whose_checks_hold(entries: dict[str, list[Entry]]) -> None:
    held = 0
    for text in programs(entries):
        attention = attnc.compile(text)
        results = run_checks(attention.spec, attention.signature.name, "oracle")
        assert all(result.passed for result in results), text
        held += len(results)
    assert held == 6  # one of `check`, one of each clause, and the sample's


def test_a_word_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["language", "max"]) == 0
    assert capsys.readouterr().out == (
        "max: the largest; of nothing -inf\n    max[n](x)    gives 3\n"
        "max: the larger of its arguments\n    max(x, 2)    gives 3, 2, 2\n"
    )
