"""The pieces that random programs are made of: scores, maps, masks, weights, tails, and whole small programs.

A piece is text with the inputs, options and definitions it needs. `{s}` stands for the expression it acts on.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Piece:
    """Text, and the input declarations, options and head lines that it needs."""

    text: str
    inputs: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    head: tuple[str, ...] = ()


# How a query and a key make a number. Each is a right side over b, h, m, n.
SCORES = (
    Piece("Q * {K} / sqrt(E)"),
    Piece("sum[e](Q * {K}) * rsqrt(E)"),
    Piece("-sum[e]((Q[b,h,m,e] - {K}) ** 2) / E"),
    Piece("sum[e](w[e] * tanh(Q[b,h,m,e] + {K}))", ("w[e]",)),
    Piece("tau * Q * {K}", ("tau[]",)),
    Piece("Q * {K} * scale[h] / sqrt(E)", ("scale[h]",)),
    Piece("sum[e](Q * {K}) / sqrt(E) + bias_m + bias_n", ("bias_m[b,h,m]", "bias_n[h,n]")),
    Piece("sum[e](Q * {K}) / sqrt(E) + full_bias", ("full_bias[h,m,n]",)),
    Piece("sum[e](Q * {K}) / sqrt(E) - slope * (m - n)", ("slope[h]",)),
    Piece("sum[e](Q * {K}) / sqrt(E) - slope * abs(m - n)", ("slope[h]",)),
    Piece("sum[e](Q * {K}) / sqrt(E) + default(table[h,m - n + 4], 0)", ("table[h,p]",)),
    Piece(
        "sum[e](Q * {K}) / sqrt(E) + grid[m // 3 % 2,n % 2]",
        ("grid[two,also]",),
        head=("require TWO == 2 and ALSO == 2",),
    ),
    Piece("sum[e](Q * {K}) / sqrt(E) + emb[h,kind_m,kind_n]", ("emb[h,x,y]", "kind_m[m]: int", "kind_n[n]: int")),
)

# What is done to one score.
MAPS = (
    Piece("{s}"),
    Piece("4.0 * tanh({s} / 4.0)"),
    Piece("relu({s})"),
    Piece("gelu({s})"),
    Piece("silu({s})"),
    Piece("softplus({s})"),
    Piece("2 * sigmoid({s})"),
    Piece("erf({s})"),
    Piece("sin({s}) + cos({s})"),
    Piece("abs({s})"),
    Piece("clamp({s}, -1.5, 1.5)"),
    Piece("log1p(abs({s}))"),
    Piece("log(1.0 + {s} * {s})"),
    Piece("log2(2.0 + abs({s}))"),
    Piece("sqrt(abs({s}) + 0.5)"),
    Piece("rsqrt(1.0 + {s} ** 2)"),
    Piece("expm1(min({s}, 1.0))"),
    Piece("exp2(min({s}, 2.0))"),
    Piece("xlogx(sigmoid({s}))"),
    Piece("max({s}, 0.1 * {s})"),
    Piece("{s} + 0.1 * sign(m - n)"),
    Piece("{s} if n <= m else 0.5 * {s}"),
    Piece("{s} * (m % 2 == n % 2) + 0.25"),
    Piece("{s} + 0.01 * floor({s} * 4.0) - 0.01 * ceil({s} * 2.0) + 0.01 * round({s})"),
    Piece("cap * tanh({s} / cap)", options=("cap: real = 3.0",)),
    Piece("{s} * exp(-abs(m - n) / 8)"),
)

# Which keys a query sees.
MASKS = (
    Piece(""),
    Piece("n <= m"),
    Piece("n <= m and m - n < W", options=("W: int = 7",)),
    Piece("0 <= m - n < 5"),
    Piece("n <= m and (m - n < 4 or n < 2)"),
    Piece("abs(m - n) <= 6"),
    Piece("m // BLK == n // BLK", options=("BLK: int = 5",)),
    Piece("m // 4 - n // 4 <= 1 and n <= m"),
    Piece("n % 2 == m % 2"),
    Piece("n % 3 == 0 or n == m"),
    Piece("not (n > m)"),
    Piece("n < len[b]", ("len[b]: int",)),
    Piece("n <= m and seg_m == seg_n", ("seg_m[b,m]: int", "seg_n[b,n]: int")),
    Piece("see[m,n]", ("see[m,n]: bool",)),
    Piece("keep[b,n] and n <= m", ("keep[b,n]: bool",)),
    Piece("n <= m and (wide[h] or m - n < 3)", ("wide[h]: bool",)),
    Piece("m >= 3 and n <= m"),
)

# From masked scores S to an output O, possibly with row statistics. `{V}` is the value.
WEIGHTS = (
    Piece("A[b,h,m,n] = softmax[n](S)\nO[b,h,m,f] = A * {V}"),
    Piece("O[b,h,m,f] = softmax[n](S) * {V}"),
    Piece("O[b,h,m,f] = sum[n](sigmoid(S) * {V})"),
    Piece("O[b,h,m,f] = sum[n](relu(S) ** 2 * {V}) / (N + 1)"),
    Piece("O[b,h,m,f] = sum[n](S * {V})"),
    Piece("A[b,h,m,n] = exp(S - max[n](S))\nO[b,h,m,f] = sum[n](A * {V}) / sqrt(sum[n](A * A))"),
    Piece("A[b,h,m,n] = exp(S)\nO[b,h,m,f] = sum[n](A * {V}) / sum[n](A)"),
    Piece("A[b,h,m,n] = exp(S - logsumexp[n](S))\nO[b,h,m,f] = sum[n](A * {V})"),
    Piece("A[b,h,m,n] = softplus(S)\nO[b,h,m,f] = sum[n](A * {V}) / (sum[n](A) + 0.5)"),
    Piece("A[b,h,m,n] = S * S\nO[b,h,m,f] = sum[n](A * {V}) / max(sum[n](A), 1.0)"),
    Piece("A[b,h,m,n] = softmax[n](S)\nO[b,h,m,f] = sum[n](A * A * {V})"),
    Piece("A[b,h,m,n] = softmax[n](S)\nC[b,h,m,n] = sigmoid(S)\nO[b,h,m,f] = sum[n]((A - 0.3 * C) * {V})"),
    Piece(
        "A[b,h,m,n] = softmax[n](S)\nC[b,h,m,n] = softmax[n](0.5 * S)\nO[b,h,m,f] = sum[n]((A - lam * C) * {V})",
        ("lam[h]",),
    ),
    Piece("O[b,h,m,f] = mean[n](S * {V})"),
    Piece(
        "A[b,h,m,n] = softmax[n](S)\nD[b,h,m,n] = A * (uniform[b,h,m,n](seed) >= 0.25) / 0.75\n"
        "O[b,h,m,f] = sum[n](D * {V})",
        ("seed[]: int",),
    ),
    Piece("O[b,h,m,f] = max[n](S + {V})"),
    Piece("O[b,h,m,f] = min[n](S * {V})"),
    Piece("O[b,h,m,f] = logsumexp[n](S + {V})"),
)

# With one more place on the key axis.
SINKS = (
    Piece(
        "S[b,h,m,N] = sink\nindex t <= N\nA[b,h,m,t] = softmax[t](S[b,h,m,t])\nO[b,h,m,f] = A[b,h,m,n] * {V}",
        ("sink[h]",),
    ),
    Piece(
        "S[b,h,m,N] = Q * ks / sqrt(E)\nindex t <= N\nA[b,h,m,t] = softmax[t](S[b,h,m,t])\n"
        "VV[b,h,n,f] = {V}\nVV[b,h,N,f] = vs\nO[b,h,m,f] = A * VV[b,h,t,f]",
        ("ks[h,e]", "vs[h,f]"),
    ),
    Piece(
        "S[b,h,m,N + j] = Q * KJ / sqrt(E)\nindex t < N + J\nA[b,h,m,t] = softmax[t](S[b,h,m,t])\n"
        "O[b,h,m,f] = sum[n](A[b,h,m,n] * {V}) + sum[j](A[b,h,m,N + j] * VJ)",
        ("KJ[b,h,j,e]", "VJ[b,h,j,f]"),
    ),
)

# Further outputs over the rows, and what makes them.
STATISTICS = (
    Piece("L[b,h,m] = logsumexp[n](S)"),
    Piece("L[b,h,m] = max[n](S)"),
    Piece("L[b,h,m] = min[n](S)"),
    Piece("L[b,h,m] = mean[n](S)"),
    Piece("L[b,h,m] = var[n](S)"),
    Piece("L[b,h,m] = sum[n](1 where exists(S))"),
    Piece("L[b,h,m] = any[n](S > 1.0)"),
    Piece("L[b,h,m] = all[n](S < 2.0)"),
    Piece("L[b,h,m] = -sum[n](xlogx(softmax[n](S)))"),
    Piece("L[b,h,m] = sum[n](abs(S))"),
)

# What happens to the output afterwards, row by row.
TAILS = (
    Piece("Y[b,h,m,f] = O * sigmoid(gate)", ("gate[b,h,m,f]",)),
    Piece("Y[b,h,m,f] = O + skip[h]", ("skip[h]",)),
    Piece("Y[b,h,m,f] = 0.5 * O"),
)

# Whole programs for what is no M x N stage: recurrences, order, scatter, randomness, parts, gathers.
SMALL = (
    "attention p(K[b,i,e], V[b,i,f], g[b,i], H0[b,e,f] = 0) -> O:\n    State[b,0,e,f] = H0\n"
    "    State[b,i+1,e,f] = sigmoid(g) * State[b,i,e,f] + K * V\n    O[b,i,f] = K * State[b,i+1,e,f]\n"
    "    carry H0 = State[b,I,e,f]\n",
    "attention p(F[i], A[i,j]) -> y:\n    require I == J\n    y[i] = F[i] - sum[j](0.1 * A[i,j] * y[j] where j < i)\n",
    "attention p(X[b,n], K[b,n,e]; k: int = 3) -> top, Y, low:\n"
    "    index t < min(k, N)\n    keep[b,n] = topk[n; k](X)\n"
    "    at[b,t] = argtopk[n -> t](X)\n    Y[b,t,e] = K[b,at[b,t],e]\n    top[b,e] = sum[n](K where keep)\n"
    "    low[b] = kth[n; 0](X)\n",
    "attention p(X[b,n]) -> S, P:\n    index u < N\n    S[b,u] = sort[n -> u](X)\n    P[b,u] = argsort[n -> u](X)\n",
    "attention p(Y[b,c,f], idx[b,c]: int) -> O:\n    index n < 6\n    O[b,n,f] = sum[c](Y where idx == n)\n",
    "attention p(X[b,n], seed[]: int; p: real = 0.25) -> O:\n    O[b,n] = X * (uniform[b,n](seed) >= p) / (1 - p)\n",
    "attention p(X[b,n], W[w]) -> Y:\n    Y[b,n] = sum[w](W * X[b,n - w])\n",
    "attention p(X[n,d]) -> Y, best, worst:\n    Y[n,d] = X * rsqrt(mean[d](X * X) + 1e-6)\n"
    "    best[n] = argmax[d](X)\n    worst[n] = argmin[d](X)\n",
    "attention p(X[n], Z[k]) -> Y, T:\n"
    "    C[n] = X\n    C[N + k] = Z\n    index t < N + K\n    Y = prod[t](1.0 + 0.1 * C[t])\n"
    "    T[t] = default(C[t - 1], 0) + C[t]\n",
    "attention p(X[p]) -> Y:\n    T[2*p] = X\n    T[2*p + 1] = -X\n    index q < 2 * P\n    Y[q] = T[q] * 2\n",
    "attention p(page[b,c]: int, KP[x,u,e]) -> K:\n    index n < C * U\n    require U >= 1\n"
    "    K[b,n,e] = KP[page[b,n // U],n % U,e]\n",
    "attention p(X[n,d], Y[n]) -> L:\n    L[d] = sum[n](stop(X) * Y) - sum[n](X[n,d] * Y[n])\n",
)
