"""Every file of a family is whole: documented, named once, with a formula and cases, its checks true."""

import re
from pathlib import Path

import pytest

from attnc.grammar.read import read
from attnc.ir import syntax
from attnc.library import Spec, parse_source, standard_attentions, standard_files, standard_folder
from attnc.runtime.checks import run_checks
from tests.stdlib.cases import FORMULAS, cases, entries, formulas

NAMES = sorted(standard_attentions())


def attentions(file: Path) -> list[syntax.Attention]:
    return [item for item in parse_source(read(file)).definitions if isinstance(item, syntax.Attention)]


@pytest.mark.parametrize("file", entries(), ids=lambda file: file.stem)
def test_every_attention_has_a_docstring_a_formula_and_a_case(file: Path) -> None:
    tried = {case.attention for case in formulas(file).CASES}
    for item in attentions(file):
        assert item.doc, item.name
        assert callable(getattr(formulas(file), item.name))
        assert item.name in tried


@pytest.mark.parametrize("file", entries(), ids=lambda file: file.stem)
def test_every_file_names_its_paper_and_its_equation(file: Path) -> None:
    doc = parse_source(read(file)).doc or ""
    assert re.match(r"[^\n:]+: [^\n]+\.\n", doc), "the first line is `Name: one sentence.`"
    assert re.search(r"^Paper: .+ \([^()]+, \d{4}\)$", doc, re.MULTILINE)
    assert re.search(r"^Equations?: ", doc, re.MULTILINE)
    for line in re.findall(r"^Confidence: .*$", doc, re.MULTILINE):
        assert re.match(r"Confidence: (low|medium) - .+", line)


def test_every_formula_and_case_is_of_an_attention() -> None:
    assert {file.stem for file in FORMULAS.glob("*.py")} <= {file.stem for file in entries()}
    assert {case.attention for case in cases()} <= set(NAMES)


def test_no_name_is_taken_twice() -> None:
    every = [item.name for file in standard_files() for item in attentions(file)]
    assert sorted(every) == NAMES
    stems = [file.stem for file in standard_files()]
    assert len(set(stems)) == len(stems)
    for file in standard_files():
        assert standard_attentions().get(file.stem, file) == file


@pytest.mark.parametrize("name", NAMES)
def test_every_check_holds_by_the_definition(name: str) -> None:
    assert failed(name, "oracle") == []


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")
def test_every_check_holds_for_kernels(name: str) -> None:
    assert failed(name, "kernels") == []


def failed(name: str, backend: str) -> list[str]:
    spec = Spec(read(standard_attentions()[name]), name, standard_folder())
    assert backend in ("oracle", "kernels")
    found = run_checks(spec, name, "oracle" if backend == "oracle" else "kernels")
    return [f"{item.name}: {item.message}" for item in found if not item.passed]
