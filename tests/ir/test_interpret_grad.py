"""grad(y, x) inside a spec: through every definition between y and x, at the statement's point."""

from __future__ import annotations

import pytest
import torch

from attnc.ir.interpret import run
from attnc.passes.expand import expand
from tests.ir.oracle import normal, one, oracle, same, spec

F = torch.float64


def derivative(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return torch.autograd.grad(y, x, retain_graph=True)[0]


def test_through_the_statements_between() -> None:
    text = """
    attention learn(K[b,n,e], V[b,n,f], W[b,e,f], eta[]) -> W1, G:
        P[b,n,f] = K * W
        R[b,n,f] = tanh(P) - V
        loss[b,n] = sum[f](R * R)
        G[b,e,f] = grad(loss[b,n], W[b,e,f])
        W1[b,e,f] = W - eta * grad(loss[b,n], W[b,e,f])
    """
    K, V, W = normal(2, 4, 3), normal(2, 4, 2), normal(2, 3, 2)
    found = oracle(text, K=K, V=V, W=W, eta=0.1)
    x = W.clone().requires_grad_()
    wanted = derivative(((torch.tanh(K @ x) - V) ** 2).sum(), x)
    same(found["G"], wanted)
    same(found["W1"], W - 0.1 * wanted)


def test_an_index_of_the_statement_stands_at_its_position_and_others_are_summed() -> None:
    text = """
    attention each(K[b,n,e], w[e]) -> every, batch, all, pairs:
        loss[b,n] = exp(sum[e](K * w[e]))
        every[b,n,e] = grad(loss[b,n], w[e])
        batch[b,e] = grad(loss[b,n], w[e])
        all[e] = grad(loss[b,n], w[e])
        pairs[b,n,e] = grad(loss[b,n] * loss[b,0], w[e])
    """
    K, w = normal(2, 3, 4), normal(4)
    loss = torch.exp(K @ w)
    found = oracle(text, K=K, w=w)
    same(found["every"], loss[..., None] * K)
    same(found["batch"], (loss[..., None] * K).sum(1))
    same(found["all"], (loss[..., None] * K).sum((0, 1)))
    same(found["pairs"], (loss * loss[:, :1])[..., None] * (K + K[:, :1]))


def test_the_derivative_at_one_point_is_not_that_of_the_others() -> None:
    text = """
    attention self(X[n,e]) -> own, other, total:
        A[m,n] = softmax[n](sum[e](X[m,e] * X[n,e]))
        O[m,e] = sum[n](A * X[n,e])
        own[m,e] = grad(O[m,0] , X[m,e])
        other[m,n,e] = grad(O[m,0] + O[m,1], X[n,e])
        total[n,e] = grad(sum[m](O[m,0]), X[n,e])
        index m < N
    """
    X = normal(3, 2)
    found = oracle(text, X=X)
    x = X.clone().requires_grad_()
    O = torch.softmax(x @ x.T, 1) @ x
    rows = torch.stack([derivative(O[m, 0], x) for m in range(3)])
    same(found["own"], rows[range(3), range(3)])
    same(found["other"], rows + torch.stack([derivative(O[m, 1], x) for m in range(3)]))
    same(found["total"], rows.sum(0))


def test_what_gives_nothing_gives_nothing_inside_too() -> None:
    text = """
    attention rules(x[n], page[m]: int, len[]: int) -> ties, absent, zero, stopped, gather, whole, free:
        top[] = max[n](x)
        many[] = sum[n](topk[n; 1](x))
        ties[n] = grad(top[], x[n])
        absent[n] = grad(log(x[n]) where n < len, x[n])
        zero[n] = grad(x[n] / x[n], x[n])
        stopped[n] = grad(stop(x[n]) * x[n], x[n])
        gather[n] = grad(x[page[m]] * x[page[m]], x[n])
        whole[n] = grad(floor(x[n]) + sign(x[n]) + many[], x[n])
        free[m] = grad(x[page[m]] ** 2, x[page[m]])
    """
    x, page = torch.tensor([2.0, 0.0, 2.0], dtype=F), torch.tensor([0, -1, 0, 2])
    found = oracle(text, x=x, page=page, len=1)
    same(found["ties"], [0.5, 0.0, 0.5])
    same(found["absent"], [0.5, 0.0, 0.0])
    same(found["zero"], [0.0, 0.0, 0.0])
    same(found["stopped"], [2.0, 0.0, 2.0])
    same(found["gather"], [8.0, 0.0, 4.0])
    same(found["whole"], [0.0, 0.0, 0.0])
    same(found["free"], [4.0, 0.0, 4.0, 4.0])  # absent where x is


def test_a_derivative_of_a_derivative() -> None:
    text = """
    attention curve(x[e]) -> H, third:
        y[] = prod[e](x * x) + sum[e](exp(x))
        H[e,f] = grad(grad(y, x[e]), x[f])
        third[e] = grad(H[e,e], x[e])
        index f < E
    """
    x = torch.tensor([0.5, -1.0, 2.0], dtype=F)

    def y(x: torch.Tensor) -> torch.Tensor:
        return (x * x).prod() + x.exp().sum()

    found = oracle(text, x=x)
    same(found["H"], torch.autograd.functional.hessian(y, x))  # type: ignore[no-untyped-call]
    same(found["third"], x.exp())  # x * x is quadratic


def test_by_an_intermediate_what_it_is_made_of_stands_still() -> None:
    text = """
    attention between(x[n]) -> G, D:
        u[n] = x * x
        v[n] = u[n] * x + sin(u)
        G[n] = grad(v[n], u[n])
        D[n] = grad(v[n], x[n])
    """
    x = normal(4)
    found = oracle(text, x=x)
    same(found["G"], x + torch.cos(x * x))
    same(found["D"], 3 * x * x + 2 * x * torch.cos(x * x))


def test_without_autograd_and_with_it() -> None:
    text = """
    attention step(K[n,e], V[n], W[e]) -> W1:
        loss[n] = (sum[e](K * W[e]) - V) ** 2
        W1[e] = W - 0.1 * grad(loss[n], W[e])
    """
    inputs = dict(K=normal(3, 2), V=normal(3), W=normal(2))
    wanted = inputs["W"] - 0.1 * 2 * inputs["K"].T @ (inputs["K"] @ inputs["W"] - inputs["V"])
    for form in (spec(text), expand(spec(text))):
        for guard in (torch.no_grad(), torch.enable_grad(), torch.inference_mode()):
            with guard:
                found = run(form, {name: value.clone() for name, value in inputs.items()}).outputs["W1"]
            same(found, wanted)
            assert not found.requires_grad

        def outer(*values: torch.Tensor, form=form) -> torch.Tensor:  # type: ignore[no-untyped-def]
            return run(form, dict(zip(inputs, values, strict=True))).outputs["W1"]

        assert torch.autograd.gradcheck(outer, [value.clone().requires_grad_() for value in inputs.values()])


@pytest.mark.parametrize("length", [0, 1])
def test_short_axes(length: int) -> None:
    text = """
    attention short(K[n,e], w[e]) -> G, D:
        loss[n] = sum[e](K * w[e]) ** 2
        G[e] = grad(loss[n], w[e])
        D[n,e] = grad(loss[n], w[e])
    """
    K, w = normal(length, 2), normal(2)
    rows = 2 * (K @ w)[:, None] * K
    found = oracle(text, K=K, w=w)
    same(found["G"], rows.sum(0))
    same(found["D"], rows)
    same(one(text.replace("G, D", "G"), K=normal(3, 0), w=normal(0)), torch.zeros(0, dtype=F))
