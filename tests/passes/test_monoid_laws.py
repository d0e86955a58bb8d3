"""Every derived state is a monoid: identity, any split and bracketing, any order, and the oracle's outputs."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import pytest
import torch

import attnc
from attnc.grammar.parse import parse
from attnc.grammar.read import read
from attnc.ir import syntax
from attnc.ir.stage import Stream
from attnc.library import standard_folder
from attnc.runtime.attention import Attention
from attnc.runtime.draw import draw
from tests.passes.run_monoid import Monoid, Spans, State, context_of
from tests.programs.generate import program

EXAMPLES = sorted(Path("examples").glob("*.attn"))[:11]
LIBRARY = [
    f"{file.stem}#{item.name}"
    for file in sorted(standard_folder().glob("*.attn"))
    for item in parse(read(file)).definitions
    if isinstance(item, syntax.Attention)
]
REWRITTEN = sorted((Path(__file__).parent / "rewritten").glob("*.attn"))
SHAPE = {"b": 1, "h": 2, "m": 5, "n": 13, "e": 3, "f": 2, "g": 2, "x": 3, "c": 3, "j": 4, "k": 4}
QUICK, ALL = 60, 300

# scores of minus infinity, here and there and in whole rows, by a bias on keys
BIASED = "attention p(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], B[h,n]) -> O:\n    S[b,h,m,n] = sum[e](Q * K) + B[h,n]\n    "
MINUS_INFINITY = {
    "softmax": "O[b,h,m,f] = softmax[n](S) * V",
    "no maximum": "W[b,h,m,n] = exp(S)\n    O[b,h,m,f] = sum[n](W * V) / sum[n](W)",
    "one more": "W[b,h,m,n] = exp(S)\n    O[b,h,m,f] = sum[n](W * V) / (1 + sum[n](W))",
    "norm": "W[b,h,m,n] = exp(S)\n    O[b,h,m,f] = sum[n](W * V) / sqrt(sum[n](W * W))",
    "logarithm": "O[b,h,m] = logsumexp[n](S)",
    "two": "O[b,h,m,f] = sum[n]((softmax[n](S) - 0.3 * softmax[n](0.5 * S)) * V)",
    "sigmoid": "O[b,h,m,f] = sum[n](sigmoid(S) * V)",
    "extrema": "O[b,h,m] = max[n](S)",
}

# the same score under different conditions
DOMAINS = {
    "moments": "O[b,h,m] = var[n](S where m - n < 3 and n <= m)\n    P[b,h,m] = var[n](S)",
    "exponents": "O[b,h,m] = logsumexp[n](S where m - n < 3 and n <= m)\n    P[b,h,m] = logsumexp[n](S)",
    "both": "O[b,h,m] = logsumexp[n](S where n < m - 1)\n    P[b,h,m] = var[n](S where n <= m) + max[n](S)",
}
DOMAIN_HEAD = (
    "attention p(Q[b,h,m,e], K[b,h,n,e]) -> O, P:\n    index N - M <= m < N\n    S[b,h,m,n] = Q * K / sqrt(E)\n    "
)

# folds over the keys and another index at once
SEVERAL = {
    "groups": "attention p(Q[m,e], K[n,j,e], V[n,j,f]) -> O:\n    require J <= 8\n    S[m,n,j] = Q * K where n <= m\n"
    "    O[m,f] = sum[n,j](softmax[n,j](S) * V)",
    "no maximum": "attention p(Q[m,e], K[n,e], V[n,f], w[u]) -> O:\n    require U == 3\n    S[m,n] = Q * K\n"
    "    W[m,n,u] = exp(S * w)\n    O[m,f] = sum[n,u](W * V) / sum[n,u](W)",
    "tiles": "attention p(Q[m,e], K[n,e], V[n,f]) -> O:\n    require N % 4 == 0\n    index i < N // 4, c < 4\n"
    "    S[m,i,c] = Q[m,e] * K[i * 4 + c,e]\n    O[m,f] = sum[i,c](softmax[i,c](S) * V[i * 4 + c,f])",
    "entropy": "attention p(Q[m,e], K[n,e], w[u]) -> O:\n    require U == 3\n    S[m,n] = Q * K\n"
    "    O[m] = -sum[n,u](xlogx(softmax[n,u](S * w)))",
    "variance": "attention p(Q[m,e], K[n,e], w[u]) -> O:\n    require U == 3\n    S[m,n] = Q * K\n"
    "    O[m] = var[n,u](S * w)",
}


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


def seen_by_references(monoid: Monoid) -> None:
    """A reference sees every point of the sums that are taken relative to it: else it moves under them."""
    gauges = {item.name: item for item in monoid.stage.monoid.gauges}
    for item in monoid.stage.monoid.accumulators:
        for lift in item.lifts if item.gauge else ():
            (own,) = (other for other in gauges[str(item.gauge)].lifts if other.segment == lift.segment)
            assert set(own.when) <= set(lift.when)


def laws(monoid: Monoid, seed: int) -> None:
    """Identity, associativity, commutativity, and outputs equal to the definition."""
    dice = random.Random(seed)
    names = [item.name for item in monoid.stage.monoid.parts]
    assert len(set(names)) == len(names)
    seen_by_references(monoid)
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


@pytest.mark.parametrize("name", LIBRARY)
def test_the_states_of_the_library_are_monoids(name: str) -> None:
    for monoid in monoids(attnc.load(f"std:{name}"), SHAPE, 5):
        laws(monoid, 7)


@pytest.mark.parametrize("file", REWRITTEN, ids=lambda path: path.stem)
def test_the_states_of_rewritten_specs_are_monoids(file: Path) -> None:
    for monoid in monoids(attnc.load(file), {**SHAPE, "n": 12}, 5):
        laws(monoid, 7)


@pytest.mark.parametrize("name", SEVERAL)
def test_the_states_of_folds_over_several_indices_are_monoids(name: str) -> None:
    found = monoids(attnc.compile(f"{SEVERAL[name]}\n"), {"m": 5, "n": 8, "j": 3, "u": 3, "e": 3, "f": 2}, 5)
    assert found
    for monoid in found:
        laws(monoid, 7)


@pytest.mark.parametrize("name", DOMAINS)
def test_the_states_of_one_score_under_different_conditions_are_monoids(name: str) -> None:
    found = monoids(attnc.compile(f"{DOMAIN_HEAD}{DOMAINS[name]}\n"), SHAPE, 5)
    assert found
    for monoid in found:
        laws(monoid, 7)


def biased(name: str, seed: int) -> Monoid:
    """A state on keys of which one head sees none and the other some."""
    program = attnc.compile(f"{BIASED}{MINUS_INFINITY[name]}\n").program()
    used = {index for item in program.stated.inputs for index in item.indices}
    inputs = draw(program.stated, {index: SHAPE[index] for index in used}, {}, torch.float64, seed)
    inputs["B"][0] = -torch.inf
    inputs["B"][1, ::3] = -torch.inf
    (stage,) = program.streams
    return Monoid(stage, context_of(program.explicit, inputs))


@pytest.mark.parametrize("name", MINUS_INFINITY)
def test_scores_of_minus_infinity_are_merged_as_what_is_not_there(name: str) -> None:
    for seed in (1, 2):
        laws(biased(name, seed), seed)


def small(seed: int) -> list[Monoid]:
    drawn = program(seed)
    most = {"e": 3, "f": 2, "m": 9, "n": 11}
    shape = {index: min(extent, most.get(index, extent)) for index, extent in drawn.shape.items()}
    return monoids(attnc.compile(drawn.text), shape, seed)


@pytest.mark.parametrize("seed", range(QUICK))
def test_the_states_of_programs_are_monoids(seed: int) -> None:
    for monoid in small(seed):
        laws(monoid, seed)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(QUICK, ALL))
def test_the_states_of_all_programs_are_monoids(seed: int) -> None:
    for monoid in small(seed):
        laws(monoid, seed)
