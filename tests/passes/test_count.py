"""Passes as written, over every index, of cascades whose counts are known."""

from __future__ import annotations

from fractions import Fraction

import pytest

import attnc
from attnc.ir.cascade import Size
from attnc.passes.bound import passes
from attnc.passes.count import Count, count
from attnc.passes.interleave import interleave
from tests.passes.written import explicit

HEAD = "attention test(Q[p,e], K[m,e], V[m,f]) -> AV:\n"
SCORES = "    QK[m,p] = sum[e](Q[p,e] * K[m,e])\n"
STABLE = """\
    GM[p] = max[m](QK[m,p])
    SN[m,p] = exp(QK[m,p] - GM[p])
    SD[p] = sum[m](SN[m,p])
"""
UNSTABLE = """\
    SN[m,p] = exp(QK[m,p])
    SD[p] = sum[m](SN[m,p])
"""
NORMALISED = """\
    A[m,p] = SN[m,p] / SD[p]
    AV[p,f] = sum[m](A[m,p] * V[m,f])
"""
DEFERRED = """\
    SNV[p,f] = sum[m](SN[m,p] * V[m,f])
    AV[p,f] = SNV[p,f] / SD[p]
"""
TILED_HEAD = """\
attention test(Q[p,e], K[m,e], V[m,f]; M0: int = 4) -> AV:
    require M % M0 == 0
    index m1 < M // M0, m0 < M0
    BQK[m1,m0,p] = sum[e](Q[p,e] * K[m1*M0 + m0,e])
    LM[m1,p] = max[m0](BQK[m1,m0,p])
"""
TWO_PASS = (
    TILED_HEAD
    + """\
    SLN[m1,m0,p] = exp(BQK[m1,m0,p] - LM[m1,p])
    SLD[m1,p] = sum[m0](SLN[m1,m0,p])
    GM[p] = max[m1](LM[m1,p])
    PLM[m1,p] = exp(LM[m1,p] - GM[p])
    SD[p] = sum[m1](SLD[m1,p] * PLM[m1,p])
    SN[m1,m0,p] = SLN[m1,m0,p] * PLM[m1,p]
"""
)
ONE_PASS = (
    TILED_HEAD
    + """\
    RM[0,p] = -inf
    RM[m1+1,p] = max(RM[m1,p], LM[m1,p])
    SLN[m1,m0,p] = exp(BQK[m1,m0,p] - RM[m1+1,p])
    SLD[m1,p] = sum[m0](SLN[m1,m0,p])
    SLNV[m1,p,f] = sum[m0](SLN[m1,m0,p] * V[m1*M0 + m0,f])
    PRM[m1,p] = exp(RM[m1,p] - RM[m1+1,p])
    RD[0,p] = 0
    RD[m1+1,p] = SLD[m1,p] + RD[m1,p] * PRM[m1,p]
    RNV[0,p,f] = 0
"""
)
PEDAGOGICAL = "attention test(A[k,p], B[k,p]) -> Z:\n"

