"""Every derived state is a monoid: identity, any split and bracketing, any order, and the oracle's outputs."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import pytest
import torch

import attnc
from attnc.ir.stage import Stream
from attnc.runtime.attention import Attention
from attnc.runtime.draw import draw
from tests.passes.run_monoid import Monoid, Spans, State, context_of
from tests.programs.generate import program

EXAMPLES = sorted(Path("examples").glob("*.attn"))[:11]
SHAPE = {"b": 1, "h": 2, "m": 5, "n": 13, "e": 3, "f": 2, "g": 2, "x": 3, "c": 3, "j": 4, "k": 4}
SEEDS = [seed for seed in range(60) if seed % 5 != 4]


def monoids(attention: Attention, shape: dict[str, int], seed: int) -> list[Monoid]:
    """The monoids of every streamed stage on drawn inputs."""
    analysed = attention.program()
    used = {index for item in analysed.stated.inputs for index in item.indices}
    extents = {index: extent for index, extent in shape.items() if index in used}
    inputs = draw(analysed.stated, extents, {}, torch.float64, seed)
    context = context_of(analysed.explicit, inputs)
    return [Monoid(stage, context) for stage in analysed.plan.stages if isinstance(stage, Stream)]


def pieces(monoid: Monoid, dice: random.Random) -> list[Spans]:
    """The stream cut at random: each piece has some points of one segment."""
    found: list[Spans] = []
    whole = monoid.whole()
    for place, span in enumerate(whole):
        assert span is not None
        lo, hi = span
        cuts = sorted({lo, hi, *(dice.randint(lo, hi) for _ in range(3))})
        for a, b in pairwise(cuts):
            found.append(tuple((a, b) if other == place else None for other in range(len(whole))))
    return found


def bracketed(monoid: Monoid, states: list[State], dice: random.Random) -> State:
    """The states merged in a random order and bracketing."""
    states = list(states)
    while len(states) > 1:
        place = dice.randrange(len(states) - 1)
        states[place : place + 2] = [monoid.merge(states[place], states[place + 1])]
    return states[0]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-9, atol=1e-9, equal_nan=True)


def laws(monoid: Monoid, seed: int) -> None:
    """Identity, associativity, commutativity, and outputs equal to the definition."""
    dice = random.Random(seed)
    names = [item.name for item in monoid.stage.monoid.parts]
    assert len(set(names)) == len(names)
    nothing = monoid.lift(tuple(None for _ in monoid.stage.monoid.segments))
    whole = monoid.lift(monoid.whole())
    same(monoid.merge(whole, nothing), whole)
    same(monoid.merge(nothing, whole), whole)
    states = [monoid.lift(piece) for piece in pieces(monoid, dice)] or [nothing]
    outputs = monoid.finish(whole)
    for _ in range(3):
        dice.shuffle(states)
        same(monoid.finish(bracketed(monoid, states, dice)), outputs)
    for name, value in outputs.items():
        stored = monoid.context.tensors[name]
        present = torch.ones(stored.data.shape, dtype=torch.bool)
        for mask, axes in stored.when:
            view = mask.permute(sorted(range(len(axes)), key=lambda k: axes[k]))
            for axis in range(stored.data.dim()):
                view = view if axis in axes else view.unsqueeze(axis)
            present = present & view
        same({name: torch.where(present, value.to(stored.data.dtype), 0)}, {name: torch.where(present, stored.data, 0)})


@pytest.mark.parametrize("spec", EXAMPLES, ids=lambda path: path.stem)
def test_the_states_of_the_examples_are_monoids(spec: Path) -> None:
    found = monoids(attnc.load(spec), SHAPE, 5)
    assert found
    for monoid in found:
        laws(monoid, 7)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_states_of_programs_are_monoids(seed: int) -> None:
    drawn = program(seed)
    small = {"e": 3, "f": 2, "m": 9, "n": 11}
    shape = {index: min(extent, small.get(index, extent)) for index, extent in drawn.shape.items()}
    for monoid in monoids(attnc.compile(drawn.text), shape, seed):
        laws(monoid, seed)
