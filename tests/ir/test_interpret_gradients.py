"""What the oracle computes is differentiable: against finite differences, and at the points where a rule decides."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from attnc.ir.cascade import Cascade
from attnc.ir.interpret import run
from attnc.passes.expand import expand
from tests.ir.oracle import gradients, normal, same, spec

F = torch.float64


def differentiates(text: str, **inputs: Any) -> None:
    """Both forms agree with finite differences, once and twice."""
    cascade = spec(text)
    asked = {name: value for name, value in inputs.items() if value.is_floating_point()}
    for form in (cascade, expand(cascade)):

        def outputs(*values: torch.Tensor, form: Cascade = form) -> tuple[torch.Tensor, ...]:
            given = {**inputs, **dict(zip(asked, values, strict=True))}
            found = run(form, given).outputs.values()
            return tuple(value for value in found if value.is_floating_point())

        values = [value.clone().requires_grad_() for value in asked.values()]
        assert torch.autograd.gradcheck(outputs, values)
        assert torch.autograd.gradgradcheck(outputs, values)


SPECS: dict[str, tuple[str, dict[str, torch.Tensor]]] = {
    "attention": (
        """
        attention attend(Q[b,m,e], K[b,n,e], V[b,n,f], len[b]: int) -> O, L, mean, spread:
            index N - M <= m < N
            S[b,m,n] = Q * K / sqrt(E) where n <= m and n < len[b]
            O[b,m,f] = softmax[n](S) * V
            L[b,m] = logsumexp[n](S where n <= m)
            mean[b,m] = mean[n](S)
            spread[b,m] = var[n](tanh(S))
        """,
        dict(Q=normal(2, 2, 3), K=normal(2, 3, 3), V=normal(2, 3, 2), len=torch.tensor([3, 2])),
    ),
    "sink": (
        """
        attention sink(S0[m,n], V[n,f], sink[m]) -> O:
            index t <= N
            S[m,n] = S0 where n != m
            S[m,N] = sink
            A[m,t] = softmax[t](S[m,t])
            O[m,f] = A[m,n] * V[n,f]
        """,
        dict(S0=normal(3, 3), V=normal(3, 2), sink=normal(3)),
    ),
    "written": (
        """
        attention written(S[m,n], V[n,f]) -> O:
            E1[m,n] = exp(S - max[n](S)) where n <= m
            O[m,f] = sum[n](E1 * V) / sum[n](E1)
        """,
        dict(S=normal(3, 3), V=normal(3, 2)),
    ),
    "gather": (
        """
        attention gather(K[p,e], page[n]: int, q[e]) -> O, T:
            require P >= 1
            S[n] = sum[e](K[page[n],e] * q[e])
            O[] = sum[n](S * S)
            T[n] = default(S, 2) * K[(n + 1) % P, 0]
        """,
        dict(K=normal(4, 2), page=torch.tensor([1, -1, 1, 3, 7]), q=normal(2)),
    ),
    "recurrence": (
        """
        attention scan(Q[i,e], K[i,e], V[i,f], g[i], H0[e,f]) -> O, R:
            State[0,e,f] = H0
            State[i+1,e,f] = exp(-g * g) * State[i,e,f] + K * V
            O[i,f] = Q * State[i+1,e,f]
            R[I] = 1
            R[i] = tanh(g * R[i+1])
        """,
        dict(Q=normal(3, 2), K=normal(3, 2, seed=1), V=normal(3, 2, seed=2), g=normal(3), H0=normal(2, 2)),
    ),
    "solve": (
        """
        attention solve(A[i,j], f[i]) -> y:
            require I == J
            y[i] = f - sum[j](A[i,j] * y[j] where j < i)
        """,
        dict(A=normal(4, 4), f=normal(4)),
    ),
    "orders": (
        """
        attention orders(X[m,n], Y[n]) -> O, P, R, T:
            index t < 3
            O[m,t] = sort[n -> t](X * Y)
            P[m] = kth[n; 1](X * Y)
            R[m] = max[n](X where n > 0) * min[n](X * Y)
            T[m] = sum[n](X * Y where topk[n; 2](X))
        """,
        dict(X=normal(2, 4), Y=normal(4)),
    ),
    "choices": (
        """
        attention choices(x[n], y[n]) -> O, P, D, M:
            O[n] = x * y if x > 0 else exp(y)
            P[] = prod[n](x where n != 1) * prod[n](y)
            D[n] = x ** 3 / (2 + y * y) + abs(x) ** y
            M[n] = max(x, y, 0.1) * clamp(x, -1, 1) + min(x, y)
        """,
        dict(x=normal(4), y=normal(4, seed=1)),
    ),
}


@pytest.mark.parametrize("name", SPECS)
def test_finite_differences(name: str) -> None:
    text, inputs = SPECS[name]
    differentiates(text, **inputs)


FUNCTIONS = "exp exp2 log log2 log1p expm1 sqrt rsqrt abs tanh sigmoid softplus relu silu gelu erf sin cos xlogx"


@pytest.mark.parametrize("name", FUNCTIONS.split())
def test_every_function(name: str) -> None:
    x = torch.tensor([0.1, 0.7, 1.0, 2.3], dtype=F)
    differentiates(f"attention f(x[i]) -> O:\n    O[i] = {name}(x)", x=x)
    if name not in ("log", "log2", "log1p", "sqrt", "rsqrt", "xlogx"):
        differentiates(f"attention f(x[i]) -> O:\n    O[i] = {name}(x)", x=-x)


NONE = (
    "floor(x) * 1.0",
    "ceil(x) + 0.5",
    "round(x) / 2",
    "sign(x)",
    "stop(x)",
    "x > 0",
    "x * 0 if x > 9 else 1",
)
ARGS = ("argmax[i](x)", "argmin[i](x)", "sum[i](topk[i; 2](x))", "any[i](x > 0)", "sum[t](argtopk[i -> t](x))")


@pytest.mark.parametrize("expression", [*NONE, *ARGS, "sum[t](argsort[i -> t](x))", "uniform[i](floor(x[0]))"])
def test_through_these_nothing_flows(expression: str) -> None:
    left = "O[]" if expression in ARGS or "argsort" in expression else "O[i]"
    text = f"attention none(x[i], w[]) -> O, P:\n    index t < 2\n    {left} = {expression}\n    P[] = w + 0 * x[0]"
    found = gradients(text, x=torch.tensor([0.4, -1.3, 2.6], dtype=F), w=torch.tensor(1.0, dtype=F))
    same(found["x"], [0.0, 0.0, 0.0])
    same(found["w"], 1.0)


def test_a_gather_transposes_to_a_sum_into_its_source() -> None:
    text = "attention gather(K[p], i[n]: int, w[n]) -> O:\n    O[n] = K[i[n]] * w"
    w = normal(5)
    found = gradients(text, K=normal(3), i=torch.tensor([0, 2, 0, -1, 5]), w=w)
    same(found["K"], torch.stack([w[0] + w[2], torch.zeros((), dtype=F), w[1]]))
    same(found["w"][3:], [0.0, 0.0])
