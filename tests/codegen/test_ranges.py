"""Tiles that data leaves out: ranges of what is compared tell of most, pairs of the rest."""

import re

import pytest
import torch

import attnc
from attnc.contract import judge, references
from tests.gradients.run import run_gradients
from tests.programs.run import outputs_on

HEAD = "attention a(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], x[b,m]: int, y[b,n]: int) -> O:\n    index N - M <= m < N\n"
BODY = "    A[b,h,m,n] = softmax[n](sum[e](Q * K) where {test})\n    O[b,h,m,f] = A * V\n"
TESTS = ["x == y", "y == x", "x < y", "x <= y", "x > y", "y >= x", "n <= m and x == y", "x == y and y > 2", "x != y"]
ORDERS = ("sorted", "negative", "none")
QUICK = {(test, "sorted", "cpu") for test in TESTS} | {("x == y", order, "sm_90") for order in ORDERS}
CASES = [(test, order, target) for test in TESTS for order in ORDERS for target in ("cpu", "sm_90")]
M, N = 150, 170


def documents(order: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers of documents: in order, from below 0, or in no order."""
    dice = torch.Generator().manual_seed(3)
    number = torch.randint(0, 7, (2, N), generator=dice)
    if order != "none":
        number = number.sort(-1).values - (5 if order == "negative" else 0)
    return number[:, N - M :].contiguous(), number


def drawn(order: str) -> dict[str, torch.Tensor]:
    dice = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(2, 2, size, 8, generator=dice) for size in (M, N, N))
    x, y = documents(order)
    return {"Q": q, "K": k, "V": v, "x": x, "y": y}


@pytest.mark.parametrize(
    ("test", "order", "target"),
    [pytest.param(*case, marks=() if case in QUICK else pytest.mark.exhaustive) for case in CASES],
)
def test_what_ranges_leave_out_is_not_seen(test: str, order: str, target: str) -> None:
    attention, inputs = attnc.compile(HEAD + BODY.format(test=test), strict=True), drawn(order)
    found = outputs_on(attention, inputs, target)["O"]
    reference = references(attention.program().stated, inputs, {"O": found.dtype})["O"]
    assert judge("O", found, reference).passed


@pytest.mark.parametrize("target", ["cpu", "sm_90"])
def test_gradients(target: str) -> None:
    attention = attnc.compile(HEAD + BODY.format(test="n <= m and x == y"), strict=True)
    assert run_gradients(attention, {"b": 2, "h": 2, "m": 70, "n": 90, "e": 8, "f": 8}, 3, target=target).failures == ()


@pytest.mark.parametrize(
    ("test", "asked"), [("x == y", 2), ("x < y", 1), ("n <= m", 0), ("x != y", 0), ("x // 2 == y", 2)]
)
def test_ranges_are_asked_where_they_tell(test: str, asked: int) -> None:
    kernel = attnc.compile(HEAD + BODY.format(test=test)).kernels(shape={"e": 8, "f": 8})["forward"].source
    assert kernel.count("the ranges of what is compared") == (asked > 0)
    assert kernel.count("for (int64_t n_first") == (1 if asked else 2)  # else one of whole tiles, and one of the last
    assert kernel.count("v_least") > 0 if asked else "v_least" not in kernel


def test_scores_are_computed_once_where_a_condition_is_on_them() -> None:
    test = "n <= m and sum[e](Q * K) > 0"
    source = attnc.compile(HEAD + BODY.format(test=test)).kernels(shape={"e": 8, "f": 8})["forward"].source
    assert "only where some row sees something" not in source
    loops = 2  # of whole tiles, and of those that the diagonal cuts: both keep the condition on scores
    assert len(re.findall(r"matmul\w*<", source)) == 2 * loops
    assert source.count("> 0.0f") >= loops


@pytest.mark.parametrize("target", ["cpu", "sm_90"])
@pytest.mark.parametrize("test", ["n <= m and sum[e](Q * K) > 0", "x == y and (n <= m or sum[e](Q * K) > 0)"])
def test_conditions_on_scores_keep_the_contract(test: str, target: str) -> None:
    text = HEAD + BODY.format(test=test)
    attention, inputs = attnc.compile(text, strict=True), drawn("sorted")
    found = outputs_on(attention, inputs, target)["O"]
    reference = references(attention.program().stated, inputs, {"O": found.dtype})["O"]
    assert judge("O", found, reference).passed
    shape = {"b": 2, "h": 2, "m": 70, "n": 90, "e": 8, "f": 8}
    assert run_gradients(attention, shape, 3, target=target).failures == ()


@pytest.mark.parametrize("target", ["cpu", "sm_90"])
def test_a_tile_of_one_document_keeps_the_conditions_that_ranges_say_nothing_of(target: str) -> None:
    scores = "    S[b,h,m,n] = sum[e](Q * K) where x == y\n"
    rest = "    A[b,h,m,n] = softmax[n](S where n <= m or sum[e](Q * K) > 0)\n    O[b,h,m,f] = A * V\n"
    attention, inputs = attnc.compile(HEAD + scores + rest, strict=True), drawn("sorted")
    inputs |= {name: torch.zeros_like(inputs[name]) for name in ("x", "y")}
    found = outputs_on(attention, inputs, target)["O"]
    reference = references(attention.program().stated, inputs, {"O": found.dtype})["O"]
    assert judge("O", found, reference).passed


@pytest.mark.parametrize(("test", "loops"), [("x == y", 3), ("x != y", 1)])
def test_a_window_whose_pairs_are_asked_anyway_takes_one_loop_on_a_gpu(test: str, loops: int) -> None:
    text, inputs = HEAD + BODY.format(test=f"0 <= m - n < 60 and {test}"), drawn("none")
    attention = attnc.compile(text, strict=True)
    source = attention.kernels(target="sm_90", shape={"e": 8, "f": 8})["forward"].source
    assert source.count("for n_first in") == loops
    found = outputs_on(attention, inputs, "sm_90")["O"]
    reference = references(attention.program().stated, inputs, {"O": found.dtype})["O"]
    assert judge("O", found, reference).passed
