"""The generated Triton on a device against the oracle: examples, variants, random programs, widths, lengths."""

from pathlib import Path

import pytest
import torch

import attnc
from attnc.contract import judge, references
from attnc.runtime.attention import Attention
from attnc.runtime.draw import draw
from tests.programs.direct import DIRECT
from tests.programs.generate import Program, program, variants, written

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("[01]*.attn"))[:11]
SHAPES = (
    {"b": 2, "h": 4, "g": 2, "m": 300, "n": 517, "e": 64, "f": 64},
    {"b": 1, "h": 2, "g": 1, "m": 1, "n": 1025, "e": 128, "f": 96},
    {"b": 1, "h": 2, "g": 1, "m": 3, "n": 8200, "e": 64, "f": 64},
    {"b": 1, "h": 2, "g": 2, "m": 65, "n": 17, "e": 40, "f": 24},
    {"b": 1, "h": 2, "g": 2, "m": 0, "n": 16, "e": 16, "f": 16},
)
TYPES = (torch.float32, torch.bfloat16, torch.float16)
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")]


def failures(attention: Attention, shape: dict[str, int], dtype: torch.dtype, seed: int) -> list[str]:
    cascade = attention.program().stated
    used = {index for item in cascade.inputs for index in item.indices}
    inputs = draw(cascade, {index: extent for index, extent in shape.items() if index in used}, {}, dtype, seed)
    results = attention(**{name: tensor.cuda() for name, tensor in inputs.items()})
    names = cascade.outputs
    outputs = dict(zip(names, results if len(names) > 1 else [results], strict=True))
    judged = references(cascade, inputs, {name: value.dtype for name, value in outputs.items()})
    verdicts = [judge(name, value.cpu(), judged[name]) for name, value in outputs.items()]
    return [f"{v.output}: {v.error} > {v.allowed}" for v in verdicts if not v.passed]


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("spec", EXAMPLES, ids=lambda path: path.stem)
def test_examples(spec: Path, shape: dict[str, int], dtype: torch.dtype) -> None:
    attention = attnc.load(spec, strict=True)
    assert failures(attention, shape, dtype, seed=5) == []
    assert all(run.backend in ("triton", "torch") for run in attention.last_run.stages)  # type: ignore[union-attr]


@pytest.mark.parametrize("spec", variants(), ids=lambda path: path.stem)
def test_variants(spec: Path) -> None:
    one = written(spec)
    assert failures(attnc.compile(one.text), one.shape, torch.float32, seed=1) == []


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", DIRECT)
def test_values_of_rows_and_pairs(name: str, shape: dict[str, int], dtype: torch.dtype) -> None:
    assert failures(attnc.compile(DIRECT[name]), shape, dtype, seed=7) == []


@pytest.mark.parametrize("seed", [seed for seed in range(100) if seed % 5 != 4])
def test_random_programs(seed: int) -> None:
    one: Program = program(seed)
    assert failures(attnc.compile(one.text), one.shape, torch.float32, seed) == [], one.text


@pytest.mark.parametrize("width", [1, 17, 64, 80, 128, 192, 256])
def test_widths(width: int) -> None:
    shape = {"b": 1, "h": 2, "m": 70, "n": 130, "e": width, "f": width}
    assert failures(attnc.load(EXAMPLES[0]), shape, torch.bfloat16, seed=width) == []


def test_lengths_compile_nothing_new() -> None:
    attention = attnc.load(EXAMPLES[0])
    for length in (64, 100, 129, 1000):
        assert failures(attention, {"b": 1, "h": 2, "m": length, "n": length, "e": 64, "f": 64}, torch.float32, 1) == []
    assert attnc.stats()["compilations"] >= 1
    before = attnc.stats()["compilations"]
    assert failures(attention, {"b": 1, "h": 2, "m": 77, "n": 333, "e": 64, "f": 64}, torch.float32, 1) == []
    assert attnc.stats()["compilations"] == before