CASCADES = {
    "C1": (PEDAGOGICAL + "    Y[p] = sum[k](A[k,p] * B[k,p])\n    Z[p] = sum[k](Y[p] * A[k,p])\n", {"k": 2}),
    "C2": (
        PEDAGOGICAL + "    Y[p] = sum[k](A[k,p] * B[k,p])\n    X[p] = sum[k](A[k,p])\n    Z[p] = Y[p] * X[p]\n",
        {"k": 1},
    ),
    "C3": (
        PEDAGOGICAL
        + """\
    RY[p,0] = 0
    RY[p,k+1] = RY[p,k] + A[k,p] * B[k,p]
    RZ[p,0] = 0
    RZ[p,k+1] = RZ[p,k] * RY[p,k+1] / RY[p,k] + RY[p,k+1] * A[k,p]
    Z[p] = RZ[p,K]
""",
        {"k": 1},
    ),
    "N0, no maximum": (HEAD + SCORES + UNSTABLE + NORMALISED, {"m": 2}),
    "N1, no maximum, deferred division": (HEAD + SCORES + UNSTABLE + DEFERRED, {"m": 1}),
    "C4, three passes": (HEAD + SCORES + STABLE + NORMALISED, {"m": 3, "p": 1, "e": 1, "f": 1}),
    "C4d, deferred division": (HEAD + SCORES + STABLE + DEFERRED, {"m": 2}),
    "T2, two passes": (
        TWO_PASS + "    A[m1,m0,p] = SN[m1,m0,p] / SD[p]\n    AV[p,f] = sum[m1,m0](A[m1,m0,p] * V[m1*M0 + m0,f])\n",
        {"m": 2},
    ),
    "T2d, deferred division": (
        TWO_PASS + "    SNV[p,f] = sum[m1,m0](SN[m1,m0,p] * V[m1*M0 + m0,f])\n    AV[p,f] = SNV[p,f] / SD[p]\n",
        {"m": 2},
    ),
    "C5, one pass": (
        ONE_PASS
        + """\
    RNV[m1+1,p,f] = SLNV[m1,p,f] + RNV[m1,p,f] * PRM[m1,p]
    AV[p,f] = RNV[M // M0,p,f] / RD[M // M0,p]
""",
        {"m": 1, "m1": 1, "m0": 2},
    ),
    "C5 with a normalised state": (
        ONE_PASS
        + """\
    RNV[m1+1,p,f] = SLNV[m1,p,f] / RD[m1+1,p] + RNV[m1,p,f] * PRM[m1,p] * (RD[m1,p] / RD[m1+1,p])
    AV[p,f] = RNV[M // M0,p,f]
""",
        {"m": 1, "m1": 1},
    ),
    "softmax": (HEAD + "    A[p,m] = softmax[m](sum[e](Q[p,e] * K[m,e]))\n    AV[p,f] = A[p,m] * V[m,f]\n", {"m": 3}),
}


@pytest.mark.parametrize("name", CASCADES)
def test_passes_as_written(name: str) -> None:
    text, expected = CASCADES[name]
    counts = count(explicit(text))
    assert {index: counts[index].as_written for index in expected} == expected


@pytest.mark.parametrize("name", [name for name, (text, _) in CASCADES.items() if "QK" in text and "RM[" not in text])
def test_softmax_derives_to_one_pass_however_many_it_is_written_with(name: str) -> None:
    program = attnc.compile(CASCADES[name][0], strict=True).program()
    (stage,) = program.streams
    assert passes(program.explicit, program.plan)["m"].derived == 1
    assert (len(stage.monoid.gauges), len(stage.monoid.accumulators)) == (1, 2)


def counted(text: str, index: str) -> Count:
    return count(explicit(text))[index]


def test_what_each_pass_of_a_softmax_reads() -> None:
    found = counted(CASCADES["C4, three passes"][0], "m")
    assert found.reads == {"K": (1,), "QK": (1, 2), "SN": (2, 3), "A": (3,), "V": (3,)}
    assert found.passes == (1, 2, 3)
    assert found.sync_depth == Fraction(7, 2)


def test_what_crosses_a_boundary() -> None:
    found = counted(CASCADES["C4, three passes"][0], "m")
    assert [(item.tensor, item.made_in, item.read_in) for item in found.boundaries] == [
        ("QK", 1, (2,)),
        ("SN", 2, (3,)),
    ]
    assert all(item.fibre == Size("m") for item in found.boundaries)


def test_nothing_crosses_in_one_pass() -> None:
    assert counted(CASCADES["C5, one pass"][0], "m").boundaries == ()


def test_the_tiles_of_a_fibre_are_found() -> None:
    assert counted(CASCADES["T2, two passes"][0], "m").ranks == ("m1", "m0")


