"""Mechanisms of the literature: every one resolves, and its worked numbers hold by the definition."""

from pathlib import Path

import pytest

from attnc.diagnostics import AttnError
from attnc.ir import syntax
from attnc.library import Library, Spec, parse_source
from attnc.passes.expand import expand
from attnc.passes.names import resolve
from attnc.runtime.checks import on_oracle, run_checks
from attnc.source import Source

EVERY = sorted(Path(__file__).parent.glob("*.attn"))
# Their loops read, at position t, a value of position t + 1 that another tensor of the loop has just made.
LAGGED = {"set2set", "click_masked_cross_attention"}
# A choice inside its loop asks whether a state exists; expansion does not order that question yet.
UNEXPANDED = {"pointer_network"}
FILES = [path for path in EVERY if path.stem not in LAGGED]


def attentions(path: Path) -> list[tuple[Source, syntax.File, syntax.Attention]]:
    source = Source(path.name, path.read_text(encoding="utf-8"))
    file = parse_source(source)
    return [(source, file, item) for item in file.definitions if isinstance(item, syntax.Attention)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_attention_resolves_and_expands(path: Path) -> None:
    for _, file, item in attentions(path):
        stated = resolve(file, item.name, {}, Library(path.parent).use)
        assert set(stated.outputs) == set(item.outputs)
        if path.stem not in UNEXPANDED:
            assert expand(stated).outputs == stated.outputs


def test_sixty_three_mechanisms_are_here() -> None:
    assert len(EVERY) == 63


@pytest.mark.parametrize("path", [path for path in EVERY if path.stem in LAGGED], ids=lambda path: path.stem)
def test_a_loop_with_a_lag_is_refused_with_its_place(path: Path) -> None:
    _, file, item = attentions(path)[-1 if path.stem.startswith("click") else 0]
    with pytest.raises(AttnError) as found:
        resolve(file, item.name, {}, Library(path.parent).use)
    assert found.value.code == "A110"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_worked_numbers_hold(path: Path) -> None:
    failed = [
        f"{item.name}.{result.name}: {result.message}"
        for source, _, item in attentions(path)
        if all(isinstance(line.goal, syntax.Gives) for line in item.body if isinstance(line, syntax.Check))
        for result in run_checks(Spec(source, item.name, path.parent), item.name, on_oracle, "oracle")
        if not result.passed
    ]
    assert failed == []
