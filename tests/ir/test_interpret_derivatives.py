"""Derivatives where a rule decides: ties, 0 / 0, rows with nothing, absent points and the branch not taken."""

from __future__ import annotations

import math

import pytest
import torch

from attnc.ir.interpret import run
from tests.ir.oracle import gradients, normal, same, spec

F = torch.float64
INF, NAN = math.inf, math.nan
HIDDEN = pytest.mark.parametrize("hidden", [0.0, NAN, INF, -INF, -1.0, 1e308])


@pytest.mark.parametrize("op", ["max", "min"])
def test_ties_share_equally(op: str) -> None:
    sign = 1.0 if op == "max" else -1.0
    X = sign * torch.tensor([[2.0, 5.0, 5.0, 5.0], [1.0, 1.0, 0.0, 1.0]], dtype=F)
    text = f"attention tie(X[m,n], w[m]) -> O:\n    O[m] = w * {op}[n](X where n < 3)"
    found = gradients(text, X=X, w=torch.tensor([1.0, 6.0], dtype=F))
    same(found["X"], [[0.0, 0.5, 0.5, 0.0], [3.0, 3.0, 0.0, 0.0]])


def test_ties_among_operands_share_equally() -> None:
    text = "attention tie(x[n], y[n], z[n]) -> O, P:\n    O[n] = max(x, y, z)\n    P[n] = min(x, y)"
    x, y, z = (torch.tensor(row, dtype=F) for row in ([1.0, 2.0, 3.0], [1.0, 2.0, 0.0], [1.0, 0.0, 3.0]))
    found = gradients(text, x=x, y=y, z=z)
    same(found["x"], [1 / 3 + 0.5, 0.5 + 0.5, 0.5])
    same(found["y"], [1 / 3 + 0.5, 0.5 + 0.5, 1.0])
    same(found["z"], [1 / 3, 0.0, 0.5])


def test_the_kth_is_shared_by_all_that_are_it() -> None:
    text = "attention tie(X[m,n], len[m]: int) -> O:\n    O[m] = kth[n; 1](X where n < len[m])"
    X = torch.tensor([[3.0, 1.0, 3.0, 3.0], [4.0, 2.0, NAN, 2.0]], dtype=F)
    found = gradients(text, X=X, len=torch.tensor([3, 4]))
    same(found["X"], [[0.5, 0.0, 0.5, 0.0], [0.0, 0.5, 0.0, 0.5]])


def test_the_maximum_of_a_softmax_is_a_gauge() -> None:
    soft = "attention gauge(S[m,n], V[n]) -> O:\n    O[m] = softmax[n](S) * V"
    log = "attention gauge(S[m,n]) -> L:\n    L[m] = logsumexp[n](S)"
    S, V = torch.tensor([[1.0, 1.0, -2.0], [-INF, 0.0, 0.0], [-INF, -INF, -INF]], dtype=F), normal(3)
    A = torch.softmax(S, 1).nan_to_num(0.0)
    found = gradients(soft, S=S, V=V)
    same(found["V"], A.sum(0))
    same(found["S"], A * (V - (A @ V)[:, None]))
    same(gradients(log, S=S[:2])["S"], A[:2])
    x = S[2:].clone().requires_grad_()
    same(torch.autograd.grad(run(spec(log), {"S": x}).outputs["L"], x)[0], [[0.0, 0.0, 0.0]])


def test_zero_over_zero_has_no_derivative() -> None:
    text = "attention none(a[n], b[n]) -> O:\n    O[n] = 3 * a / b"
    a, b = torch.tensor([0.0, 2.0], dtype=F), torch.tensor([0.0, 4.0], dtype=F)
    found = gradients(text, a=a, b=b)
    same(found["a"], [0.0, 0.75])
    same(found["b"], [0.0, -3 * 2 / 16])


