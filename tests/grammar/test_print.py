"""Printed syntax reads back as itself and carries no parenthesis too many."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings

from attnc.diagnostics import AttnError
from attnc.grammar.parse import parse
from attnc.grammar.read import read
from attnc.ir import syntax as syn
from attnc.ir.print_syntax import show
from attnc.ir.walk import walk
from attnc.source import Source
from tests.grammar.syntax_trees import expressions, files

ROOT = Path(__file__).parents[2]
SPECS = [path for folder in ("examples", "stdlib", "tests/language") for path in sorted((ROOT / folder).glob("*.attn"))]
KINDS: set[type] = set()


def again(node: syn.File) -> syn.File:
    return parse(Source("shown.attn", show(node)))


def read_back(node: syn.Expr | str) -> syn.Expr:
    text = node if isinstance(node, str) else show(node)
    (definition,) = parse(Source("shown.attn", f"def f() = {text}\n")).definitions
    assert isinstance(definition, syn.Function)
    return definition.value


@settings(max_examples=400, deadline=None, derandomize=True)
@given(files)
def test_files_read_back(file: syn.File) -> None:
    KINDS.update(type(node) for node in walk(file))
    assert again(file) == file


def test_every_kind_was_printed() -> None:
    kinds = {kind for kind in vars(syn).values() if isinstance(kind, type) and kind.__module__ == syn.__name__}
    assert kinds <= KINDS


@settings(max_examples=400, deadline=None, derandomize=True)
@given(expressions)
def test_no_parenthesis_too_many(node: syn.Expr) -> None:
    """Leaving out any pair of parentheses changes the meaning, or leaves no expression."""
    text = show(node)
    assert read_back(node) == node
    for start, end in grouping_pairs(text):
        shorter = f"{text[:start]} {text[start + 1 : end]} {text[end + 1 :]}"
        try:
            assert read_back(shorter) != node, shorter
        except AttnError:
            continue


def grouping_pairs(text: str) -> list[tuple[int, int]]:
    """The parentheses that group: those of a call stand behind a name or a bracket."""
    pairs, stack = [], []
    for at, char in enumerate(text):
        if char == "(":
            call = re.search(r"[\w\])]$", text[:at]) is not None
            stack.append(-1 if call else at)
        elif char == ")":
            start = stack.pop()
            pairs += [(start, at)] * (start >= 0)
    return pairs


@pytest.mark.parametrize("path", SPECS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_written_specs_read_back(path: Path) -> None:
    file = parse(read(path))
    assert again(file) == file


def test_layout_of_the_text() -> None:
    text = '''"""Plain."""
use std.masks: causal

mask near(m, n; W: int) = 0 <= m - n < W

attention plain(Q[b,m,e], K[b,n,e]; W: int = 4) -> S:
    """Scores."""
    index N - M <= m < N
    S[b,m,n] = Q * K[b,n // 2,e] / sqrt(E) where near(m, n; W = W)
    check zero: with Q = 0 gives S = [[0]] within 1e-12
'''
    assert show(parse(Source("plain.attn", text))) == text
