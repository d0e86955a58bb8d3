"""grad(y, x) inside recurrences: a memory that learns as it is read, against autograd of loops written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch.nn.functional import silu

from attnc import compiler
from attnc.ir.cascade import Cascade
from attnc.ir.interpret import run
from attnc.library import Library, Spec
from attnc.passes.expand import expand
from attnc.source import Source
from tests.ir.oracle import normal, one, oracle, same, spec

F = torch.float64
TITANS = Path(__file__).parent.parent / "language" / "titans_neural_memory.attn"
LENGTHS = pytest.mark.parametrize("length", [0, 1, 5])


def step(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The derivative of the sum, itself differentiable."""
    return torch.autograd.grad(y.sum(), x, create_graph=True)[0]


@LENGTHS
def test_a_linear_memory(length: int) -> None:
    text = """
    attention linear(Q[b,i,d], K[b,i,d], V[b,i,e], eta[b,i], W0[d,e]) -> O:
        W[b,0,d,e] = W0
        pred[b,i,e] = sum[d](K[b,i,d] * W[b,i,d,e])
        loss[b,i] = sum[e]((pred - V) ** 2)
        W[b,i+1,d,e] = W[b,i,d,e] - eta * grad(loss[b,i], W[b,i,d,e])
        O[b,i,e] = sum[d](Q[b,i,d] * W[b,i+1,d,e])
    """
    inputs = dict(Q=normal(2, length, 3), K=normal(2, length, 3, seed=1), V=normal(2, length, 2), W0=normal(3, 2))
    eta = 0.1 * normal(2, length).abs()
    W, rows = inputs["W0"].expand(2, 3, 2), []
    for i in range(length):
        k, v = inputs["K"][:, i], inputs["V"][:, i]
        miss = torch.einsum("bd,bde->be", k, W) - v
        W = W - eta[:, i, None, None] * 2 * k[:, :, None] * miss[:, None, :]
        rows.append(torch.einsum("bd,bde->be", inputs["Q"][:, i], W))
    same(one(text, **inputs, eta=eta), torch.stack(rows, 1) if rows else torch.zeros(2, 0, 2, dtype=F))


