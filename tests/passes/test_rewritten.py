"""One attention written in several ways is derived to one state: nothing is recognised by its shape or name."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch

import attnc
from attnc.contract import Reference, judge, references
from attnc.ir.stage import Monoid as Derived
from attnc.ir.stage import Stream
from attnc.runtime.draw import draw
from attnc.runtime.program import Program
from tests.passes.canonical import attentions, form, renamed
from tests.passes.run_monoid import Monoid, Spans, context_of

FILES = {file.stem: file for file in sorted((Path(__file__).parent / "rewritten").glob("*.attn"))}
WAYS = {name: attentions(file) for name, file in FILES.items()}
CASES = [(name, way) for name, texts in WAYS.items() for way in texts]
SHAPE = {"b": 1, "h": 2, "m": 5, "n": 8, "e": 3, "f": 2}

# gauges and accumulators of each, as the literature has them
SIZES = {
    "causal": (1, 2),
    "decay": (0, 1),
    "differential": (2, 4),
    "differential_temperatures": (1, 4),
    "entropy": (1, 2),
    "gaussian": (0, 1),
    "gaussian_softmax": (1, 2),
    "groups": (1, 2),
    "l2": (1, 2),
    "masked_variance": (1, 3),
    "no_normaliser": (0, 1),
    "off_by_one": (1, 2),
    "one_plus": (1, 2),
    "powers_of_softmax": (1, 2),
    "product_of_softmaxes": (1, 2),
    "q_norm": (1, 2),
    "relu_squared": (0, 1),
    "sigmoid": (0, 1),
    "sink_by_parts": (1, 2),
    "sink_formula": (1, 2),
    "skewness": (1, 4),
    "softcap": (0, 2),
    "softcap_alibi": (1, 2),
    "softmax": (1, 2),
    "variance": (1, 3),
    "weighted_variance": (1, 3),
}


@cache
def first(name: str) -> tuple[Program, Derived]:
    """A group's first attention and its state."""
    program = attnc.compile(next(iter(WAYS[name].values()))).program()
    return program, only_stage(program).monoid


def only_stage(program: Program) -> Stream:
    """The stage of a program that is one pass."""
    assert not program.heavy
    (stage,) = (stage for stage in program.streams if stage.stream is not None)
    return stage


def halves(monoid: Monoid) -> list[Spans]:
    """The stream in two pieces of every segment; virtual keys are in the second."""
    one: list[tuple[int, int] | None] = []
    other: list[tuple[int, int] | None] = []
    for segment, span in zip(monoid.stage.monoid.segments, monoid.whole(), strict=True):
        lo, hi = span or (0, 0)
        middle = lo + (hi - lo) // 3
        one.append(None if segment.index is None else (lo, middle))
        other.append((lo, hi) if segment.index is None else (middle, hi))
    return [tuple(one), tuple(other)]


def inputs_of(program: Program, scale: float, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    inputs = draw(program.stated, _shape(program), {}, dtype, 11)
    query = program.stated.inputs[0].name
    return {name: value * scale if name == query else value for name, value in inputs.items()}


def _shape(program: Program) -> dict[str, int]:
    found: dict[str, int] = {}
    for item, extents in zip(program.stated.inputs, ("bhme", "bhne", "bhnf", "bhne"), strict=False):
        if len(item.indices) == len(extents):
            found |= {own: SHAPE[index] for own, index in zip(item.indices, extents, strict=True)}
    return found


def outputs_of(program: Program, inputs: dict[str, torch.Tensor], dtype: torch.dtype) -> torch.Tensor:
    """The output by way of the derived state of two pieces, merged."""
    monoid = Monoid(only_stage(program), context_of(program.explicit, inputs, dtype))
    one, other = (monoid.lift(piece) for piece in halves(monoid))
    (value,) = monoid.finish(monoid.merge(one, other)).values()
    return value


@pytest.mark.parametrize(("name", "way"), CASES)
def test_a_rewritten_spec_has_the_same_state(name: str, way: str) -> None:
    program = attnc.compile(renamed(WAYS[name][way])).program()
    assert form(only_stage(program).monoid) == form(first(name)[1])


@pytest.mark.parametrize("name", WAYS)
def test_the_state_is_as_small_as_the_literature_has_it(name: str) -> None:
    monoid = first(name)[1]
    assert (len(monoid.gauges), len(monoid.accumulators)) == SIZES[name]


@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0])
@pytest.mark.parametrize(("name", "way"), CASES)
def test_a_rewritten_spec_gives_the_same_numbers(name: str, way: str, scale: float) -> None:
    """In float32, scores times 30 as well, held against the first way's definition by the contract."""
    program, reference = attnc.compile(renamed(WAYS[name][way])).program(), first(name)[0]
    values = list(inputs_of(reference, scale, torch.float32).values())
    found = outputs_of(program, named(program, values), torch.float32)
    assert any(judge("O", found, judged).passed for judged in definitions(reference, program, values))


@pytest.mark.exhaustive
@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize(("name", "way"), CASES)
def test_the_kernel_of_a_rewritten_spec_gives_the_same_numbers(name: str, way: str, scale: float) -> None:
    attention, reference = attnc.compile(renamed(WAYS[name][way])), first(name)[0]
    values = list(inputs_of(reference, scale, torch.float32).values())
    found = attention(*values)
    judgements = definitions(reference, attention.program(), values)
    assert any(judge("O", found, judged).passed for judged in judgements)


def named(program: Program, values: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    return dict(zip((item.name for item in program.stated.inputs), values, strict=True))


def definitions(reference: Program, program: Program, values: list[torch.Tensor]) -> list[Reference]:
    """The first way's definition, and the way's own in float32 where that is near: a way may lose more digits."""
    (own,) = references(program.stated, named(program, values), {program.stated.outputs[0]: torch.float32}).values()
    (judged,) = references(reference.stated, named(reference, values), {"O": torch.float32}).values()
    near = float((own.plain - judged.exact).abs().max()) < 1e-3 * judged.scale
    return [judged, Reference(judged.exact, own.plain, judged.scale)] if near else [judged]


def test_different_attentions_have_different_states() -> None:
    forms = {name: form(first(name)[1]) for name in ("softmax", "entropy", "variance", "sigmoid", "differential")}
    assert all(forms[a] != forms[b] for a in forms for b in forms if a < b)
