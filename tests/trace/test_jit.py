# ruff: noqa: N803, N806, E741
# mypy: ignore-errors
"""What Python functions can write: every kind of statement, with Python to write with."""

from __future__ import annotations

import enum
import functools
import linecache
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import attnc
from attnc import AttnError, compiler
from attnc.ir.cascade import Cascade
from attnc.library import Library, Spec
from attnc.source import Source
from attnc.trace import call, carry, check, exp, softmax, sqrt
from attnc.trace.jit import Traced
from tests.trace.test_examples import plain

b, g, h, i, j, m, n, t, c, d, e, f = attnc.index("b g h i j m n t c d e f")
Query, Key, Value = attnc.Tensor[b, h, m, e], attnc.Tensor[b, h, n, e], attnc.Tensor[b, h, n, f]
Row = attnc.Tensor[b, h, i, e]
M, N = m.extent, n.extent


def stated(text: str) -> Cascade:
    return plain(compiler.stated(Spec(Source("text", text), None, None), {}, Library(None)))


def of(traced: Traced) -> Cascade:
    return plain(compiler.stated(traced.spec, {}, Library(None)))


def softmax_weights(Q, K, kept):
    S, A = attnc.tensor("S A")
    S[b, h, m, n] = Q * K / sqrt(e.extent)
    A[b, h, m, n] = softmax(S, over=n, where=kept)
    return A


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# ---- statements ---------------------------------------------------------------------------------


def test_recurrence_and_carry() -> None:
    @attnc.jit
    def gated(Q: Row, K: Row, V: attnc.Tensor[b, h, i, f], g: attnc.Tensor[b, h, i], H0: attnc.Tensor[b, h, e, f] = 0):
        State, O = attnc.tensor("State O")
        State[b, h, 0, e, f] = H0
        State[b, h, i + 1, e, f] = exp(g) * State[b, h, i, e, f] + K * V
        O[b, h, i, f] = Q * State[b, h, i + 1, e, f]
        carry(H0, State[b, h, i.extent, e, f])
        check("plain", given={"g": 0}, equals=call("causal_linear", Q, K, V))
        return O

    text = """attention gated(Q[b,h,i,e], K[b,h,i,e], V[b,h,i,f], g[b,h,i], H0[b,h,e,f] = 0) -> O:
    State[b,h,0,e,f]   = H0
    State[b,h,i+1,e,f] = exp(g) * State[b,h,i,e,f] + K * V
    O[b,h,i,f]         = Q * State[b,h,i+1,e,f]
    carry H0 = State[b,h,I,e,f]
    check plain: with g = 0 equals causal_linear(Q, K, V)
"""
    assert of(gated) == stated(text)
    q, k, v = (drawn(1, 2, 6, 4, seed=seed) for seed in range(3))
    gate = -drawn(1, 2, 6).abs()
    whole = gated(q, k, v, gate)
    first, state = gated.step(q[:, :, :3], k[:, :, :3], v[:, :, :3], gate[:, :, :3])
    second, _ = gated.step(q[:, :, 3:], k[:, :, 3:], v[:, :, 3:], gate[:, :, 3:], **state)
    assert torch.allclose(torch.cat([first, second], 2), whole, atol=1e-5)


