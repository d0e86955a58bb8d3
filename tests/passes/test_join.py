"""Two streams over the same pairs and the one that stands for them give the same, in the interpreter of kernels."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch

import attnc
from attnc.ir.cascade import Expr
from attnc.ir.interpret import run
from attnc.ir.sizes import whole
from attnc.ir.stage import Stream
from attnc.passes.join import join
from attnc.runtime.attention import Attention
from attnc.runtime.draw import draw
from attnc.runtime.needs import stream_tensors
from attnc.runtime.program import Program
from tests.gradients.run import backward_of
from tests.passes.lowered import SMALL_CPU, Tensors
from tests.passes.test_split import stored
from tests.programs.generate import program
from tests.thinned import thinned

EXAMPLES = Path(__file__).parents[2] / "examples"
Axes = tuple[tuple[Expr, Expr], ...]
JOINED = ("01_causal_softmax", "02_alibi", "03_softcap_window", "05_sigmoid", "07_differential", "09_l2_normalised")
SHAPE = {"b": 2, "h": 2, "g": 2, "m": 37, "n": 50, "e": 16, "f": 16, "x": 3, "c": 3, "j": 4, "k": 4, "d": 3, "i": 40}


def compared(analysed: Program, shape: dict[str, int], seed: int) -> int:
    """Every pair of stages that can be joined, apart and as one; how many there were."""
    cascade = analysed.explicit
    used = {index for item in cascade.inputs for index in item.indices}
    if not used <= shape.keys():  # a step that reads a tensor of the forward, whose axes have names of their own
        return 0
    sizes = {index: extent for index, extent in shape.items() if index in used}
    inputs = draw(cascade, sizes, {}, torch.float64, seed)
    found = 0
    for first, second in pairwise(analysed.plan.stages):
        if not isinstance(first, Stream) or not isinstance(second, Stream):
            continue
        joined = join(first, second, cascade)
        if joined is None:
            continue
        found += 1
        read = [name for stage in (first, second) for name in stream_tensors(stage) if name not in inputs]
        given = inputs | dict(run(cascade, inputs, sizes=sizes, keep=read).values)
        apart: Tensors = {}
        for stage in (first, second):
            apart |= stored(cascade, stage, given, sizes, SMALL_CPU)
        sums = {item.name: torch.zeros(extents(item.axes, sizes), dtype=torch.float64) for item in joined.sums}
        together = stored(joined.cascade, joined.stream, given | sums, sizes, SMALL_CPU)
        together |= stored(joined.cascade, joined.ends, given | sums, sizes, SMALL_CPU)
        assert apart.keys() == together.keys()
        for name, value in apart.items():
            torch.testing.assert_close(together[name], value, rtol=1e-9, atol=1e-9, equal_nan=True)
    return found


def extents(axes: Axes, sizes: dict[str, int]) -> list[int]:
    return [whole(hi, sizes) - whole(lo, sizes) for lo, hi in axes]


def of_backward(attention: Attention, shape: dict[str, int], seed: int) -> int:
    steps = [step for _, step in backward_of(attention).steps if step is not None]
    return sum(compared(step, shape, seed) for step in steps)


@pytest.mark.parametrize("name", JOINED)
def test_examples(name: str) -> None:
    assert of_backward(attnc.load(EXAMPLES / f"{name}.attn"), SHAPE, seed=1) > 0


@pytest.mark.parametrize("seeds", thinned([range(start, start + 10) for start in range(0, 40, 10)], 2), ids=str)
def test_generated_programs(seeds: range) -> None:
    programs = [program(seed) for seed in seeds]
    assert sum(of_backward(attnc.compile(one.text), one.shape, one.seed) for one in programs) > 2


def test_streams_of_different_pairs_are_not_joined() -> None:
    """A window one way and none the other: what one sees, the other does not."""
    text = (EXAMPLES / "01_causal_softmax.attn").read_text()
    narrow = text.replace("where n <= m", "where n <= m and m - n < 5")
    assert narrow != text
    wide, own = _pair(attnc.compile(text)), _pair(attnc.compile(narrow))
    step = next(step for _, step in backward_of(attnc.compile(narrow)).steps if step is not None)
    assert join(*own, step.explicit) is not None
    assert join(wide[0], own[1], step.explicit) is None


def _pair(attention: Attention) -> tuple[Stream, Stream]:
    step = next(step for _, step in backward_of(attention).steps if step is not None)
    first, second = step.streams[-2:]
    return first, second
