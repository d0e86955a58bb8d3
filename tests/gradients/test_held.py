"""Maxima that gradients hold: those by which no output changes."""

import pytest

import attnc
from attnc.passes.differentiate.held import held
from attnc.runtime.explain_backward import whole_backward
from tests.gradients.run import run_gradients
from tests.passes.written import explicit
from tests.thinned import thinned

HEAD = "attention a(Q[b,m,e], K[b,n,e], V[b,n,f]) -> {outputs}:\n    index N - M <= m < N\n"
SCORE = "    S[b,m,n] = sum[e](Q * K) where n <= m\n"
TOP = "    T[b,m] = max[n](S)\n    P[b,m,n] = exp(S - T)\n    D[b,m] = sum[n](P)\n"
CASES = {  # the first two take two passes
    "weights used twice": (
        "O, C",
        f"{TOP}    A[b,m,n] = P / D\n    O[b,m,f] = sum[n](A * V)\n    C[b,n] = sum[m](A where n <= m)\n",
        {"T"},
    ),
    "a maximum over more": (
        "O, C",
        "    T[b,m] = max[n](sum[e](Q * K))\n    P[b,m,n] = exp(S - T) where n <= m\n"
        "    D[b,m] = sum[n](P where n <= m)\n    O[b,m,f] = sum[n](P / D * V where n <= m)\n"
        "    C[b,n] = sum[m](P / D where n <= m)\n",
        {"T"},
    ),
    "softmax": ("O", "    O[b,m,f] = sum[n](softmax[n](S) * V)\n", {"O_max"}),
    "by hand": ("O", f"{TOP}    O[b,m,f] = sum[n](P / D * V)\n", {"T"}),
    "divided at last": ("O", f"{TOP}    U[b,m,f] = sum[n](P * V)\n    O[b,m,f] = U / D\n", {"T"}),
    "squared": ("O", f"{TOP}    O[b,m] = sum[n](P * P) / (D * D)\n", {"T"}),
    "squared above": ("O", f"{TOP}    O[b,m] = sum[n](P * P) / D\n", set()),
    "weights as they are": ("O", f"{TOP}    O[b,m,f] = sum[n](P * V)\n", set()),
    "shown beside": ("O, T", f"{TOP}    O[b,m,f] = sum[n](P / D * V)\n", set()),
    "its logarithm": ("O, L", f"{TOP}    O[b,m,f] = sum[n](P / D * V)\n    L[b,m] = log(D)\n", set()),
    "compared": ("O", f"{TOP}    O[b,m] = sum[n](P if P > D else D) / D\n", {"T"}),
    "compared with a number": ("O", f"{TOP}    O[b,m,f] = sum[n](P / D * V where P > 0.5)\n", set()),
    "added to a number": ("O", f"{TOP}    O[b,m,f] = sum[n](P / (D + 1) * V)\n", set()),
    "another row": ("O", f"{TOP}    O[b,m] = default(D[b,m - 1], 1) / D\n", set()),
    "summed over rows": ("O", f"{TOP}    R[b] = sum[m](D)\n    O[b,m] = D / R[b]\n", set()),
    "stopped": ("O", f"{TOP}    O[b,m,f] = sum[n](P / stop(D) * V)\n", set()),
    "a maximum of weights": ("O", f"{TOP}    A[b,m,n] = P / D\n    O[b,m] = max[n](A)\n", {"T"}),
}


def text(outputs: str, body: str) -> str:
    return HEAD.format(outputs=outputs) + SCORE + body


@pytest.mark.parametrize("name", CASES)
def test_what_is_held(name: str) -> None:
    outputs, body, wanted = CASES[name]
    cascade = explicit(text(outputs, body))
    assert set(held(cascade, cascade.outputs)) == wanted


def test_only_what_comes_in_counts() -> None:
    outputs, body, _ = CASES["its logarithm"]
    assert held(explicit(text(outputs, body)), {"O"}) == {"T": {"P", "D"}}


@pytest.mark.parametrize("case", thinned([(name, target) for name in CASES for target in ("cpu", "sm_90")], 3), ids=str)
def test_gradients_keep_the_contract(case: tuple[str, str]) -> None:
    name, target = case
    outputs, body, _ = CASES[name]
    shape = {"b": 2, "m": 19, "n": 23, "e": 5, "f": 4}
    assert run_gradients(attnc.compile(text(outputs, body)), shape, 3, target=target).failures == ()


def test_a_backward_in_two_passes_looks_for_no_maximum() -> None:
    attention = attnc.load("std:head_diversity")
    steps = [own for _, own in whole_backward(attention.program()).steps if own is not None]
    assert len(steps) > 1
    assert not any("_max" in name and name.startswith("d") for own in steps for name in own.explicit.outputs)