def test_selection() -> None:
    @attnc.jit
    def block_topk(Q: Query, K: Key, V: Value, *, BLK: int = 4, k: int = 2):
        Qp, Kp, G, keep, S, O = attnc.tensor("Qp Kp G keep S O")
        c.runs(attnc.ceil(M / BLK))
        d.runs(attnc.ceil(N / BLK))
        j.runs(BLK)
        Qp[b, h, c, e] = attnc.mean(Q[b, h, c * BLK + j, e], over=j)
        Kp[b, h, d, e] = attnc.mean(K[b, h, d * BLK + j, e], over=j)
        G[b, h, c, d] = (Qp * Kp).where(d <= c)
        keep[b, h, c, d] = attnc.topk(attnc.stop(G), k, over=d)
        S[b, h, m, n] = (Q * K).where((n <= m) & keep[b, h, m // BLK, n // BLK])
        O[b, h, m, f] = softmax(S, over=n) * V
        return O

    text = """attention block_topk(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]; BLK: int = 4, k: int = 2) -> O:
    index c < ceil(M / BLK), d < ceil(N / BLK), j < BLK
    Qp[b,h,c,e]   = mean[j](Q[b,h,c*BLK + j,e])
    Kp[b,h,d,e]   = mean[j](K[b,h,d*BLK + j,e])
    G[b,h,c,d]    = Qp * Kp                                     where d <= c
    keep[b,h,c,d] = topk[d; k](stop(G))
    S[b,h,m,n]    = Q * K                                       where n <= m and keep[b,h, m // BLK, n // BLK]
    O[b,h,m,f]    = softmax[n](S) * V
"""
    assert of(block_topk) == stated(text)


def test_every_function_of_the_language() -> None:
    @attnc.jit
    def all_of_them(
        X: attnc.Tensor[m, n], p: attnc.Tensor[m, n, int], u: attnc.Tensor[m, bool], seed: attnc.Tensor[int]
    ):
        t.runs(3)
        A, B, C, D = attnc.tensor("A B C D")
        A[m, n] = attnc.where(u, attnc.clamp(X, -1, 1), attnc.default(X[m, p], 0.5)) + attnc.uniform(seed, over=(m, n))
        B[m, t] = attnc.sort(X, over=n, to=t) + attnc.argtopk(X, over=n, to=t) - attnc.argsort(X, over=n, to=t)
        C[m] = attnc.kth(X, 1, over=n) + attnc.argmax(X, over=n) * attnc.prod(X, over=n) - attnc.logsumexp(X, over=n)
        D[m, n] = attnc.at(X, n, N - 1 - n).where(
            attnc.exists(X[m, p]) & ~attnc.any(X > 2, over=n) | attnc.all(u, over=m)
        )
        return A, B, C, D

    text = """attention all_of_them(X[m,n], p[m,n]: int, u[m]: bool, seed[]: int) -> A, B, C, D:
    index t < 3
    A[m,n] = (clamp(X, -1, 1) if u else default(X[m,p], 0.5)) + uniform[m,n](seed)
    B[m,t] = sort[n -> t](X) + argtopk[n -> t](X) - argsort[n -> t](X)
    C[m]   = kth[n; 1](X) + argmax[n](X) * prod[n](X) - logsumexp[n](X)
    D[m,n] = X[n = N - 1 - n] where exists(X[m,p]) and not any[n](X > 2) or all[m](u)
"""
    assert of(all_of_them) == stated(text)


def test_calls_of_attentions_and_of_the_library() -> None:
    causal, window = attnc.use("std.masks: causal, window")
    rope = attnc.use("std.position: rope")

    @attnc.jit
    def inner(Q: Query, K: Key, V: Value, *, W: int = 4):
        A = softmax_weights(Q, K, window(m, n, W=W))
        O, L = attnc.tensor("O L")
        O[b, h, m, f] = A * V
        L[b, h, m] = attnc.logsumexp(attnc.sum(Q * K, over=e), over=n, where=causal(m, n))
        return O, L

    @attnc.jit
    def outer(Q: Query, K: Key, V: Value):
        Qr, Kr, O1, L1, O2, O = attnc.tensor("Qr Kr O1 L1 O2 O")
        attnc.require(e.extent % 2 == 0)
        Qr[b, h, m, e] = rope(Q, m, over=e)
        Kr[b, h, n, e] = rope(K, n, over=e, base=500.0)
        O1[b, h, m, f], L1[b, h, m] = inner(Qr, Kr, V, W=3)
        O2[b, h, m, f] = call(attnc.std.causal_softmax, Q, K, V)
        O[b, h, m, f] = O1 + O2 + L1
        return O

    text = """use std.masks: causal, window
use std.position: rope
use std.attention: causal_softmax

attention inner(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]; W: int = 4) -> O, L:
    S[b,h,m,n] = Q * K / sqrt(E)
    A[b,h,m,n] = softmax[n](S where window(m, n; W = W))
    O[b,h,m,f] = A * V
    L[b,h,m]   = logsumexp[n](sum[e](Q * K) where causal(m, n))

attention outer(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]) -> O:
    require E % 2 == 0
    Qr[b,h,m,e] = rope[e](Q, m)
    Kr[b,h,n,e] = rope[e](K, n; base = 500.0)
    O1[b,h,m,f], L1[b,h,m] = inner(Qr, Kr, V; W = 3)
    O2[b,h,m,f] = causal_softmax(Q, K, V)
    O[b,h,m,f]  = O1 + O2 + L1
"""
    assert of(outer) == stated(text)


# ---- Python -------------------------------------------------------------------------------------


def test_python_writes_the_program() -> None:
    def build(depth: int, causal: bool) -> Traced:
        @attnc.jit
        def layers(Q: Query, K: Key, V: Value):
            A = softmax_weights(Q, K, n <= m if causal else n >= 0)
            O = attnc.tensor(" ".join(f"O{layer}" for layer in range(depth + 1)))
            O[0][b, h, m, f] = A * V
            for layer in range(depth):
                O[layer + 1][b, h, m, f] = O[layer] * 0.5 + layer
            return O[depth]

        return layers

    q, k, v = (drawn(1, 1, 5, 4, seed=seed) for seed in range(3))
    causal = build(2, True)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True) * 0.25 + 1
    assert torch.allclose(causal(q, k, v), expected, atol=1e-5)
    assert build(1, False).to_attn().count("where n >= 0") == 1
    assert "O3" not in causal.to_attn()


def test_options_are_symbols_until_python_looks_at_them() -> None:
    runs = []

    @attnc.jit
    def symbolic(Q: Query, K: Key, *, W: int = 3):
        runs.append(W)
        return attnc.sum(Q * K, over=e).where((m - n < W * 2) & (m >= n))[b, h, m, n]

    q = drawn(1, 1, 9, 4)
    wide, narrow = symbolic(q, q, W=4), symbolic(q, q, W=1)
    assert len(runs) == 1
    assert "W: int = 3" in symbolic.to_attn()
    assert (wide != 0).sum() > (narrow != 0).sum()

    @attnc.jit
    def looked_at(Q: Query, K: Key, *, power: int = 2, scaled: bool = False):
        runs.append(power)
        scores = product = attnc.sum(Q * K, over=e)
        for _ in range(power - 1):
            scores = scores * product
        return (scores / 2 if scaled else scores)[b, h, m, n]

    runs.clear()
    one = looked_at(q, q, power=1)
    assert torch.allclose(looked_at(q, q), one**2, atol=1e-4)
    assert torch.allclose(looked_at(q, q, power=3, scaled=True), one**3 / 2, atol=1e-3)
    assert torch.equal(looked_at(q, q, power=1), one)
    assert len(runs) == 3


def test_outputs() -> None:
    @attnc.jit
    def named(X: attnc.Tensor[m, n]):
        return {"total": attnc.sum(X, over=n)[m], "top": attnc.max(X, over=n)[m]}

    @attnc.jit
    def numbered(X: attnc.Tensor[m, n]):
        return attnc.sum(X, over=n)[m], (2 * X)[n, m]

    x = drawn(3, 4)
    assert torch.allclose(named(x).top, x.amax(1))
    assert torch.allclose(numbered(x)[1], 2 * x.T)
    assert named.signature.outputs == ("total", "top")
    assert numbered.signature.outputs == ("O1", "O2")


def test_gradients_and_kernels_and_explanation() -> None:
    usual = -attnc.log(N)

    @attnc.jit
    def scored(Q: Query, K: Key, V: Value, tau: attnc.Tensor[()] = usual):
        O = attnc.tensor("O")
        O[b, h, m, f] = softmax_weights(Q, K, n <= m) * V * exp(tau)
        return O

    q, k, v = (drawn(1, 2, 18, 8, seed=seed).requires_grad_() for seed in range(3))
    scored(q, k, v, tau=0.0).sum().backward()
    assert q.grad is not None
    assert "over n                        3        1  optimal" in str(scored.explain(q, k, v))
    source = scored.kernels(target="sm_90", dtype="bf16", shape={"e": 64, "f": 64})["forward"].source
    assert "attention scored(" in source
    assert "A[b,h,m,n] = softmax[n](S where n <= m)" in source


@pytest.mark.parametrize(
    "mistake",
    [
        lambda x: torch.exp(x),
        lambda x: torch.ones(3) * x,
        lambda x: __import__("math").exp(x),
        lambda x: x + "1",
        lambda x: x + float("nan"),
        lambda x: len(x),
        lambda x: list(x),
        lambda x: sorted([x, 2 * x]),
        lambda x: (x + 1)[0],
        lambda x: functools.reduce(lambda a, b: a + b, [x] * 300),
        lambda x: attnc.index("b where"),
        lambda x: attnc.tensor("\u00e9"),
        lambda x: check("nothing", given={}),
        lambda x: attnc.softmax(x, over=3),
        lambda x: attnc.jit(lambda X: {"T": X}).to_attn(),
        lambda x: check("a check", gives={"O": 1}),
    ],
)
def test_what_python_cannot_write_is_an_error_with_a_mend(mistake: Any) -> None:
    with pytest.raises(AttnError, match=r"tests/trace/test_jit.py:\d+:\d+") as raised:
        mistake(attnc.tensor("X"))
    assert raised.value.diagnostics[0].helps or raised.value.diagnostics[0].notes


class Colour(enum.IntEnum):
    RED = 3


def test_numbers_of_numpy_are_numbers() -> None:
    numpy = pytest.importorskip("numpy")
    x = attnc.tensor("X")
    assert str(x * Colour.RED) == "X * 3"
    assert str(numpy.float64(2.5) * x + numpy.int64(3) - numpy.bool_(True)) == "2.5 * X + 3 - true"


# ---- places -------------------------------------------------------------------------------------


def test_places_move_with_the_file(tmp_path: Path) -> None:
    text = """import attnc
m, n = attnc.index("m n")
@attnc.jit
def total(X: attnc.Tensor[m,n]):
    T = attnc.tensor("T")
    T[m] = attnc.sum(X, over=n)
    return T
"""

    def line(above: int) -> str:
        file = tmp_path / "moved.py"
        file.write_text("\n" * above + text)
        linecache.checkcache(str(file))
        names: dict[str, Any] = {}
        exec(compile(file.read_text(), str(file), "exec"), names)
        before = attnc.stats().get("analyses", 0)
        with pytest.raises(AttnError) as raised:
            names["total"](torch.zeros(3))
        analyses.append(attnc.stats().get("analyses", 0) - before)
        return str(raised.value).split("\n")[1].rpartition("moved.py:")[2]

    analyses: list[int] = []
    assert [line(0), line(5)] == ["4:11", "9:11"]
    assert analyses == [1, 0]  # the text is the same: kept on disk, with places of today


SCRIPT = """
import attnc
m, n = attnc.index("m n")
@attnc.jit
def total(X: attnc.Tensor[m,n]):
    return attnc.sum(X * Y, over=n)[m]
def scored(X):
    return 2 * X if X > 1 else X
try:
    scored(attnc.sum(attnc.tensor("X"), over=n))
except attnc.AttnError as mistake:
    print(mistake)
"""


def test_without_source_the_function_and_line_are_named() -> None:
    run = functools.partial(subprocess.run, capture_output=True, text=True, check=True)
    piped = run([sys.executable, "-O", "-"], input=SCRIPT).stdout
    assert " --> <stdin>:8:1\n  |\n8 | (in `scored`, whose source is not at hand)" in piped
    given = run([sys.executable, "-X", "no_debug_ranges", "-c", SCRIPT]).stdout
    assert "error[A671]" in given
    assert ":8:" in given


def test_a_cell_of_a_notebook_is_quoted() -> None:
    name, text = "<ipython-input-3>", 'def cell(X):\n    return X if X > 1 else 2 * X  # "\u00e9"\n'
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    names: dict[str, Any] = {}
    exec(compile(text, name, "exec"), names)
    with pytest.raises(AttnError, match=r"2 \|     return X if X > 1 else 2 \* X"):
        names["cell"](attnc.tensor("X"))


def test_warm_process_reads_no_grammar(tmp_path: Path) -> None:
    script = tmp_path / "warm.py"
    script.write_text(
        "import sys, torch, attnc\n"
        "m, n = attnc.index('m n')\n"
        "@attnc.jit\n"
        "def total(X: attnc.Tensor[m,n]):\n"
        "    return attnc.sum(X, over=n)[m]\n"
        "assert total(torch.ones(2, 3)).tolist() == [3.0, 3.0]\n"
        "print([name for name in ('lark', 'sympy', 'jinja2') if name in sys.modules])\n"
    )
    for _ in range(2):
        found = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
