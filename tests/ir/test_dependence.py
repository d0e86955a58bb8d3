"""What lies between y and x, and over which indices a derivative may be taken at once."""

from __future__ import annotations

import pytest

from attnc.ir.cascade import Cascade, Grad
from attnc.ir.dependence import aligned_indices, dependents, piece, reads_of, sources
from attnc.ir.walk import walk
from tests.ir.oracle import spec

CHAIN = """
attention chain(X[b,n,e], w[e], v[e]) -> G, out, other:
    u[b,n] = sum[e](X * w[e])
    z[b,n] = exp(u) + sum[e](v)
    loss[b] = sum[n](z)
    G[b,e] = grad(loss[b], w[e])
    out[b,e] = w - G
    other[b] = sum[n](u * u)
"""


def test_sources_and_dependents() -> None:
    reads = reads_of(spec(CHAIN))
    assert sources(reads, ["loss"]) == {"loss", "z", "u", "X", "w", "v"}
    assert dependents(reads, "u") == {"z", "loss", "G", "out", "other"}
    assert dependents(reads, "v") == {"z", "loss", "G", "out"}


def test_a_piece_holds_what_lies_between() -> None:
    cascade = spec(CHAIN)
    assert piece(cascade, ["out"]) == {"out"}  # G is computed elsewhere
    assert piece(cascade, ["G"]) == {"G", "loss", "z", "u"}
    assert piece(cascade, ["other", "loss"]) == {"other", "loss"}


def test_a_recurrence_is_one_piece() -> None:
    text = """
    attention loop(x[i]) -> G, O:
        H[0] = 1
        R[i] = H[i] * x
        H[i+1] = tanh(R[i])
        G[] = grad(H[I], H[0])
        O[i] = R[i] + 1
    """
    assert piece(spec(text), ["G"]) == {"G", "H", "R"}
    assert piece(spec(text), ["O"]) == {"O"}


def aligned(statement: str, body: str = "") -> set[str]:
    text = f"""
    attention a(X[b,n,e], W[b,e], S[b,n]) -> O:
        {body}
        O[b,n,e] = {statement}
    """
    return set(aligned_indices(_derivative(spec(text)), spec(text)))


def _derivative(cascade: Cascade) -> Grad:
    return next(node for node in walk(cascade) if isinstance(node, Grad))


@pytest.mark.parametrize(
    ("statement", "body", "wanted"),
    [
        ("grad(X[b,n,e] ** 2, X[b,n,e])", "", {"b", "n", "e"}),
        ("grad(sum[e](X[b,n,e]) ** 2, X[b,n,e])", "", {"b", "n"}),
        ("grad(sum[n](X[b,n,e]) * X[b,n,e], X[b,n,e])", "", {"b", "e"}),
        ("grad(X[b,n,e] * X[0,n,e], X[b,n,e])", "", {"n", "e"}),
        ("grad(X[b,n - 1,e], X[b,n,e])", "", {"b", "e"}),
        ("grad(softmax[n](S[b,n]), S[b,n]) * X", "", {"b"}),
        ("grad(y[b,n], W[b,e])", "y[b,n] = sum[e](X * W[b,e])", {"b"}),
        ("grad(y[n,b], W[b,e])", "y[n,b] = sum[e](X[b,n,e] * W[b,e])", {"b"}),
        ("grad(y[b,n], W[b,e])", "y[b,n] = sum[e](X * W[0,e])", set()),
        ("grad(T[b,n], S[b,n]) * X", "T[b,0] = S[b,0]\n        T[b,i+1] = T[b,i] * S[b,i]\n        index i < N", {"b"}),
    ],
)
def test_indices_along_which_points_do_not_mix(statement: str, body: str, wanted: set[str]) -> None:
    assert aligned(statement, body) == wanted