def titans(inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Titans' deep memory, the inner derivatives by autograd."""
    Q, K, V, A, B = (inputs[name] for name in ("Q", "K", "V", "A0", "B0"))
    A, B = (x.detach().requires_grad_() if not x.requires_grad else x for x in (A, B))
    A, B = A.expand(len(Q), *A.shape), B.expand(len(Q), *B.shape)
    MA, MB, rows = torch.zeros_like(A), torch.zeros_like(B), []
    for i in range(Q.shape[1]):
        hid = silu(torch.einsum("bue,be->bu", A, K[:, i]))
        miss = ((torch.einsum("bfu,bu->bf", B, hid) - V[:, i]) ** 2).sum(1)
        rate, keep, forget = (inputs[name][:, i, None, None] for name in ("theta", "eta", "alpha"))
        MA, MB = keep * MA - rate * step(miss, A), keep * MB - rate * step(miss, B)
        A, B = (1 - forget) * A + MA, (1 - forget) * B + MB
        rows.append(torch.einsum("bfu,bu->bf", B, silu(torch.einsum("bue,be->bu", A, Q[:, i]))))
    return torch.stack(rows, 1)


def deep() -> Cascade:
    source = Source(TITANS.name, TITANS.read_text(encoding="utf-8"))
    return compiler.stated(Spec(source, "titans_deep", TITANS.parent), {}, Library(TITANS.parent))


def memory(length: int) -> dict[str, torch.Tensor]:
    tokens = dict(Q=normal(2, length, 3), K=normal(2, length, 3, seed=1), V=normal(2, length, 2))
    gates = dict(
        theta=0.1 * normal(2, length), eta=0.5 * normal(2, length, seed=1), alpha=0.1 * normal(2, length).abs()
    )
    return {**tokens, **gates, "A0": normal(4, 3), "B0": normal(2, 4)}


@pytest.mark.parametrize("length", [1, 5])
def test_titans_deep_memory(length: int) -> None:
    inputs = memory(length)
    for form in (deep(), expand(deep()), compiler.explicit(deep())):
        found = run(form, inputs).outputs["Y"]
        same(found, titans(inputs).detach())
        assert not found.requires_grad


def test_titans_is_trained_through_its_own_learning() -> None:
    inputs = {name: value.requires_grad_() for name, value in memory(3).items()}
    weights = normal(2, 3, 2)
    wanted = torch.autograd.grad((titans(inputs) * weights).sum(), list(inputs.values()))
    for form in (deep(), expand(deep())):
        found = torch.autograd.grad((run(form, inputs).outputs["Y"] * weights).sum(), list(inputs.values()))
        for actual, right in zip(found, wanted, strict=True):
            same(actual, right)


def test_of_a_state_just_that_element() -> None:
    text = """
    attention element(x[i]) -> W, G:
        W[0] = 1
        W[1] = 2
        loss[i] = W[i+1] ** 2 * W[i] * x
        G[i] = grad(loss[i], W[i+1])
        W[i+2] = W[i+1] - 0.1 * G[i]
    """
    x, W, G = normal(5), [torch.tensor(1.0, dtype=F), torch.tensor(2.0, dtype=F)], []
    for i in range(5):
        G.append(2 * W[i + 1] * W[i] * x[i])  # W[i] stands still, though W[i+1] came of it
        W.append(W[i + 1] - 0.1 * G[i])
    found = oracle(text, x=x)
    same(found["W"], torch.stack(W))
    same(found["G"], torch.stack(G))


def test_through_a_recurrence_to_where_it_began() -> None:
    text = """
    attention began(x[i], g[i]) -> first, each, all:
        H[0] = 0.5
        H[i+1] = tanh(g * H[i] + x)
        first[] = grad(H[I], H[0])
        each[i] = grad(H[I], H[i])
        all[i] = grad(sum[i](H[i+1]), H[i])
    """
    x, g = normal(4), normal(4, seed=1)
    H = [torch.tensor(0.5, dtype=F, requires_grad=True)]
    for i in range(4):
        H.append(torch.tanh(g[i] * H[i] + x[i]))
    found = oracle(text, x=x, g=g)
    each = torch.stack([step(H[4], H[i]) for i in range(4)]).detach()
    same(found["first"], each[0])
    same(found["each"], each)
    same(found["all"], torch.stack([step(sum(H[1:]), H[i]) for i in range(4)]).detach())  # type: ignore[arg-type]


def test_one_step_for_a_chunk_of_tokens() -> None:
    text = """
    attention chunks(K[c,j,d], V[c,j], rate[]) -> W:
        W[0,d] = 0
        hid[c,j] = silu(sum[d](K[c,j,d] * W[c,d]))
        loss[c,j] = (hid - V) ** 2 where j < 2 or c > 0
        W[c+1,d] = W[c,d] - rate * grad(loss[c,j], W[c,d])
    """
    K, V = normal(3, 4, 2), normal(3, 4)
    W = [torch.zeros(2, dtype=F, requires_grad=True)]
    for c in range(3):
        loss = (silu(K[c] @ W[c]) - V[c]) ** 2
        W.append(W[c] - 0.3 * step(loss if c else loss[:2], W[c]))
    same(one(text, K=K, V=V, rate=0.3), torch.stack(W).detach())


def test_at_the_chunks_first_state() -> None:
    text = """
    attention chunked(x[i], v[i]; C: int = 3) -> W:
        W[0] = 1
        loss[i] = (tanh(W[i // C * C] * x) - v) ** 2
        W[i+1] = W[i] - 0.2 * grad(loss[i], W[i // C * C])
    """
    x, v, W = normal(7), normal(7, seed=1), [torch.tensor(1.0, dtype=F)]
    for i in range(7):
        w = W[i // 3 * 3]
        t = torch.tanh(w * x[i])
        W.append(W[i] - 0.2 * 2 * (t - v[i]) * (1 - t * t) * x[i])
    same(one(text, x=x, v=v), torch.stack(W))


def test_backward_in_time() -> None:
    text = """
    attention back(x[i]) -> W:
        W[I] = 1
        loss[i] = exp(W[i+1] * x)
        W[i] = W[i+1] - 0.1 * grad(loss[i], W[i+1])
    """
    x, W = normal(4), [torch.tensor(1.0, dtype=F)]
    for i in reversed(range(4)):
        W.insert(0, W[0] - 0.1 * x[i] * torch.exp(W[0] * x[i]))
    same(one(text, x=x), torch.stack(W))


def test_a_softmax_between() -> None:
    text = """
    attention look(q0[b,e], Mem[b,n,e], t[b,n]) -> q:
        index i < 3
        q[b,0,e] = q0
        S[b,i,n] = sum[e](q[b,i,e] * Mem[b,n,e])
        A[b,i,n] = softmax[n](S[b,i,n] where n > 0)
        loss[b,i] = -sum[n](t * log(A[b,i,n]))
        q[b,i+1,e] = q[b,i,e] - 0.5 * grad(loss[b,i], q[b,i,e])
    """
    q0, Mem, t = normal(2, 3), normal(2, 4, 3), torch.softmax(normal(2, 4), 1)
    q = [q0.clone().requires_grad_()]
    for i in range(3):
        A = torch.softmax(torch.einsum("be,bne->bn", q[i], Mem)[:, 1:], 1)
        q.append(q[i] - 0.5 * step(-(t[:, 1:] * A.log()).sum(1), q[i]))
    same(one(text, q0=q0, Mem=Mem, t=t), torch.stack(q, 1).detach())


def test_the_derivative_need_not_be_part_of_the_loop() -> None:
    text = "attention seen(x[i]) -> G:\n    W[0] = 1\n    W[i+1] = W[i] * x\n    G[i] = grad(W[i+1] ** 2, W[i])"
    x = normal(4)
    W = torch.cat([torch.ones(1, dtype=F), x.cumprod(0)])
    same(one(text, x=x), 2 * W[1:] * x)
    assert spec(text).steps[-1].axes == ()
