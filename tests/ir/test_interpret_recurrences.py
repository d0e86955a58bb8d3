"""Recurrences: forward, backward, coupled, over a heap; solves; an attention inside a cell; absent steps."""

from __future__ import annotations

import pytest
import torch

from tests.ir.oracle import normal, one, oracle, same

F = torch.float64
LENGTHS = pytest.mark.parametrize("length", [0, 1, 6])


@LENGTHS
def test_a_gated_state(length: int) -> None:
    text = """
    attention gated(Q[b,i,e], K[b,i,e], V[b,i,f], g[b,i], H0[b,e,f] = 0) -> O, last, all:
        State[b,0,e,f] = H0
        State[b,i+1,e,f] = exp(g) * State[b,i,e,f] + K * V
        O[b,i,f] = Q * State[b,i+1,e,f]
        last[b,e,f] = State[b,I,e,f]
        all[b,e,f] = State[b,0,e,f]
        carry H0 = State[b,I,e,f]
    """
    Q, K, V, g = normal(2, length, 3), normal(2, length, 3, seed=1), normal(2, length, 2), -normal(2, length).abs()
    H0 = normal(2, 3, 2)
    found, H, rows = oracle(text, Q=Q, K=K, V=V, g=g, H0=H0), H0, []
    for i in range(length):
        H = g[:, i, None, None].exp() * H + K[:, i, :, None] * V[:, i, None, :]
        rows.append(torch.einsum("be,bef->bf", Q[:, i], H))
    same(found["O"], torch.stack(rows, 1) if rows else torch.zeros(2, 0, 2, dtype=F))
    same(found["last"], H)
    same(found["all"], H0)


@LENGTHS
def test_backward(length: int) -> None:
    text = """
    attention backward(x[i], g[i]) -> R, S:
        R[I] = 0
        R[i] = x + g * R[i+1]
        S[i] = max(x, default(S[i+1], x))
    """
    x, g = normal(length), normal(length, seed=1)
    wanted = torch.zeros(length + 1, dtype=F)
    for i in reversed(range(length)):
        wanted[i] = x[i] + g[i] * wanted[i + 1]
    found = oracle(text, x=x, g=g)
    same(found["R"], wanted)
    same(found["S"], x.flip(0).cummax(0).values.flip(0) if length else x)


@LENGTHS
def test_coupled_states_one_behind_the_other(length: int) -> None:
    text = """
    attention coupled(x[i], a[i]) -> P, Q, R:
        P[0] = 1
        Q[0] = 2
        P[i+1] = a * P[i] - Q[i] + x
        Q[i+1] = P[i+1] + 0.5 * Q[i]
        R[i] = P[i+1] * Q[i]
    """
    x, a = normal(length), normal(length, seed=1)
    P, Q, R = [torch.tensor(1.0, dtype=F)], [torch.tensor(2.0, dtype=F)], []
    for i in range(length):
        P.append(a[i] * P[i] - Q[i] + x[i])
        Q.append(P[i + 1] + 0.5 * Q[i])
        R.append(P[i + 1] * Q[i])
    found = oracle(text, x=x, a=a)
    same(found["P"], torch.stack(P))
    same(found["Q"], torch.stack(Q))
    same(found["R"], torch.stack(R) if R else torch.zeros(0, dtype=F))


def test_a_heap() -> None:
    text = """
    attention heap(x[i]) -> T, sums:
        T[0] = 1
        T[2*i + 1] = T[i] + x
        T[2*i + 2] = T[i] * x
        sums[] = sum[i](T[2*i + 1])
    """
    x, wanted = normal(7), [torch.tensor(1.0, dtype=F)]
    for i in range(7):
        wanted += [wanted[i] + x[i], wanted[i] * x[i]]
    found = oracle(text, x=x)
    same(found["T"], torch.stack(wanted))
    same(found["sums"], torch.stack(wanted)[1::2].sum())


@LENGTHS
def test_a_triangular_solve(length: int) -> None:
    text = """
    attention solve(A[b,i,j], f[b,i,e]) -> y, z:
        require I == J
        y[b,i,e] = f - sum[j](A[b,i,j] * y[b,j,e] where j < i)
        z[b,i,e] = f - sum[j](A[b,i,j] * z[b,j,e] where j > i)
    """
    A, f = normal(2, length, length), normal(2, length, 3)
    eye = torch.eye(length, dtype=F)
    found = oracle(text, A=A, f=f)
    same(found["y"], torch.linalg.solve_triangular(A.tril(-1) + eye, f, upper=False))
    same(found["z"], torch.linalg.solve_triangular(A.triu(1) + eye, f, upper=True))


