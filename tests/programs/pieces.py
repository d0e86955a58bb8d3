"""The pieces that random programs are made of: scores, maps, masks, weights, statistics, tails.

A piece is text with the inputs, options and head lines it needs. `{s}` stands for the expression it acts on.
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


# Definitions of the file that the pieces may call.
DEFINITIONS = {
    "capped": "score capped(s; cap: real = 4.0) = cap * tanh(s / cap)\n",
    "near": "mask near(m, n; W: int = 4) = abs(m - n) < W\n",
    "unit": "def unit[e](x; eps: real = 1e-6) = x * rsqrt(mean[e](x * x) + eps)\n",
    "turned": (
        "def turned[e](x, pos):\n    half = max(E // 2, 1)\n    angle = pos * 0.3 ** (e % half)\n"
        "    return x * cos(angle) + x[e = (e + half) % E] * (-1 if e < half else 1) * sin(angle)\n"
    ),
}

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
    Piece("sum[e](unit[e](Q[b,h,m,e]) * unit[e]({K}))"),
    Piece("sum[e](turned[e](Q[b,h,m,e], m) * turned[e]({K}, n)) / sqrt(E)", head=("require E >= 1",)),
    Piece("(sum[e](Q * {K}) + sum[x](QX * KX)) / sqrt(E + X)", ("QX[b,h,m,x]", "KX[b,h,n,x]")),
    Piece("sum[e](relu(Q[b,h,m,e]) * relu({K})) - 0.5"),
    Piece(
        "sum[e](Q * {K}) / sqrt(E) + near_by[h,clamp(m - n, -2, 2) + 2]", ("near_by[h,z]",), head=("require Z == 5",)
    ),
    Piece("sum[e](Q * {K}) / sqrt(E) + default(blocks[h,m // 8,n // 8], 0)", ("blocks[h,c,d]",)),
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
    Piece("capped({s}; cap = 3.0)"),
    Piece("{s} * pi / (1 + extent(e))"),
    Piece("max({s}, -inf) + stop({s})"),
    Piece("default({s} where n % 3 != 1, -0.5)"),
    Piece("({s} where n <= m + 2)"),
    Piece("{s} - default(R[b,h,m,n - 1], 0.0)"),
    Piece("0.5 * ({s} + {s}[n = n // 2 * 2])"),
    Piece("{s} / (1 + abs({s}))"),
    Piece("({s} > 0) * 1.5 - ({s} != {s})"),
    Piece("({s} where m - n < 6) if exists(R) and n % 2 == 0 else 0.25"),
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
    Piece("near(m, n)"),
    Piece("near(m, n; W = 2) or n == 0"),
    Piece("m != n"),
    Piece("(m - n) // 3 % 2 == 0"),
    Piece("seen[m // 4,n // 4]", ("seen[c,d]: bool",)),
    Piece("n >= start[b,m]", ("start[b,m]: int",)),
    Piece("n <= min(m, 5) or m == n"),
    Piece("exists(R) and -2 <= m - n"),
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
    Piece("A[b,h,m,n] = softmax[n](S)\nA2[b,h,m,n] = sigmoid(S)\nO[b,h,m,f] = sum[n]((A - 0.3 * A2) * {V})"),
    Piece(
        "A[b,h,m,n] = softmax[n](S)\nA2[b,h,m,n] = softmax[n](0.5 * S)\nO[b,h,m,f] = sum[n]((A - lam * A2) * {V})",
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
    Piece("A[b,h,m,n] = abs(S)\nO[b,h,m,f] = sum[n](A * {V}) / (sum[n](A) + 1e-3)"),
    Piece("A[b,h,m,n] = exp(log(1.0 + S * S) - log(sum[n](1.0 + S * S)))\nO[b,h,m,f] = sum[n](A * {V})"),
    Piece("O[b,h,m,f] = sum[n](S * {V}) - sum[n](S) * mean[n]({V} where exists(S))"),
    Piece("A[b,h,m,n] = softmax[n](S)\nO[b,h,m,f] = sum[n](sqrt(A) * {V})"),
    Piece("O[b,h,m,f] = sum[n](relu(S) ** 3 * {V}) * 0.1"),
    Piece("O[b,h,m,f] = sum[n](exp2(-abs(S)) * {V})"),
    Piece("O[b,h,m,f] = prod[n](1.0 + 0.1 * tanh(S) * {V})"),
    Piece("O[b,h,m,f] = any[n](S > {V})"),
    Piece("O[b,h,m,f] = all[n](S < 1.0 + {V} * {V})"),
    Piece("O[b,h,m,f] = var[n](S + {V})"),
    Piece("A[b,h,m,n] = exp(S - max[n](S))\nU[b,h,m,n] = A / sum[n](A)\nO[b,h,m,f] = sum[n]((U - mean[n](U)) * {V})"),
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
    Piece("L[b,h,m] = prod[n](0.5 + sigmoid(S))"),
    Piece("L[b,h,m] = sum[n](softmax[n](S) * wv)", ("wv[b,h,n]",)),
    Piece("L[b,h,m] = logsumexp[n](2 * S)"),
    Piece("L[b,h,m] = max[n](abs(S))"),
    Piece("L[b,h,m] = mean[n](S) ** 2 + var[n](S)"),
    Piece("L[b,h,m] = sum[n](S where n % 2 == 0)"),
)

# Further outputs that take all values of a row together: no stream keeps them.
SELECTIONS = (
    Piece("L[b,h,m] = argmax[n](S)"),
    Piece("L[b,h,m] = argmin[n](S)"),
    Piece("L[b,h,m] = kth[n; 1](S)"),
)

# What happens to the output afterwards, row by row.
TAILS = (
    Piece("Y[b,h,m,f] = O * sigmoid(gate)", ("gate[b,h,m,f]",)),
    Piece("Y[b,h,m,f] = O + skip[h]", ("skip[h]",)),
    Piece("Y[b,h,m,f] = 0.5 * O"),
)
