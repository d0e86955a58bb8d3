"""Which stages a cascade is cut into, and that what they compute is what it says."""

import pytest
import torch

import attnc
from attnc.contract import judge, references
from attnc.ir.stage import Host, Stream
from attnc.runtime.attention import Attention
from attnc.runtime.draw import draw

HEAD = "attention a(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], p[b,n]: bool, c[h]: bool, u[b,n], role[b,n]: int) -> {}:\n"
SCORES = "    index N - M <= m < N\n    S[b,h,m,n] = Q * K / sqrt(E) where n <= m\n    A[b,h,m,n] = softmax[n](S)\n"
SHAPE = {"b": 2, "h": 3, "m": 13, "n": 21, "e": 4, "f": 6}

# what a cascade says after its scores, and its streams: what they give first, what they walk, rows and grid
PROGRAMS = {
    "another row's sum": (
        "    O[b,h,m,f] = sum[n](A[b,0,m,n] * V)\n",
        [("A_max", "n", "m", ("b", "h")), ("O", "n", "m", ("b", "h"))],
    ),
    "a sum over programs": (
        "    T[b,h,m] = max[n](S)\n    U[b,m] = sum[h](T)\n    W[b,h,m] = sum[n](exp(S - T) * (1 + exp(-abs(U))))\n"
        "    O[b,h,m,f] = sum[n](exp(S - T) * V) / W\n",
        [("T", "n", "m", ("b", "h")), ("O", "n", "m", ("b", "h"))],
    ),
    "a sum put off has its own grid": (
        "    D[b,m,n] = sqrt(var[h](A))\n    O[b,m] = sum[n](D)\n",
        [("A_max", "n", "m", ("b", "h")), ("O", "n", "m", ("b",))],
    ),
    "a maximum over heads of a sum": (
        "    X[b,h,m] = sum[n](A where p)\n    Y[b,m] = max[h](X)\n    O[b] = sum[m](Y)\n",
        [("X", "n", "m", ("b", "h"))],
    ),
    "a few groups": (
        "    index r < 4\n    O[b,h,m,r] = sum[n](A where role == r)\n",
        [("O", "n", "m", ("b", "h"))],
    ),
    "a choice along the stream": (
        "    D[b,h,m] = sum[n](A * A)\n    W[b,h,m,n] = A / D if p else A * A\n    O[b,h,m,f] = W * V\n",
        [("O", "n", "m", ("b", "h"))],
    ),
    "a choice between rows": (
        "    W[b,h,m,n] = u if c and m == N - 1 else A\n    O[b,h,m,f] = W * V\n",
        [("O_case2", "n", "m", ("b", "h"))],
    ),
    "a choice by a sum": (
        "    D[b,h,m] = sum[n](A where p)\n    W[b,h,m,n] = A if D > 0.5 else 2 * A if p else A / (1 + D)\n"
        "    O[b,h,m,f] = W * V\n",
        [("O", "n", "m", ("b", "h"))],
    ),
    "two choices": (
        "    D[b,h,m] = sum[n](A * A)\n    W[b,h,m,n] = A / D if p else A\n"
        "    X[b,h,m,n] = D * W if not p else W - A if c else W\n    O[b,h,m,f] = X * V\n",
        [("O", "n", "m", ("b", "h"))],
    ),
    "a choice that waits for its own row": (
        "    D[b,h,m] = sum[n](A * A)\n    W[b,h,m,n] = A / D if A > D else A\n    O[b,h,m,f] = W * V\n",
        [("A_max", "n", "m", ("b", "h")), ("O", "n", "m", ("b", "h"))],
    ),
    "what is left of columns": (
        "    X[b,h,n] = mean[m](A)\n    O[b,h,m,f] = sum[n](A * V where X > 0.06)\n",
        [
            ("A_max", "n", "m", ("b", "h")),
            ("X_sum", "m", "n", ("b", "h")),
            ("X_count", "m", "n", ()),
            ("O", "n", "m", ("b", "h")),
        ],
    ),
}


def compiled(name: str) -> Attention:
    return attnc.compile(HEAD.format("O") + SCORES + PROGRAMS[name][0])


@pytest.mark.parametrize("name", PROGRAMS)
def test_stages_are_what_is_expected(name: str) -> None:
    stages = compiled(name).program().plan.stages
    found = [(s.name, s.stream, s.parallel, s.grid) for s in stages if isinstance(s, Stream)]
    assert found == PROGRAMS[name][1]


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_of_the_size_of_all_pairs_runs_by_statements(name: str) -> None:
    stages = compiled(name).program().plan.stages
    assert [stage.name for stage in stages if isinstance(stage, Host) and stage.heavy] == []


@pytest.mark.parametrize("name", PROGRAMS)
def test_kernels_keep_the_contract(name: str) -> None:
    attention = compiled(name)
    stated = attention.program().stated
    inputs = draw(stated, SHAPE, {}, torch.float32, seed=2)
    found = attention(**inputs)
    verdict = judge("O", found, references(stated, inputs, {"O": found.dtype})["O"])
    assert verdict.passed, f"error {verdict.error:.3g}, allowed {verdict.allowed:.3g}"
