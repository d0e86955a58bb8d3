"""Kernels at every head dimension: contracted and kept whole, alike and apart, on both backends."""

import pytest
import torch

import attnc
from attnc.contract import judge, references
from attnc.runtime.attention import Attention
from attnc.runtime.draw import draw
from tests.programs.run import outputs_on
from tests.thinned import thinned

SPEC = (
    "attention a(Q[b,h,m,e], K[b,g,n,e], V[b,g,n,f]) -> O, L:\n    require H % G == 0 and G >= 1\n    r = H // G\n"
    "    index N - M <= m < N\n    S[b,h,m,n] = Q * K[b,h // r,n,e] / sqrt(E) where n <= m\n"
    "    O[b,h,m,f] = softmax[n](S) * V[b,h // r,n,f]\n    L[b,h,m] = logsumexp[n](S)\n"
)
EVERY = [(width, width) for width in range(1, 257)]
SOME = ((1, 1), (2, 7), (17, 3), (31, 33), (80, 80), (96, 128), (192, 128), (255, 256), (256, 1))


@pytest.fixture(scope="module")
def attention() -> Attention:
    return attnc.compile(SPEC, strict=True)


def failures(attention: Attention, widths: tuple[int, int], dtype: torch.dtype, target: str) -> list[str]:
    shape = {"b": 1, "h": 4, "g": 2, "m": 19, "n": 37, "e": widths[0], "f": widths[1]}
    cascade = attention.program().stated
    inputs = draw(cascade, shape, {}, dtype, seed=widths[0])
    outputs = outputs_on(attention, inputs, target)
    judged = references(cascade, inputs, {name: value.dtype for name, value in outputs.items()})
    return [name for name, value in outputs.items() if not judge(name, value, judged[name]).passed]


@pytest.mark.parametrize("widths", SOME, ids=str)
@pytest.mark.parametrize("dtype", thinned([torch.float32, torch.bfloat16, torch.float64], 2), ids=str)
def test_widths_on_a_cpu(attention: Attention, widths: tuple[int, int], dtype: torch.dtype) -> None:
    assert failures(attention, widths, dtype, "cpu") == []


@pytest.mark.parametrize("widths", [(40000, 3), (2, 40000)], ids=str)
def test_arrays_that_no_stack_has_room_for(attention: Attention, widths: tuple[int, int]) -> None:
    assert failures(attention, widths, torch.float32, "cpu") == []


@pytest.mark.parametrize("widths", SOME, ids=str)
@pytest.mark.parametrize("target", ["sm_90", "gfx942"])
def test_widths_in_triton(attention: Attention, widths: tuple[int, int], target: str) -> None:
    assert failures(attention, widths, torch.float32, target) == []


@pytest.mark.exhaustive
@pytest.mark.parametrize("widths", EVERY, ids=str)
def test_every_width_on_a_cpu(attention: Attention, widths: tuple[int, int]) -> None:
    assert failures(attention, widths, torch.float32, "cpu") == []
