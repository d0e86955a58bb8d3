"""Gradients of what is particular: randomness, `stop`, tables, gathers, projections, recurrences, statistics."""

import pytest
import torch

import attnc
from tests.gradients.run import backward_of, run_gradients
from tests.thinned import thinned

HEAD = "Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]"
SIZES = {"b": 2, "h": 2, "m": 19, "n": 23, "e": 8, "f": 12, "p": 50, "t": 4, "c": 31, "d": 10}
SCORE = "    index N - M <= m < N\n    S[b,h,m,n] = Q * K / sqrt(E)\n"
OUT = "    O[b,h,m,f] = A * V\n"
VARIANTS = {
    "dropout": f"attention a({HEAD}, seed: int) -> O:\n{SCORE}    A[b,h,m,n] = softmax[n](S where n <= m)\n"
    "    D[b,h,m,n] = A / 0.9 if uniform[b,h,m,n](seed) < 0.9 else 0\n    O[b,h,m,f] = D * V\n",
    "stop": f"attention a({HEAD}) -> O:\n{SCORE}    A[b,h,m,n] = softmax[n](S) * stop(sigmoid(S))\n{OUT}",
    "a normaliser that is stopped": f"attention a({HEAD}) -> O:\n{SCORE}    U[b,h,m,n] = exp(S)\n"
    "    O[b,h,m,f] = sum[n](U * V) / stop(sum[n](U))\n",
    "straight-through": f"attention a({HEAD}) -> O:\n{SCORE}    Z[b,h,m,n] = 1.0 if S > 0 else 0.0\n"
    "    A[b,h,m,n] = sigmoid(S) + stop(Z - sigmoid(S))\n" + OUT,
    "relative table": f"attention a({HEAD}, T[h,p]) -> O:\n    require P >= M + N\n{SCORE}"
    "    A[b,h,m,n] = softmax[n](S + T[h,m - n + M])\n" + OUT,
    "buckets": f"attention a({HEAD}, T[h,t], kind[m,n]: int) -> O:\n{SCORE}"
    "    A[b,h,m,n] = softmax[n](S + default(T[h,kind[m,n]], 0))\n" + OUT,
    "a table read twice": f"attention a({HEAD}, T[h,c]) -> O:\n    require C >= N\n{SCORE}"
    "    A[b,h,m,n] = softmax[n](S + T[h,m] * T[h,n] where n <= m)\n" + OUT,
    "gathered keys": "attention a(Q[b,h,m,e], K[b,h,c,e], V[b,h,c,f], pick[b,n]: int) -> O:\n"
    "    S[b,h,m,n] = sum[e](Q * K[b,h,pick[b,n],e]) / sqrt(E)\n    A[b,h,m,n] = softmax[n](S)\n"
    "    O[b,h,m,f] = sum[n](A * V[b,h,pick[b,n],f])\n",
    "pair bias": f"attention a({HEAD}, W[h,m,n]) -> O:\n{SCORE}    A[b,h,m,n] = softmax[n](S + W where n <= m)\n{OUT}",
    "shared pair bias": f"attention a({HEAD}, W[m,n]) -> O:\n{SCORE}    A[b,h,m,n] = softmax[n](S + W)\n{OUT}",
    "temperatures and gates": f"attention a({HEAD}, tau[h], gate[b,h,m,f]) -> O:\n{SCORE}"
    "    A[b,h,m,n] = softmax[n](S * exp(tau))\n    O[b,h,m,f] = sum[n](A * V) * sigmoid(gate)\n",
    "a maximum given out": f"attention a({HEAD}) -> O, L, T:\n{SCORE}    A[b,h,m,n] = softmax[n](S where n <= m)\n{OUT}"
    "    L[b,h,m] = logsumexp[n](S where n <= m)\n    T[b,h,m] = max[n](S where n <= m)\n",
    "projected": "attention a(X[b,p,d], Wq[h,d,e], Wk[h,d,e], V[b,h,p,f]) -> O:\n    index m < P\n"
    "    Q[b,h,m,e] = sum[d](X[b,m,d] * Wq)\n    K[b,h,p,e] = sum[d](X[b,p,d] * Wk)\n"
    "    O[b,h,m,f] = softmax[p](sum[e](Q * K)) * V\n",
    "a row of the batch beside those of heads": f"attention a({HEAD}, Z[b,m,n]) -> O, T:\n"
    "    R[b,m] = sum[n](exp(Z))\n    A[b,h,m,n] = softmax[n](sum[e](Q * K))\n    P[b,h,m,f] = sum[n](A * V)\n"
    "    O[b,h,m,f] = P * R\n    T[b] = sum[m](R * R)\n",
    "a sum over rows of what lacks their heads": f"attention a({HEAD}) -> T:\n{SCORE}"
    "    A[b,h,m,n] = softmax[n](S where n <= m)\n    D[b,m,n] = sqrt(var[h](A))\n    R[b,m] = sum[n](D)\n"
    "    T[b] = sum[m](R)\n",
    "a deviation of equal weights": f"attention a({HEAD}) -> O:\n    S[b,h,m,n] = Q * K / sqrt(E) where n <= m\n"
    "    A[b,h,m,n] = softmax[n](S)\n    O[b,h,m,f] = sum[n](A * V) + sqrt(var[n](S))\n",
    "a product": f"attention a({HEAD}) -> O:\n{SCORE}    O[b,h,m,f] = prod[n](1 + 0.1 * tanh(S) * V where n <= m)\n",
}