def test_rows_with_nothing_to_fold() -> None:
    text = """
    attention rows(S[m,n], V[n], len[m]: int) -> O, P, L, mean, var, top:
        X[m,n] = S where n < len[m]
        O[m] = sum[n](softmax[n](X) * V[n])
        P[m] = sum[n](exp(X) * V[n]) / sum[n](exp(X[m,n]))
        L[m] = default(logsumexp[n](X) if len[m] > 0 else 0.0, 0)
        mean[m] = mean[n](X)
        var[m] = var[n](X)
        top[m] = max[n](X) if len[m] > 0 else 0.0
    """
    S, V = normal(2, 3), normal(3)
    found = gradients(text, S=S, V=V, len=torch.tensor([0, 2]))
    x = S[1, :2].clone().requires_grad_()
    v = V[:2].clone().requires_grad_()
    total = 2 * (torch.softmax(x, 0) @ v) + torch.logsumexp(x, 0) + x.mean() + x.var(unbiased=False) + x.amax()
    by_x, by_v = torch.autograd.grad(total, [x, v])
    same(found["S"][0], [0.0, 0.0, 0.0])
    same(found["S"][1], torch.cat([by_x, torch.zeros(1, dtype=F)]))
    same(found["V"], torch.cat([by_v, torch.zeros(1, dtype=F)]))


@HIDDEN
@pytest.mark.parametrize("function", ["log", "sqrt", "rsqrt", "exp", "xlogx", "log1p", "tanh", "abs", "gelu", "silu"])
def test_absent_points_contribute_exactly_nothing(function: str, hidden: float) -> None:
    text = f"attention hide(x[n], see[n]: bool) -> O, P:\n    Y[n] = {function}(x)\n"
    text += "    O[] = sum[n](Y where see)\n    P[n] = Y * 2 where see"
    x = torch.tensor([0.5, hidden, 2.0], dtype=F)
    found = gradients(text, x=x, see=torch.tensor([True, False, True]))["x"]
    plain = gradients(text, x=x[[0, 2]], see=torch.tensor([True, True]))["x"]
    same(found, torch.stack([plain[0], torch.zeros((), dtype=F), plain[1]]))


@HIDDEN
def test_nothing_flows_into_padding(hidden: float) -> None:
    text = """
    attention padded(Q[b,m,e], K[b,n,e], V[b,n,f], len[b]: int) -> O, L, norm:
        S[b,m,n] = Q * K / sqrt(sum[e](K[b,n,e] * K[b,n,e])) where n < len[b]
        O[b,m,f] = softmax[n](S) * V
        L[b,m] = logsumexp[n](S)
        norm[b,n] = 1 / K[b,n,0] where n < len[b]
    """
    Q, K, V = normal(2, 2, 3), normal(2, 4, 3), normal(2, 4, 2)
    K[0, 2:], V[0, 2:] = hidden, hidden
    found = gradients(text, Q=Q, K=K, V=V, len=torch.tensor([2, 4]))
    short = gradients(text, Q=Q[:1], K=K[:1, :2], V=V[:1, :2], len=torch.tensor([2]))
    for name in ("K", "V"):
        same(found[name][0, :2], short[name][0])
        same(found[name][0, 2:], torch.zeros_like(found[name][0, 2:]))
    same(found["Q"][0], short["Q"][0])


@HIDDEN
def test_the_branch_not_taken_contributes_nothing(hidden: float) -> None:
    text = "attention branch(x[n], y[n]) -> O:\n    O[n] = log(x) * y if x > 0.1 and x < 100 else y"
    found = gradients(text, x=torch.tensor([2.0, hidden], dtype=F), y=torch.tensor([3.0, 5.0], dtype=F))
    same(found["x"], [1.5, 0.0])
    same(found["y"], [math.log(2), 1.0])


@HIDDEN
def test_default_takes_what_exists(hidden: float) -> None:
    text = "attention fall(x[n], y[n]) -> O:\n    O[n] = default(1 / x where x != 0 and x < 100 and x > 0, y * y)"
    found = gradients(text, x=torch.tensor([2.0, hidden], dtype=F), y=torch.tensor([3.0, 5.0], dtype=F))
    same(found["x"], [-0.25, 0.0])
    same(found["y"], [0.0, 10.0])


def test_second_derivatives_at_absent_points() -> None:
    cascade = spec("attention hide(x[n], see[n]: bool) -> O:\n    O[] = sum[n](sqrt(x) * log(x) where see)")
    x = torch.tensor([4.0, 0.0], dtype=F, requires_grad=True)
    value = run(cascade, {"x": x, "see": torch.tensor([True, False])}).outputs["O"]
    (first,) = torch.autograd.grad(value, x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    same(first.detach(), [0.5 / 2 * math.log(4) + 2 / 4, 0.0])
    same(second, [-math.log(4) / 4 / 8, 0.0])