def test_an_attention_inside_a_cell() -> None:
    text = """
    attention cell(X[b,t,e], Mem[b,n,e]) -> h, c:
        h[b,0,e] = 0
        c[b,0,e] = 0
        S[b,t,n] = sum[e](h[b,t,e] * Mem[b,n,e])
        A[b,t,n] = softmax[n](S[b,t,n])
        r[b,t,e] = sum[n](A[b,t,n] * Mem[b,n,e])
        gate[b,t,e] = sigmoid(X[b,t,e] + r[b,t,e])
        c[b,t+1,e] = gate * c[b,t,e] + (1 - gate[b,t,e]) * tanh(X)
        h[b,t+1,e] = gate * tanh(c[b,t+1,e])
    """
    X, Mem = normal(2, 4, 3), normal(2, 5, 3)
    h, c = torch.zeros(2, 3, dtype=F), torch.zeros(2, 3, dtype=F)
    hs, cs = [h], [c]
    for t in range(4):
        A = torch.softmax(torch.einsum("be,bne->bn", h, Mem), 1)
        gate = torch.sigmoid(X[:, t] + torch.einsum("bn,bne->be", A, Mem))
        c = gate * c + (1 - gate) * torch.tanh(X[:, t])
        h = gate * torch.tanh(c)
        hs.append(h)
        cs.append(c)
    found = oracle(text, X=X, Mem=Mem)
    same(found["h"], torch.stack(hs, 1))
    same(found["c"], torch.stack(cs, 1))


def test_newton_steps() -> None:
    text = """
    attention root(x[n]) -> O:
        index i < 8
        y[n,0] = 1
        y[n,i+1] = (y[n,i] + x / y[n,i]) / 2
        O[n] = y[n,8]
    """
    x = torch.tensor([2.0, 9.0, 0.25], dtype=F)
    same(one(text, x=x), x.sqrt())


def test_the_state_at_the_chunks_start() -> None:
    text = """
    attention chunked(x[i]; C: int = 3) -> T:
        T[0] = 1
        T[i+1] = T[i] + x * T[i // C * C]
    """
    x, T = normal(7), [torch.tensor(1.0, dtype=F)]
    for i in range(7):
        T.append(T[i] + x[i] * T[i // 3 * 3])
    same(one(text, x=x), torch.stack(T))


def test_an_absent_step_ends_a_state_and_a_choice_holds_it() -> None:
    text = """
    attention steps(x[i], n[]: int) -> ends, holds, at:
        ends[0] = 0
        ends[i+1] = ends[i] + x where i != n
        g[i] = x where i != n
        holds[0] = 0
        holds[i+1] = holds[i] + g if exists(g) else holds[i]
        index t <= I
        at[t] = exists(ends[t])
    """
    found = oracle(text, x=torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=F), n=2)
    same(found["ends"], [0.0, 1.0, 3.0, 0.0, 0.0])
    assert found["at"].tolist() == [True, True, True, False, False]
    same(found["holds"], [0.0, 1.0, 3.0, 3.0, 7.0])


def test_what_binds_the_index_of_the_loop_runs_over_all_of_it() -> None:
    text = """
    attention shadow(x[i]) -> T, U:
        T[0] = 1
        T[i+1] = T[i] + sum[i](x[i]) * softmax[i](x[i]) + (10 if topk[i; 1](x[i]) else 0)
        U[0] = 0
        U[i+1] = U[i] + sort[n -> i](x[n])
        index n < I
    """
    x = normal(4)
    found = oracle(text, x=x)
    steps = x.sum() * torch.softmax(x, 0) + 10 * (x == x.amax())
    same(found["T"], 1 + torch.cat([torch.zeros(1, dtype=F), steps.cumsum(0)]))
    same(found["U"], torch.cat([torch.zeros(1, dtype=F), x.sort().values.cumsum(0)]))


def test_segments_along_the_recurrence() -> None:
    text = """
    attention segments(x[s,r]) -> T:
        require R >= 1
        T[0] = 1
        T[s * R + r + 1] = 0.5 * T[s * R + r] + x[s,r]
    """
    x, T = normal(3, 2), [torch.tensor(1.0, dtype=F)]
    for k in range(6):
        T.append(0.5 * T[k] + x.reshape(6)[k])
    same(one(text, x=x), torch.stack(T))
