"""Extrema of monotone functions of a score and a completed value are one pass, and stay what they are."""

import pytest
import torch

import attnc
from attnc.contract import judge, references
from attnc.runtime.attention import Attention
from attnc.runtime.draw import draw

HEAD = "attention p(Q[b,h,m,e], K[b,h,n,e]) -> O:\n    S[b,h,m,n] = Q * K where n < m and n % 3 != 1\n"
ONE_PASS = (
    "max[n](S - mean[n](S))",
    "max[n](S - max[n](S))",
    "max[n](exp(S - logsumexp[n](S)))",
    "min[n](exp(S - logsumexp[n](S)))",
    "max[n](relu(S - mean[n](S)))",
    "max[n](tanh(S / (1 + sum[n](S * S))))",
    "min[n](S * sum[n](exp(S)))",
    "max[n](-S * sum[n](exp(S)))",
    "max[n](softmax[n](S))",
    "min[n](1 - softmax[n](S))",
    "max[n](S / (1 + var[n](S)))",
    "max[n](clamp(S - min[n](S), 0, 1))",
    "max[n](min(S, mean[n](S)))",
)
# what a row compares with is no argument of a monotone function of one score, or its sign is not known
MORE_PASSES = ("max[n](S * mean[n](S))", "max[n](abs(S - mean[n](S)))", "max[n](S * S - S * mean[n](S))")
SHAPES = ({"b": 1, "h": 2, "m": 20, "n": 20, "e": 8}, {"b": 1, "h": 1, "m": 5, "n": 0, "e": 4})


def compiled(body: str) -> Attention:
    return attnc.compile(f"{HEAD}    O[b,h,m] = {body}\n", strict=True)


def agrees(attention: Attention, shape: dict[str, int]) -> bool:
    cascade = attention.program().stated
    inputs = draw(cascade, shape, {}, torch.float32, seed=2)
    output = attention(**inputs)
    return judge("O", output, references(cascade, inputs, {"O": output.dtype})["O"]).passed


@pytest.mark.parametrize("body", ONE_PASS)
def test_an_extremum_of_a_monotone_function_is_one_pass(body: str) -> None:
    attention = compiled(body)
    assert len(attention.program().streams) == 1
    assert all(agrees(attention, shape) for shape in SHAPES)


@pytest.mark.parametrize("body", MORE_PASSES)
def test_other_functions_wait_for_the_pass_before(body: str) -> None:
    attention = compiled(body)
    program = attention.program()
    assert len([stage for stage in program.streams if "K" in program.needs[stage.name].tensors]) == 2
    assert [item.code for item in attention.program().plan.refusals] == ["NSEP"]
    assert all(agrees(attention, shape) for shape in SHAPES)
