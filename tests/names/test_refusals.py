"""The programs that the language refuses, and what it says; several mistakes are told together."""

import pytest

from attnc.diagnostics import AttnError
from attnc.grammar.parse import parse
from attnc.library import Library
from attnc.passes.names import resolve
from attnc.source import Source

QKV = "Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]"
STATE = "Q[b,h,i,e], K[b,h,i,e], V[b,h,i,f]"

REFUSED = [
    (f"{QKV}, slope[h]", "B", ["B[b,h,m,n] = Q * K - slope[h]*(m - n)"], ["index e", "a difference is not a product"]),
    (f"{QKV}, slope[h]", "B", ["B[b,h,m,n] = Q * K - slope[h]*(m - n)"], ["sum[e](Q * K) - slope[h]*(m - n)"]),
    (QKV, "S", ["S[b,h,m,n] = Q[b,h,m,e] * K[b,h,n,c]"], ["index `c` is not declared", "did you mean `e`?"]),
    (
        "Q[b,h,m,e], K[b,g,n,e]",
        "S",
        ["S[b,h,m,n] = Q * K"],
        ["index g occurs in one factor only", "sum[g](..)", "`K[b,h // r,n,e]`"],
    ),
    ("X[b,n,d], W2[c,e]", "Y", ["Y[b,n,e] = X[b,n,d] * W2[d,e]"], ["D <= C does not follow", "require D == C"]),
    (
        "F[i], A[i,j]",
        "y",
        ["y[i] = F[i] - sum[j](A[i,j]*y[j]) where j < i"],
        ["`where` mentions j", "`sum[j](A[i,j]*y[j] where j < i)`"],
    ),
    (QKV, "A", ["S[b,h,m,n] = Q * K", "A[b,h,m,n] = softmax[n](S) where n <= m"], ["softmax[n](S where n <= m)"]),
    ("F[i], A[i,j]", "y", ["y[i] = F[i] + sum[j](A[i,j]*y[j] where j <= i)"], ["`y[i]` depends on itself"]),
    (
        STATE,
        "State",
        ["State[b,h,i+1,e,f] = State[b,h,i,e,f] + K * V"],
        ["`State` has no value at its start", "`State[b,h,0,e,f] = 0`"],
    ),
    (
        QKV,
        "Z",
        ["Z[b,h,m,n] = Q * K", "Z[b,h,m,N - 1] = 0"],
        ["two statements define `Z` at n = N - 1 (lines 2 and 3)"],
    ),
    ("X[b,m,n,s], S[]", "R", ["R[b,m,n,s] = X / sqrt(S)"], ["`S` is a tensor and the extent", "extent(s)", "`S[]`"]),
    ("X[b,m,s], W[s,d]", "R", ["S[b,m,d] = X * W", "R[b,m,d] = S[b,m,d] / sqrt(S)"], ["extent(s)", "`S[b,m,d]`"]),
    ("Y[b,h,m,f], idx[b,h,m]: int", "O", ["O[b,h,idx[b,h,m],f] = Y[b,h,m,f]"], ["indices and sizes only", "scatter"]),
    ("A[m,n], V[n,f], D[n]", "O", ["O[m,f] = A * V / D[n]"], ["the divisor carries the summed index n"]),
]


def refusal(params: str, output: str, body: list[str]) -> AttnError:
    lines = "".join(f"    {line}\n" for line in body)
    with pytest.raises(AttnError) as caught:
        resolve(parse(Source("wrong.attn", f"attention wrong({params}) -> {output}:\n{lines}")))
    return caught.value


@pytest.mark.parametrize(("params", "output", "body", "said"), REFUSED, ids=lambda item: str(item)[:40])
def test_refused_with_its_reason(params: str, output: str, body: list[str], said: list[str]) -> None:
    text = str(refusal(params, output, body))
    assert [phrase for phrase in said if phrase not in text] == []


def test_independent_mistakes_are_told_together() -> None:
    mistake = refusal(QKV, "O", ["S[b,h,m,n] = Q * Keys", "O[b,h,m,f] = sofmax[n](S) * V"])
    assert len(mistake.diagnostics) == 2


EVERYWHERE = """use std.masks: causal, windw

def gained(x) = x * gain

attention first(X[n]) -> Y:
    Y[n] = X * zz

attention second(Q[m,e], K[n,e], at[n]: int; W: int = 2.5) -> O, R:
    index c < M / 2
    require M
    S[m,n] = Q * K + 1
    O[m] = sum[n](S)
    P[n // 2] = 1
    R[n] = O[at / 2]
    U[m] = sum[n](T)
"""


def test_mistakes_of_every_kind_and_definition_are_told_in_the_order_of_the_text() -> None:
    with pytest.raises(AttnError) as caught:
        resolve(parse(Source("wrong.attn", EVERYWHERE)), None, {}, Library(None).use)
    found = [(item.code, item.span.line) for item in caught.value.diagnostics if item.span]
    wanted = [("A101", 1), ("A101", 3), ("A101", 6), ("A114", 8), ("A136", 9), ("A206", 10), ("A108", 11), ("A208", 13)]
    assert found == [*wanted, ("A101", 15)]


def test_what_follows_from_a_mistake_is_not_told() -> None:
    mistake = refusal(QKV, "O", ["S[b,h,m,n] = Q * Keys", "A[b,h,m,n] = softmax[n](S)", "O[b,h,m,f] = A * V"])
    assert [item.code for item in mistake.diagnostics] == ["A101"]


def test_a_near_name_is_proposed() -> None:
    assert "did you mean" in str(refusal(QKV, "O", ["Scores[b,h,m,n] = Q * K", "O[b,h,m,f] = softmax[n](Score) * V"]))


def test_what_reads_what_follows_in_the_text_is_evaluated_after_it() -> None:
    text = "attention late(X[n]) -> B:\n    B[n] = A * half\n    A[n] = X * half\n    half = 1 / 2\n"
    assert [step.tensors for step in resolve(parse(Source("late.attn", text))).steps] == [("A",), ("B",)]


def test_a_call_becomes_the_callee_s_statements() -> None:
    text = (
        "attention twice(X[a]; by: int = 2) -> Y:\n    Y[a] = by * X\n\n"
        "attention rows(X[r,n]) -> Z:\n    Z[r,n] = twice(X[r,:]; by = 3)\n"
    )
    cascade = resolve(parse(Source("rows.attn", text)))
    assert [tensor.name for tensor in cascade.tensors] == ["twice_Y", "Z"]
    assert [len(tensor.axes) for tensor in cascade.tensors] == [2, 2]
