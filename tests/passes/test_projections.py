"""Attention over projections: however its axes lie and whoever calls it, it is one stream over what they give."""

import pytest

import attnc
from attnc.ir.stage import Host, Stream
from attnc.runtime.explain_backward import whole_backward

PROJECTED = "    Q[b,h,m,e] = X[b,m,d] * Wq\n    K[b,h,n,e] = X * Wk\n    V[b,h,n,f] = X * Wv\n"
HEADS = "X[b,n,d], Wq[d,h,e], Wk[d,h,e], Wv[d,h,f]"
INNER = "attention inner(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]) -> O:\n    O[b,h,m,f] = softmax[n](sum[e](Q * K)) * V\n\n"
ADDITIVE = (
    "attention a(X[b,n,d], Y[b,m,d], W1[d,a], W2[d,a], v[a]) -> P:\n    XW[b,n,a] = X * W1\n    YW[b,m,a] = Y * W2\n"
)

# spec: rows and stream of each stage that is no statement, the stream None where pairs are made
SPECS = {
    "heads last": (
        f"attention a({HEADS}) -> T:\n    index m < N\n{PROJECTED}    T[b,m,h,f] = softmax[n](sum[e](Q * K)) * V\n",
        [("m", "n")],
    ),
    "called": (
        f"{INNER}attention a({HEADS}) -> O:\n    index m < N\n{PROJECTED}    O[b,h,m,f] = inner(Q, K, V)\n",
        [("inner_m", "inner_n")],
    ),
    "called on a stream of its own": (
        f"{INNER}attention a(X[b,n,d], W[d,h,e], Wo[d,h,e]) -> Y:\n    index m < N\n    Z[b,h,n,e] = X * W\n"
        "    O[b,h,m,e] = inner(Z, Z, Z)\n    Y[b,m,d] = O * Wo\n",
        [("inner_m", "inner_n")],
    ),
    "weights": (
        f"{ADDITIVE}    P[b,m,n] = softmax[n](sum[a](v * tanh(XW + YW)))\n",
        [("m", "n"), ("m", None)],
    ),
    "scores that lack an index of the rows": (
        "attention a(Q[m,e], K[n,e], V[n,f], slope[z]) -> O:\n    S[m,n] = Q * K\n"
        "    O[z,m,f] = softmax[n](S - slope * (m - n) where n <= m) * V\n",
        [("m", "n")],
    ),
}


@pytest.mark.parametrize("name", SPECS)
def test_what_is_projected_is_streamed(name: str) -> None:
    text, wanted = SPECS[name]
    stages = attnc.compile(text, name="a").program().plan.stages
    assert [(stage.parallel, stage.stream) for stage in stages if isinstance(stage, Stream)] == wanted
    assert not any(stage.heavy for stage in stages if isinstance(stage, Host))


WEIGHTS = {"W[d,c]": "b", "W[c,d]": "b", "W[b,d,c]": "b", "W[d,n,c]": "bd"}


@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_hidden_layer_is_computed_once_for_all_that_its_rows_share(weights: str) -> None:
    layers = "    H[b,n,c] = relu(sum[e](U * X))\n    Y[b,n,d] = H * W\n"
    (stage,) = attnc.compile(f"attention a(X[b,n,e], U[c,e], {weights}) -> Y:\n{layers}").program().plan.stages
    assert isinstance(stage, Stream)
    assert (stage.parallel, stage.stream, "".join(stage.grid)) == ("n", "c", WEIGHTS[weights])


def test_a_position_is_no_part_of_a_tile_whatever_its_rows_share() -> None:
    layers = "    H[b,n,c] = relu(sum[e](U * X))\n    Y[b,n,m] = H * W where m <= n\n"
    (stage,) = attnc.compile(f"attention a(X[b,n,e], U[c,e], W[m,c]) -> Y:\n{layers}").program().plan.stages
    assert isinstance(stage, Stream)
    assert (stage.parallel, stage.stream, stage.grid) == ("n", "c", ("b", "m"))


def test_of_a_matrix_for_each_row_the_rows_are_tiled() -> None:
    """Every weight of Q units has a gradient for each of L inputs: a program for each unit, its rows the inputs."""
    steps = whole_backward(attnc.load("std:sparsey").program()).steps
    stages = [
        stage for _, own in steps if own is not None for stage in own.streams if stage.name in ("dWD", "dWH", "dWU")
    ]
    assert {(stage.name, stage.grid, stage.parallel, stage.stream) for stage in stages} == {
        ("dWD", ("q",), "l", "b"),
        ("dWH", ("q",), "j", "b"),
        ("dWU", ("q",), "i", "b"),
    }