def bound(name: str) -> dict[str, int]:
    return SIZES | ({"p": 23} if name == "projected" else {})


@pytest.mark.parametrize("name", thinned(VARIANTS, 2))
def test_gradients_keep_the_contract(name: str) -> None:
    assert run_gradients(attnc.compile(VARIANTS[name]), bound(name), 11).failures == ()


@pytest.mark.parametrize(
    "name", ["dropout", "relative table", "pair bias", "temperatures and gates", "a maximum given out"]
)
def test_gradients_keep_the_contract_in_triton(name: str) -> None:
    assert run_gradients(attnc.compile(VARIANTS[name]), bound(name), 12, target="sm_90").failures == ()


@pytest.mark.parametrize("name", sorted(VARIANTS.keys() - {"buckets", "gathered keys"}))
def test_nothing_heavy_is_left_to_statements(name: str) -> None:
    assert all(program is None or not program.heavy for _, program in backward_of(attnc.compile(VARIANTS[name])).steps)


def test_a_recurrence_is_differentiated_by_its_statements() -> None:
    spec = "attention ema(X[b,m,e], a[e]) -> Y:\n    Y[b,m,e] = a * default(Y[b,m - 1,e], 0) + X\n"
    outcome = run_gradients(attnc.compile(spec), {"b": 2, "m": 7, "e": 3}, 5)
    assert outcome.failures == ()
    assert {run.plan for run in outcome.runs} == {"host"}


def test_rows_for_each_head_are_stored_whatever_else_lacks_the_heads() -> None:
    """The gradient of a scale of each head is summed from rows, and no length is compiled into a kernel."""
    text = f"attention a({HEAD}, scale[h], seg_m[b,m]: int, seg_n[b,n]: int) -> O:\n"
    text += "    S[b,h,m,n] = sum[e](Q * K) * scale where seg_m == seg_n\n    A[b,h,m,n] = softmax[n](S)\n" + OUT
    attention = attnc.compile(text, strict=True)
    programs = [program for _, program in backward_of(attention).steps if program is not None]
    needs = [index for program in programs for need in program.needs.values() for index in need.compiled_in]
    assert set(needs) <= {"e", "f"}
    assert run_gradients(attention, bound("dropout"), 3).failures == ()


def test_gradients_flow_through_a_statistic_alone() -> None:
    attention = attnc.compile(VARIANTS["a maximum given out"])
    q, k, v = (torch.randn(1, 2, 9, 8, requires_grad=True) for _ in range(3))
    _, lse, _ = attention(q, k, v)
    lse.sum().backward()
    assert v.grad is None
    assert q.grad is not None
    assert attention.last_run is not None
    assert all("dV" not in run.name for run in attention.last_run.backward)


def test_a_slower_backward_is_announced_and_refused_under_strict() -> None:
    text = VARIANTS["a normaliser that is stopped"]
    tensors = [torch.randn(1, 2, 5, 4, requires_grad=True) for _ in range(3)]
    with pytest.warns(UserWarning, match="slower path"):
        attnc.compile(text)(*tensors).sum().backward()
    with pytest.raises(attnc.AttnError, match="A310"):
        attnc.compile(text, strict=True)(*tensors)


def test_variants_have_gradients_under_strict() -> None:
    for name, text in VARIANTS.items():
        if name not in ("buckets", "gathered keys", "a normaliser that is stopped"):
            assert run_gradients(attnc.compile(text, strict=True), bound(name), 13).failures == ()
