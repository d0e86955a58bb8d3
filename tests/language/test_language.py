"""Mechanisms of the literature: every one resolves, and its checks hold by the definition."""

from pathlib import Path

import pytest

from attnc.ir import syntax
from attnc.library import Library, Spec, parse_source
from attnc.passes.expand import expand
from attnc.passes.names import resolve
from attnc.runtime.checks import run_checks
from attnc.source import Source

EVERY = sorted(Path(__file__).parent.glob("*.attn"))


def attentions(path: Path) -> list[tuple[Source, syntax.File, syntax.Attention]]:
    source = Source(path.name, path.read_text(encoding="utf-8"))
    file = parse_source(source)
    return [(source, file, item) for item in file.definitions if isinstance(item, syntax.Attention)]


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
def test_every_attention_resolves_and_expands(path: Path) -> None:
    for _, file, item in attentions(path):
        stated = resolve(file, item.name, {}, Library(path.parent).use)
        assert set(stated.outputs) == set(item.outputs)
        assert expand(stated).outputs == stated.outputs


def test_sixty_three_mechanisms_with_eighty_three_checks_are_here() -> None:
    assert len(EVERY) == 63
    bodies = [item.body for path in EVERY for _, _, item in attentions(path)]
    checks = [line for body in bodies for line in body if isinstance(line, syntax.Check)]
    assert len(checks) == 83
    assert sum(isinstance(line.goal, syntax.Gives) for line in checks) == 73


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
def test_every_check_holds(path: Path) -> None:
    failed = [
        f"{item.name}.{result.name}: {result.message}"
        for source, _, item in attentions(path)
        for result in run_checks(Spec(source, item.name, path.parent), item.name, "oracle")
        if not result.passed
    ]
    assert failed == []
