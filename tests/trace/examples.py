# ruff: noqa: E741, N803, N806
# mypy: ignore-errors
"""The specs of `examples/` once more, as functions of Python: tensors and indices are called as in the specs."""

import attnc
from attnc.trace import call, check, exp, log, logsumexp, mean, passes, require, sigmoid, softmax, sqrt, sum, tanh
from attnc.trace import max as greatest

b, g, h, j, m, n, t, u, e, f = attnc.index("b g h j m n t u e f")
Q3, K3, V3 = attnc.Tensor[b, h, m, e], attnc.Tensor[b, h, n, e], attnc.Tensor[b, h, n, f]
E, G, H, M, N = (index.extent for index in (e, g, h, m, n))


def causal_mask(m, n):
    return n <= m


def softcap(s, cap):
    return cap * tanh(s / cap)


@attnc.jit
def causal(Q: Q3, K: K3, V: V3):
    S, A, O = attnc.tensor("S A O")
    m.runs(N - M, N)
    S[b, h, m, n] = Q * K / sqrt(E)
    A[b, h, m, n] = softmax(S, over=n, where=n <= m)
    O[b, h, m, f] = A * V
    require(passes(n) <= 1)
    check("first", given={"Q": [[1], [1]], "K": [[0], [0]], "V": [[1], [3]]}, gives={"O": [[1], [2]]}, within=1e-12)
    return O


@attnc.jit
def alibi(Q: Q3, K: K3, V: V3, slope: attnc.Tensor[h]):
    S, A, O = attnc.tensor("S A O")
    m.runs(N - M, N)
    S[b, h, m, n] = Q * K / sqrt(E)
    A[b, h, m, n] = softmax(S - slope * (m - n), over=n, where=causal_mask(m, n))
    O[b, h, m, f] = A * V
    require(passes(n) <= 1)
    check("flat", given={"slope": 0}, equals=call("causal_softmax", Q, K, V))
    return O


@attnc.jit
def softcap_window(Q: Q3, K: K3, V: V3, *, W: int = 1024, cap: float = 50.0):
    S, A, O = attnc.tensor("S A O")
    m.runs(N - M, N)
    S[b, h, m, n] = Q * K / sqrt(E)
    A[b, h, m, n] = softmax(softcap(S, cap), over=n, where=(m - n >= 0) & (m - n < W))
    O[b, h, m, f] = A * V
    require(passes(n) <= 1)
    given = {"W": 1, "Q": [[1], [1]], "K": [[0], [0]], "V": [[1], [3]]}
    check("alone", given=given, gives={O: [[1], [3]]}, within=1e-12)
    return O


