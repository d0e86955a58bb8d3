"""The states of spans and their merge give what one stream gives, stage by stage, in the interpreter of kernels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import attnc
from attnc.ir.cascade import Cascade
from attnc.ir.interpret import run
from attnc.ir.kernel import DType
from attnc.ir.run_kernel import run_kernel
from attnc.ir.sizes import evaluate
from attnc.ir.stage import Stream
from attnc.ir.target import Target
from attnc.ir.types import types_of
from attnc.passes.lower import lower
from attnc.passes.split import split, splits
from attnc.runtime.attention import Attention
from attnc.runtime.draw import draw
from attnc.runtime.needs import compiled_in, stream_tensors
from tests.passes.lowered import SMALL_CPU, SMALL_GPU, Tensors
from tests.passes.test_monoid_laws import DOMAIN_HEAD, DOMAINS, EXAMPLES
from tests.programs.generate import program

SHAPE = {"b": 1, "h": 2, "m": 5, "n": 75, "e": 3, "f": 2, "g": 2, "x": 3, "c": 3, "j": 4, "k": 4, "d": 3, "i": 40}
TYPES: dict[str, DType] = {"real": "float64", "int": "int64", "bool": "bool"}
CPU = replace(SMALL_CPU, keys=(16,))


def made(cascade: Cascade, stage: Stream, sizes: dict[str, int]) -> Tensors:
    """The outputs of a stage before anything is stored: NaN, or -7."""
    found = {}
    for finish in stage.monoid.finishes:
        tensor = cascade.tensor(finish.tensor)
        assert tensor is not None
        shape = [max(0, int(evaluate(hi, sizes)) - int(evaluate(lo, sizes))) for lo, hi in tensor.axes]
        dtype = {"real": torch.float64, "int": torch.int64, "bool": torch.bool}[tensor.type]
        found[finish.tensor] = torch.full(shape, torch.nan if tensor.type == "real" else -7).to(dtype)
    return found


def stored(cascade: Cascade, stage: Stream, given: Tensors, sizes: dict[str, int], target: Target) -> Tensors:
    """What the kernel of a stage stores."""
    dtypes = {name: TYPES[kind] for name, kind in types_of(cascade).items()}
    kernel = lower(stage, cascade, target, dtypes, {index: sizes[index] for index in compiled_in(stage, cascade)})
    found = made(cascade, stage, sizes)
    run_kernel(kernel, given | found, sizes)
    return found


def compared(attention: Attention, shape: dict[str, int], seed: int, target: Target = CPU) -> int:
    """Every stage that can be cut, whole and in spans; how many there were."""
    analysed = attention.program()
    used = {index for item in analysed.stated.inputs for index in item.indices}
    sizes = {index: extent for index, extent in shape.items() if index in used}
    inputs = draw(analysed.stated, sizes, {}, torch.float64, seed)
    stages = [stage for stage in analysed.streams if splits(stage)]
    cascade = analysed.explicit
    for stage in stages:
        read = [name for name in stream_tensors(stage) if name not in inputs]
        given = inputs | dict(run(cascade, inputs, sizes=sizes, keep=read).values)
        whole = stored(cascade, stage, given, sizes, target)
        for spans, reach in ((1, 112), (3, 32), (5, 16), (9, 16)):
            pair = split(stage, cascade)
            around = sizes | {pair.span: spans, pair.reach: reach}
            states = stored(pair.cascade, pair.spans, given, around, target)
            merged = stored(pair.cascade, pair.merge, given | states, around, target)
            assert whole.keys() == merged.keys()
            for name, value in whole.items():
                torch.testing.assert_close(merged[name], value, rtol=1e-9, atol=1e-9, equal_nan=True)
    return len(stages)


@pytest.mark.parametrize("spec", EXAMPLES, ids=lambda path: path.stem)
def test_examples(spec: Path) -> None:
    assert compared(attnc.load(spec), SHAPE, seed=1) > 0


@pytest.mark.parametrize("name", ["04_gqa_sink_window", "10_entropy", "11_moments"])
def test_padded_lanes(name: str) -> None:
    (spec,) = (path for path in EXAMPLES if path.stem.startswith(name[:3]))
    assert compared(attnc.load(spec), SHAPE, seed=2, target=replace(SMALL_GPU, keys=(16,))) > 0


@pytest.mark.parametrize("body", DOMAINS.values(), ids=DOMAINS)
def test_one_score_under_several_conditions(body: str) -> None:
    assert compared(attnc.compile(DOMAIN_HEAD + body), SHAPE, seed=3) > 0


BIASED = "attention p(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], B[h,n]) -> O:\n    S[b,h,m,n] = sum[e](Q * K) + B[h,n]\n    "


@pytest.mark.parametrize("seed", range(0, 60, 1))
def test_generated_programs(seed: int) -> None:
    one = program(seed)
    compared(attnc.compile(one.text), {**one.shape, "n": one.shape.get("n", 0)}, seed)
