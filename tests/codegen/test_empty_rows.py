"""Rows that see nothing, or nothing of a set that others are divided by: what the definition gives, and no NaN."""

import pytest
import torch

import attnc
from attnc.contract import judge, references
from tests.gradients.run import run_gradients
from tests.programs.run import outputs_on
from tests.stdlib.cases import cases
from tests.stdlib.run import gradients_broken

HEAD = "attention a(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]) -> O:\n    index N - M <= m < N\n"
SCORES = "    S[b,h,m,n] = Q * K / sqrt(E)\n"
FACTORS = ["1 / (m + 1) ** 0.5", "log(m + 1)", "1 / m"]
SIZES = {"b": 1, "h": 2, "m": 9, "n": 5, "e": 8, "f": 8}


@pytest.mark.parametrize("target", ["cpu", "sm_90"])
@pytest.mark.parametrize("factor", FACTORS)
def test_a_factor_that_is_undefined_there_leaves_rows_that_see_nothing_0(factor: str, target: str) -> None:
    text = HEAD + SCORES
    text += f"    O[b,h,m,f] = sum[n](sigmoid(S) * ({factor}) * V where n <= m and n > 0)\n"
    attention = attnc.compile(text)
    dice = torch.Generator().manual_seed(0)
    shapes = {"Q": (1, 2, 9, 8), "K": (1, 2, 5, 8), "V": (1, 2, 5, 8)}
    inputs = {name: torch.randn(shape, generator=dice) for name, shape in shapes.items()}
    found = outputs_on(attention, inputs, target)["O"]
    wanted = references(attention.program().stated, inputs, {"O": found.dtype})["O"]
    assert judge("O", found, wanted).passed
    assert torch.all(found[:, :, :5] == 0)


def test_a_sum_over_an_empty_set_that_divides_another_has_a_gradient_where_it_is_not_asked() -> None:
    (case,) = (item for item in cases() if str(item) == "visual_redistribution-m33-n33-1.5-0.5")
    assert gradients_broken(case, case.inputs(torch.float32)) == []


def test_numbers_of_a_loop_over_points_are_cast_in_the_interpreter() -> None:
    text = HEAD + "    S[b,h,m,n] = Q * K / sqrt(E) * log(m + 1)\n"
    text += "    O[b,h,m,f] = softmax[n](S where n <= m) * V\n"
    sizes = SIZES | {"m": 33, "n": 33}
    assert run_gradients(attnc.compile(text), sizes, 3, target="sm_90").failures == ()
