"""Gradients through tables by distance, and of tables that a choice finds the element of."""

import pytest
import torch

import attnc
from tests.gradients.run import backward_of, run_gradients

SPEC = """attention a(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], T[h,r,e]) -> O:
    index N - M <= m < N
    D[b,h,m,n] = sum[e](Q * default(T[h,R - 1 - (m - n),e], 0))
    O[b,h,m,f] = softmax[n](sum[e](Q * K) + D where n <= m) * V
"""
SHAPE = {"b": 1, "h": 2, "m": 11, "n": 14, "e": 4, "f": 4, "r": 9}


@pytest.mark.parametrize("target", ["cpu", "sm_90"])
def test_a_table_by_distance_has_gradients(target: str) -> None:
    assert run_gradients(attnc.compile(SPEC), SHAPE, 3, torch.float32, target).failures == ()


# ---- an element that a choice finds ------------------------------------------------------------

CHOSEN = """attention a(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], T[h,r]) -> O:
    S[b,h,m,n] = sum[e](Q * K) + T[h,{}]
    O[b,h,m,f] = softmax[n](S) * V
"""
CHOICES = {
    "either": "m - n if m - n >= 0 else m - n + R",
    "one": "m - n if m >= n else 2",
    "nested": "m if m < 4 else (n if n > 6 else m - n + 2)",
}
REST = [("either", "sm_90"), ("nested", "cpu"), ("one", "cpu")]
SIZES = {"b": 2, "h": 2, "m": 11, "n": 9, "e": 4, "f": 4, "r": 25}


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("either", "cpu"),
        ("either", "sm_90"),
        ("nested", "cpu"),
        pytest.param("one", "cpu", marks=pytest.mark.exhaustive),
    ],
)
def test_each_side_of_a_choice_has_its_gradient(name: str, target: str) -> None:
    assert run_gradients(attnc.compile(CHOSEN.format(CHOICES[name])), SIZES, 3, torch.float32, target).failures == ()


def test_the_sides_of_a_choice_walk_one_length_and_compile_in_none() -> None:
    steps = backward_of(attnc.compile(CHOSEN.format(CHOICES["either"]))).steps
    programs = [program for _, program in steps if program is not None]
    needs = {stage.name: program.needs[stage.name] for program in programs for stage in program.streams}
    assert {index for item in needs.values() for index in item.compiled_in} == {"e", "f"}
    (walks,) = [stage for program in programs for stage in program.streams if stage.name.startswith("dT")]
    assert (walks.grid, walks.parallel) == (("b", "h"), "r")
    assert len(walks.monoid.accumulators) == 2
