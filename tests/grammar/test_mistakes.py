"""Bad text of every kind: a clear error with places, quickly, and never another exception."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnc.diagnostics import AttnError
from attnc.grammar.parse import parse
from attnc.grammar.read import read
from attnc.ir import syntax as syn
from attnc.source import Source

ROOT = Path(__file__).parents[2]
SPECS = tuple(path.read_text(encoding="utf-8") for path in sorted((ROOT / "examples").glob("*.attn")))
ERRORS = sorted((ROOT / "tests/errors").glob("A0*.attn"))
HEADER = "attention plain(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]) -> O:\n"


def fails(text: str) -> AttnError:
    with pytest.raises(AttnError) as caught:
        parse(Source("spec.attn", text))
    return caught.value


def codes(text: str) -> list[str]:
    return [diagnostic.code for diagnostic in fails(text).diagnostics]


def lines(text: str) -> list[int]:
    return [diagnostic.span.line for diagnostic in fails(text).diagnostics if diagnostic.span]


@pytest.mark.parametrize("path", ERRORS, ids=lambda path: path.stem)
def test_each_error_names_its_code_place_and_mend(path: Path) -> None:
    with pytest.raises(AttnError) as caught:
        parse(read(path))
    error = caught.value
    assert error.code == path.stem[:4]
    assert str(error).startswith(f"error[{error.code}]: ")
    for diagnostic in error.diagnostics:
        assert diagnostic.span is not None
        assert diagnostic.helps or diagnostic.code == "A015"
        assert diagnostic.message[0].islower() or diagnostic.message[0] == "`"
        assert not diagnostic.message.endswith(".")


def test_independent_mistakes_are_reported_together() -> None:
    text = (
        "mask near(m, n) = 0 <= m - n < W)\n"
        "attention first(Q[b,m], K[b,n] -> O:\n    O[b,m] = Q * K\n"
        "attention second(Q[b,m], K[b,n]) -> O:\n"
        "    S[b,m,n] = Q K\n"
        "    index 0 <= m\n"
        "    require B = 1\n"
        "    O[b,m] = Q +\n"
        "def third(x):\n    return if\n"
        "attention fourth(Q[b,m]) -> O:\n    O[b,m] = Q\n"
    )
    assert list(zip(codes(text), lines(text), strict=True)) == [
        ("A002", 1),
        ("A001", 2),
        ("A015", 5),
        ("A023", 7),
        ("A015", 8),
        ("A014", 10),
    ]


def test_a_line_is_reported_once_and_good_ones_not_at_all() -> None:
    text = (
        HEADER
        + "    S[b,h,m,n] = Q ** ** K 3 3 ((\n"
        + "    A[b,h,m,n] = softmax[n](S)\n" * 5
        + "    O[b,h,m,f] = A V\n"
    )
    assert lines(text) == [2, 8]


def test_no_more_than_ten_mistakes() -> None:
    assert len(codes(HEADER + "    O[b,h,m,f] = A V\n" * 50)) == 10


def test_brackets_that_begin_deeper_are_not_blamed() -> None:
    good = HEADER + "    O[b,h,m,f] = sum[n](Q\n* K\n)\n    check x: with Q = [[1],\n[2]] equals f(Q)\n"
    assert isinstance(parse(Source("spec.attn", good)), syn.File)
    assert codes(good + "    X[b] = Q Q\n") == ["A015"]


HUGE: dict[str, Callable[[], str]] = {
    "ten megabytes": lambda: HEADER + "    O[b,h,m,f] = Q * K\n" * 450_000,
    "ten megabytes in one name": lambda: "x" * 10_000_000,
    "ten thousand brackets": lambda: HEADER + f"    O[b,h,m,f] = {'(' * 10_000}Q{')' * 10_000}\n",
    "open brackets": lambda: "[" * 10_000,
    "closed brackets": lambda: ")" * 10_000,
    "ten thousand signs": lambda: HEADER + f"    O[b,h,m,f] = {'-' * 10_000}Q\n",
    "ten thousand terms": lambda: HEADER + f"    O[b,h,m,f] = Q{' + Q' * 10_000}\n",
    "ten thousand powers": lambda: HEADER + f"    O[b,h,m,f] = Q{' ** Q' * 10_000}\n",
    "ten thousand negations": lambda: HEADER + f"    O[b,h,m,f] = {'not ' * 10_000}Q\n",
    "ten thousand choices": lambda: HEADER + f"    O[b,h,m,f] = {'Q if Q else ' * 10_000}Q\n",
    "ten thousand reads": lambda: HEADER + f"    O[b,h,m,f] = Q{'[m]' * 10_000}\n",
    "ten thousand quotes": lambda: '"""' * 10_001,
    "ten thousand blocks": lambda: "".join(" " * i + "attention x(y) -> z:\n" for i in range(1_000)),
    "wrong lines": lambda: HEADER + "    O[b,h,m,f] = Q K\n" * 40_000,
    "long number": lambda: HEADER + f"    O[b,h,m,f] = {'9' * 900_000}\n",
    "digits and letters": lambda: HEADER + f"    O[b,h,m,f] = {'1e' * 400_000}\n",
    "spaces": lambda: HEADER + " " * 1_000_000 + "\n",
    "rows of spaces": lambda: HEADER + (" " * 1_000 + "\n") * 1_000 + "    O\n",
    "comments": lambda: HEADER + "    O[b,h,m,f] = Q K  #" + "#" * 900_000 + "\n",
    "binary": lambda: bytes(range(256)).decode("latin-1") * 100,
}