@attnc.jit
def sink_window(
    Q: Q3,
    K: attnc.Tensor[b, g, n, e],
    V: attnc.Tensor[b, g, n, f],
    sink: attnc.Tensor[h],
    *,
    W: int = 1024,
    SINK: int = 4,
):
    S, A, O, L = attnc.tensor("S A O L")
    require((H % G == 0) & (G >= 1))
    r = H // G
    m.runs(N - M, N)
    S[b, h, m, n] = (Q * K[b, h // r, n, e] / sqrt(E)).where((n <= m) & ((m - n < W) | (n < SINK)))
    S[b, h, m, N] = sink
    t.runs(N + 1)
    A[b, h, m, t] = softmax(S[b, h, m, t], over=t)
    O[b, h, m, f] = A[b, h, m, n] * V[b, h // r, n, f]
    L[b, h, m] = logsumexp(S[b, h, m, t], over=t)
    require(passes(n) <= 1)
    given = {"Q": [[0]], "K": [[0]], "V": [[2]], "sink": 0}
    check("half", given=given, gives={"O": [[1]], "L": [0.6931471805599453]}, within=1e-12)
    return O, L


@attnc.jit
def sigmoid_attention(Q: Q3, K: K3, V: V3, beta: attnc.Tensor[()] = 0):
    S, A, O = attnc.tensor("S A O")
    S[b, h, m, n] = Q * K / sqrt(E)
    A[b, h, m, n] = sigmoid(S + beta)
    O[b, h, m, f] = A * V
    require(passes(n) <= 1)
    check("halves", given={"Q": [[0]], "K": [[1], [2]], "V": [[2], [4]]}, gives={"O": [[3]]}, within=1e-12)
    return O


@attnc.jit
def documents(Q: Q3, K: K3, V: V3, doc_q: attnc.Tensor[b, m, int], doc_k: attnc.Tensor[b, n, int]):
    S, A, O = attnc.tensor("S A O")
    m.runs(N - M, N)
    S[b, h, m, n] = Q * K / sqrt(E)
    A[b, h, m, n] = softmax(S, over=n, where=(n <= m) & (doc_q == doc_k))
    O[b, h, m, f] = A * V
    require(passes(n) <= 1)
    check("one_document", given={"doc_q": 0, "doc_k": 0}, equals=call("causal_softmax", Q, K, V))
    return O


@attnc.jit
def differential(Q1: Q3, Q2: Q3, K1: K3, K2: K3, V: V3, lam: attnc.Tensor[h]):
    S, A = (attnc.tensor(f"{name}1 {name}2") for name in "SA")
    O = attnc.tensor("O")
    m.runs(N - M, N)
    for scores, queries, keys in zip(S, (Q1, Q2), (K1, K2), strict=True):
        scores[b, h, m, n] = queries * keys / sqrt(E)
    for weights, scores in zip(A, S, strict=True):
        weights[b, h, m, n] = softmax(scores, over=n, where=n <= m)
    O[b, h, m, f] = (A[0] - lam * A[1]) * V
    require(passes(n) <= 1)
    check("no_second", given={"lam": 0}, equals=call("causal_softmax", Q1, K1, V))
    return O


@attnc.jit
def grouped(Q: Q3, K: K3, V: V3, *, G: int = 16):
    S, R, P, T, W, O = attnc.tensor("S R P T W O")
    require(N % G == 0)
    j.runs(N // G)
    u.runs(G)
    S[b, h, m, j, u] = Q[b, h, m, e] * K[b, h, j * G + u, e] / sqrt(E)
    R[b, h, m, j] = greatest(S, over=u)
    P[b, h, m, j, u] = softmax(S, over=u)
    T[b, h, m, j, f] = P * V[b, h, j * G + u, f]
    W[b, h, m, j] = softmax(R, over=j)
    O[b, h, m, f] = W * T
    check("one_group", given={"G": N}, equals=call("softmax_attention", Q, K, V))
    check("single_keys", given={"G": 1}, equals=call("softmax_attention", Q, K, V))
    return O


@attnc.jit
def l2_attention(Q: Q3, K: K3, V: V3):
    S, X, D, O = attnc.tensor("S X D O")
    m.runs(N - M, N)
    S[b, h, m, n] = (Q * K / sqrt(E)).where(n <= m)
    X[b, h, m, n] = exp(S - greatest(S, over=n))
    D[b, h, m] = sqrt(sum(X * X, over=n))
    O[b, h, m, f] = sum(X * V, over=n) / D
    require(passes(n) <= 1)
    given = {"Q": [[0], [0]], "K": [[0], [0]], "V": [[1], [1]]}
    check("two", given=given, gives={"O": [[1], [1.4142135623730951]]}, within=1e-12)
    return O


@attnc.jit
def entropy(Q: Q3, K: K3, V: V3):
    S, A, O, H1 = attnc.tensor("S A O H1")
    m.runs(N - M, N)
    S[b, h, m, n] = Q * K / sqrt(E)
    A[b, h, m, n] = softmax(S, over=n, where=n <= m)
    O[b, h, m, f] = A * V
    H1[b, h, m] = -sum(attnc.xlogx(A), over=n)
    require(passes(n) <= 1)
    given = {"Q": [[0], [0]], "K": [[1], [1]], "V": [[1], [3]]}
    check("uniform", given=given, gives={"O": [[1], [2]], "H1": [0, 0.6931471805599453]}, within=1e-12)
    return {"O": O, "H1": H1}


@attnc.jit
def score_moments(Q: Q3, K: K3, V: V3):
    S, A, O, mu, v = attnc.tensor("S A O mu v")
    m.runs(N - M, N)
    S[b, h, m, n] = (Q * K / sqrt(E)).where(n <= m)
    A[b, h, m, n] = softmax(S, over=n)
    O[b, h, m, f] = A * V
    mu[b, h, m] = mean(S, over=n)
    v[b, h, m] = attnc.var(S, over=n)
    require(passes(n) <= 1)
    given = {"Q": [[1], [1]], "K": [[0], [2]], "V": [[1], [1]]}
    check("two", given=given, gives={"mu": [0, 1], "v": [0, 1]}, within=1e-12)
    return O, mu, v


@attnc.jit
def trained(Q: Q3, K: K3, V: V3, slope: attnc.Tensor[h], sink: attnc.Tensor[h], *, cap: float = 15.0):
    S, Z, A, O = attnc.tensor("S Z A O")
    m.runs(N - M, N)
    t.runs(N + 1)
    S[b, h, m, n] = Q * K / sqrt(E)
    Z[b, h, m, n] = (softcap(S, cap) - slope * (m - n)).where(causal_mask(m, n))
    Z[b, h, m, N] = sink
    A[b, h, m, t] = softmax(Z[b, h, m, t], over=t)
    O[b, h, m, f] = A[b, h, m, n] * V[b, h, n, f]
    require(passes(n) <= 1)
    given = {"Q": [[0], [0]], "K": [[0], [0]], "V": [[2], [4]], "slope": log(2), "sink": 0}
    check("near", given=given, gives={"O": [[1], [2]]}, within=1e-12)
    return O