def test_a_selection_costs_a_pass() -> None:
    text = """\
attention test(Q[p,e], K[m,e], V[m,f]) -> AV:
    S[p,m] = sum[e](Q[p,e] * K[m,e])
    keep[p,m] = topk[m; 4](S[p,m])
    AV[p,f] = sum[m](S[p,m] * V[m,f] where keep[p,m])
"""
    assert counted(text, "m").as_written == 2


def test_forward_and_backward_recurrences_are_two_passes() -> None:
    text = """\
attention test(x[i,d]) -> y:
    F[0,d] = 0
    F[i+1,d] = 0.5 * F[i,d] + x[i,d]
    B[I,d] = 0
    B[i,d] = 0.5 * B[i+1,d] + x[i,d]
    y[i,d] = F[i+1,d] + B[i,d]
"""
    found = counted(text, "i")
    assert found.both_directions
    assert found.as_written == 2


def test_a_virtual_key_is_no_pass_of_its_own() -> None:
    text = """\
attention test(Q[p,e], K[n,e], V[n,f], sink[]) -> O:
    index t <= N
    S[p,n] = sum[e](Q[p,e] * K[n,e])
    S[p,N] = sink
    A[p,t] = softmax[t](S[p,t])
    O[p,f] = sum[n](A[p,n] * V[n,f])
"""
    assert counted(text, "n").as_written == 3


FLOW = """\
attention flow(Q[p,e], K[m,e], V[m,f]) -> R:
    KS[e] = sum[m](K[m,e])
    QS[e] = sum[p](Q[p,e])
    In[p] = sum[e](Q[p,e] * KS[e])
    Out[m] = sum[e](K[m,e] * QS[e])
    QI[e] = sum[p](Q[p,e] / In[p])
    KO[e] = sum[m](K[m,e] / Out[m])
    Ih[p] = sum[e](Q[p,e] * KO[e])
    Oh[m] = sum[e](K[m,e] * QI[e])
    W[m] = exp(Oh[m])
    D = sum[m](W[m])
    KV[e,f] = sum[m](K[m,e] * W[m] * V[m,f])
    R[p,f] = sigmoid(Ih[p]) * sum[e](Q[p,e] * KV[e,f]) / In[p] / D
"""


def test_flow_attention_reads_keys_and_queries_twice_and_values_once() -> None:
    counts = count(explicit(FLOW))
    assert [counts["m"].reads["K"], counts["p"].reads["Q"]] == [(1, 2), (1, 2)]
    assert len(counts["m"].reads["V"]) == 1


def test_flow_attention_has_three_grid_barriers() -> None:
    phases = interleave(explicit(FLOW), "m", "p")
    assert [phase.index for phase in phases] == ["m", "p", "m", "p"]


def sinkhorn(halves: int) -> str:
    lines = ["attention sinkhorn(Q[p,e], K[m,e], V[m,f]) -> O:", "    S[m,p] = exp(sum[e](Q[p,e] * K[m,e]))"]
    row, column = "1", "1"
    for half in range(halves):
        if half % 2 == 0:
            lines.append(f"    X{half}[p] = sum[m](S[m,p] * {column})")
            lines.append(f"    U{half}[p] = 1 / X{half}[p]")
            row = f"U{half}[p]"
        else:
            lines.append(f"    X{half}[m] = sum[p](S[m,p] * {row})")
            lines.append(f"    U{half}[m] = 1 / X{half}[m]")
            column = f"U{half}[m]"
    lines.append(f"    Y[p,f] = sum[m](S[m,p] * {column} * V[m,f])")
    lines.append(f"    O[p,f] = Y[p,f] * {row}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(("halves", "traversals"), [(1, 1), (2, 3), (3, 3), (4, 5), (5, 5)])
def test_sinkhorn_traverses_the_scores_once_a_half_step(halves: int, traversals: int) -> None:
    """The last row step is deferred into the product with the values; a last column step is not."""
    assert len(interleave(explicit(sinkhorn(halves)), "m", "p")) == traversals


def test_softmax_needs_no_grid_barrier() -> None:
    assert len(interleave(explicit(CASCADES["C4, three passes"][0]), "m", "p")) == 1
