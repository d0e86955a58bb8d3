"""Each example written in Python is the cascade that its text is."""

import re
from pathlib import Path

import pytest

from attnc import compiler
from attnc.grammar.parse import parse
from attnc.ir import syntax
from attnc.ir.cascade import Cascade, Map
from attnc.ir.node import Node
from attnc.ir.walk import bottom_up
from attnc.library import Library, find, parse_source
from attnc.source import Source
from attnc.trace.jit import Traced
from tests.trace import examples

FOLDER = Path(__file__).parents[2] / "examples"
FILES = [file for file in sorted(FOLDER.glob("*.attn")) if "12_wrong" not in file.name]
MIRRORED = {"ge": "le", "gt": "lt"}


def name_of(file: Path) -> str:
    return str(re.findall(r"^attention (\w+)", file.read_text(), re.MULTILINE)[-1])


def plain(cascade: Cascade) -> Cascade:
    """Without the documentation; `0 <= x`, which Python hands over as `x >= 0`, and such from small to large."""

    def rule(node: Node) -> Node | None:
        if isinstance(node, Map) and node.op in MIRRORED:
            return Map(MIRRORED[node.op], node.args[::-1])
        return None

    found: Cascade = bottom_up(cascade, rule)
    return Cascade(*(getattr(found, name) for name in Cascade.__match_args__[:-1]))


def traced(name: str) -> Traced:
    found = getattr(examples, name)
    assert isinstance(found, Traced)
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_cascade_is_that_of_the_text(file: Path) -> None:
    written, given = traced(name_of(file)).spec, find(file)
    here, there = (compiler.stated(spec, {}, Library(spec.folder)) for spec in (written, given))
    assert plain(here) == plain(there)
    assert plain(compiler.expanded(here)) == plain(compiler.expanded(there))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_checks_are_those_of_the_text(file: Path) -> None:
    def checks(source: Source) -> list[syntax.Check]:
        last = parse_source(source).definitions[-1]
        assert isinstance(last, syntax.Attention)
        return [item for item in last.body if isinstance(item, syntax.Check)]

    assert checks(traced(name_of(file)).spec.source) == checks(find(file).source)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_text_reads_back_as_the_nodes_it_was_printed_from(file: Path) -> None:
    source = traced(name_of(file)).spec.source
    assert parse(Source("again", traced(name_of(file)).to_attn())) == source.file  # type: ignore[attr-defined]
