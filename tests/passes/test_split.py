"""The states of spans and their merge give what one stream gives, stage by stage, in the interpreter of kernels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import attnc
from attnc.ir.cascade import Cascade, Read
from attnc.ir.interpret import run
from attnc.ir.kernel import DType
from attnc.ir.run_kernel import run_kernel
from attnc.ir.sizes import evaluate
from attnc.ir.stage import Stream
from attnc.ir.target import Target
from attnc.ir.types import types_of
from attnc.ir.walk import walk
from attnc.passes.lower import lower
from attnc.passes.split import split
from attnc.runtime.attention import Attention
from attnc.runtime.draw import draw
from attnc.runtime.needs import compiled_in, stream_tensors
from tests.passes.lowered import SMALL_CPU, SMALL_GPU, Tensors
from tests.passes.test_monoid_laws import BIASED, DOMAIN_HEAD, DOMAINS, EXAMPLES
from tests.passes.test_monoid_laws import MINUS_INFINITY as BODIES
from tests.programs.direct import DIRECT
from tests.programs.generate import program
from tests.thinned import thinned

SHAPE = {"b": 3, "h": 2, "m": 5, "n": 75, "e": 3, "f": 2, "g": 2, "x": 3, "c": 3, "j": 4, "k": 4, "d": 3, "i": 40}
TYPES: dict[str, DType] = {"real": "float64", "int": "int64", "bool": "bool"}
SPANS = ((1, 112), (3, 32), (5, 16), (9, 16))  # how many, of how many positions: the last ones lie beyond the end
FEW = ((7, 1), (2, 3))  # where positions are walked one by one
CPU, GPU = SMALL_CPU, replace(SMALL_GPU, keys=(16,))
MINUS_INFINITY = {name: BIASED + text for name, text in BODIES.items()}


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


def compared(
    attention: Attention, shape: dict[str, int], seed: int, target: Target = CPU, hidden: slice | None = None
) -> int:
    """Every stage that can be cut, whole and in spans; how many there were. Keys that are `hidden` score -inf."""
    analysed = attention.program()
    used = {index for item in analysed.stated.inputs for index in item.indices}
    sizes = {index: extent for index, extent in shape.items() if index in used}
    inputs = draw(analysed.stated, sizes, {}, torch.float64, seed)
    if hidden is not None:
        inputs["B"][..., hidden] = -torch.inf
    stages = [stage for stage in analysed.streams if stage.stream is not None]
    cascade = analysed.explicit
    for stage in stages:
        read = [name for name in stream_tensors(stage) if name not in inputs]
        given = inputs | dict(run(cascade, inputs, sizes=sizes, keep=read).values)
        whole = stored(cascade, stage, given, sizes, target)
        for spans, reach in FEW if stage.columns else SPANS:
            pair = split(stage, cascade)
            around = sizes | {pair.span: spans, pair.reach: reach}
            states = stored(pair.cascade, pair.spans, given, around, target)
            merged = stored(pair.cascade, pair.merge, given | states, around, target)
            assert whole.keys() == merged.keys()
            for name, value in whole.items():
                torch.testing.assert_close(merged[name], value, rtol=1e-9, atol=1e-9, equal_nan=True)
    return len(stages)


@pytest.mark.parametrize("spec", thinned(EXAMPLES, 2), ids=lambda path: path.stem)
def test_examples(spec: Path) -> None:
    assert compared(attnc.load(spec), SHAPE, seed=1) > 0


@pytest.mark.parametrize("name", ["04_gqa_sink_window", "10_entropy", "11_score_moments"])
def test_padded_lanes(name: str) -> None:
    (spec,) = (path for path in EXAMPLES if path.stem == name)
    assert compared(attnc.load(spec), SHAPE, seed=2, target=GPU) > 0


@pytest.mark.parametrize("body", DOMAINS.values(), ids=DOMAINS)
def test_one_score_under_several_conditions(body: str) -> None:
    assert compared(attnc.compile(DOMAIN_HEAD + body), SHAPE, seed=3) > 0


@pytest.mark.parametrize("name", thinned(MINUS_INFINITY, 3))
def test_scores_of_minus_infinity(name: str) -> None:
    attention = attnc.compile(MINUS_INFINITY[name])
    for hidden in (slice(0, 20), slice(16, 48), slice(40, None), slice(None)):
        assert compared(attention, SHAPE, seed=4, hidden=hidden) == 1


@pytest.mark.parametrize("name", ["bias of all heads", "highest", "all gradients", "indexer"])
def test_values_of_pairs(name: str) -> None:
    assert compared(attnc.compile(DIRECT[name]), {**SHAPE, "n": 20}, seed=5) > 0


@pytest.mark.parametrize(
    "seeds",
    [
        range(start, start + 10) if start < 10 else pytest.param(range(start, start + 10), marks=pytest.mark.exhaustive)
        for start in range(0, 50, 10)
    ],
    ids=str,
)
def test_generated_programs(seeds: range) -> None:
    programs = [program(seed) for seed in seeds]
    assert sum(compared(attnc.compile(one.text), one.shape, one.seed) for one in programs) > 5


def test_the_merge_of_moments_needs_its_corrections() -> None:
    """A merge that forgot what `keep` says would be told from this one."""
    analysed = attnc.load(EXAMPLES[10]).program()
    (stage,) = analysed.streams
    merge = split(stage, analysed.explicit).merge
    corrected = [item for item in merge.monoid.accumulators if len(item.keep) > 1]
    assert corrected
    for item in corrected:
        (lift,) = item.lifts
        read = {node.tensor for node in walk(lift.body) if isinstance(node, Read)}
        assert {f"{name}_span" for _, name in item.keep} <= read


@pytest.mark.parametrize(("output", "rounds"), [("bfloat16", True), ("float16", True), ("float32", False)])
def test_states_of_spans_are_rounded_for_where_what_becomes_of_them_has_16_bits(output: DType, rounds: bool) -> None:
    cascade = attnc.load(EXAMPLES[0]).program().explicit
    (stage,) = (item for item in attnc.load(EXAMPLES[0]).program().plan.stages if isinstance(item, Stream))
    cut, types = split(stage, cascade), types_of(cascade)
    dtypes: dict[str, DType] = {name: "bfloat16" if cascade.input(name) else "float32" for name in types}
    dtypes |= {item.name: "float32" for item in cut.states}
    dtypes |= dict.fromkeys(cascade.outputs, output)
    kernels = [lower(part, cut.cascade, CPU, dtypes, {"e": 8, "f": 8}) for part in (cut.spans, cut.merge)]
    assert [kernel.rounds for kernel in kernels] == [rounds, False]