@pytest.mark.parametrize("kind", HUGE)
def test_huge_and_deep_texts_are_refused_quickly(kind: str) -> None:
    text = HUGE[kind]()
    started = time.perf_counter()
    error = fails(text)
    assert time.perf_counter() - started < 8
    assert error.code.startswith("A0")
    assert len(error.diagnostics) <= 10


def test_a_wide_file_within_the_limit_is_read() -> None:
    text = HEADER + "    O[b,h,m,f] = Q * K\n" * 10_000
    started = time.perf_counter()
    (definition,) = parse(Source("wide.attn", text)).definitions
    assert len(definition.body) == 10_000
    assert time.perf_counter() - started < 20


def test_a_typical_spec_takes_milliseconds() -> None:
    sources = [Source("spec.attn", text) for text in SPECS]
    parse(sources[0])
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        for source in sources:
            parse(source)
        best = min(best, (time.perf_counter() - started) / len(sources))
    assert best < 0.03


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A valid spec with some characters and rows deleted, doubled, swapped or replaced."""
    text = draw(st.sampled_from(SPECS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.sampled_from([0, 1, 1, 1, 2, 5, 20, 80])))
        new = draw(
            st.sampled_from(
                [*"()[]{},;:=<>+-*/%.\"#\n \t'é0\0", "where", " if ", "->", "==", '"""', "1e", "\r", "  \n"]
            )
        )
        kind = draw(st.sampled_from(["delete", "double", "insert", "replace"]))
        middle = {"delete": "", "double": text[start:end] * 2, "insert": new + text[start:end], "replace": new}[kind]
        text = text[:start] + middle + text[end:]
    return text


def outcome(text: str) -> syn.File | AttnError:
    try:
        return parse(Source("spec.attn", text))
    except AttnError as error:
        return error


@settings(max_examples=2000, deadline=None, derandomize=True)
@given(mutated())
def test_mutated_specs_give_errors_with_places_or_syntax(text: str) -> None:
    found = outcome(text)
    diagnostics = found.diagnostics if isinstance(found, AttnError) else ()
    assert all(diagnostic.code.startswith("A0") for diagnostic in diagnostics)
    assert all(diagnostic.span and diagnostic.span.end <= len(text) + 1 for diagnostic in diagnostics)
    assert isinstance(found, syn.File) or str(found).startswith("error[A0")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(max_size=200))
def test_any_text_gives_errors_or_syntax(text: str) -> None:
    found = outcome(text)
    assert isinstance(found, syn.File) or str(found).startswith("error[A0")
