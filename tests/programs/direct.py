"""Programs whose values wait for no fold over positions: of rows, and of pairs of positions."""

from __future__ import annotations

LAST = "    index N - M <= m < N\n"
BACK = "Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], O[b,h,m,f], L[b,h,m], dO[b,h,m,f]"
WEIGHTS = "    P[b,h,m,n] = exp(S - L)\n    D[b,h,m] = dO * O\n    dS[b,h,m,n] = P * (sum[f](dO * V) - D)\n"


def backward(bias: str, mask: str, gradient: str, more: str = "") -> str:
    """The gradient of a bias that is added to scores, for a mask and a sum over what the bias lacks."""
    scores = f"    S[b,h,m,n] = sum[e](Q * K) / sqrt(E) + bias{' where ' + mask if mask else ''}\n"
    return f"attention a({BACK}, bias{bias}{more}) -> G, D:\n{LAST}{scores}{WEIGHTS}    G{bias} = {gradient}\n"


DIRECT = {
    "delta": "attention a(O[b,h,m,f], dO[b,h,m,f]) -> D:\n    D[b,h,m] = dO * O\n",
    "norms": f"attention a(Q[b,h,m,e], K[b,h,n,e]) -> R, C:\n{LAST}"
    "    R[b,h,m] = Q * Q\n    C[b,h,n] = sum[e](K * K where e < 3)\n",
    "bias": backward("[h,m,n]", "n <= m", "sum[b](default(dS, 0))"),
    "bias of all heads": backward("[m,n]", "n <= m", "sum[b,h](default(dS, 0))"),
    "bias of each": backward("[b,h,m,n]", "n <= m", "default(dS, 0)"),
    "bias without a mask": backward("[h,m,n]", "", "sum[b](dS)"),
    "all gradients": backward("[h,m,n]", "n <= m", "sum[b](default(dS, 0))").replace("-> G, D", "-> G, dQ, dK, dV")
    + "    dQ[b,h,m,e] = sum[n](dS * K) / sqrt(E)\n    dK[b,h,n,e] = sum[m](dS * Q) / sqrt(E)\n"
    "    dV[b,h,n,f] = sum[m](P * dO)\n",
    "sinks and window": backward("[h,m,n]", "n <= m and (m - n < 11 or n < 4)", "sum[b](default(dS, 0))"),
    "lengths": backward("[h,m,n]", "n <= m and n < 3 * len[b]", "sum[b](default(dS, 0))", ", len[b]: int"),
    "documents": backward("[b,h,m,n]", "n <= m and doc[b,n] == row[b,m]", "dS", ", doc[b,n]: int, row[b,m]: int"),
    "scores": f"attention a(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]) -> O, S:\n{LAST}"
    "    S[b,h,m,n] = Q * K / sqrt(E) where n <= m\n    O[b,h,m,f] = softmax[n](S) * V\n",
    "scores of shared keys": f"attention a(Q[b,h,m,e], K[b,g,n,e]) -> S, P:\n    require H % G == 0\n{LAST}"
    "    S[b,h,m,n] = 5 * tanh(sum[e](Q * K[b,h // (H // G),n,e]) / 5) where 0 <= m - n and m - n < 20\n"
    "    P[b,h,m,n] = exp(S)\n",
    "additive scores": f"attention a(Q[b,h,m,e], K[b,h,n,e], w[e]) -> S:\n{LAST}"
    "    S[b,h,m,n] = sum[e](w * tanh(Q + K)) where n <= m\n",
    "whole numbers": f"attention a(Q[b,h,m,e], K[b,h,n,e]) -> C, B:\n{LAST}"
    "    C[b,h,m,n] = floor(sum[e](Q * K)) where n <= m\n    B[b,h,m,n] = sum[e](Q * K) > 0.5\n",
    "highest": f"attention a(Q[b,h,m,e], K[b,h,n,e]) -> X:\n{LAST}    X[h,m,n] = max[b](sum[e](Q * K)) where n <= m\n",
    "indexer": f"attention a(Q[b,h,m,e], K[b,n,e], w[b,m,h]) -> G:\n{LAST}"
    "    G[b,m,n] = sum[h](w * relu(sum[e](Q * K))) where n <= m\n",
    "indexer and values": f"attention a(Q[b,h,m,e], K[b,n,e], w[b,m,h], V[b,n,f]) -> O, G:\n{LAST}"
    "    G[b,m,n] = sum[h](w * relu(sum[e](Q * K))) where n <= m\n    O[b,m,f] = softmax[n](G) * V\n",
    "talking heads": f"attention a(Q[b,h,m,e], K[b,h,n,e], W[g,h]) -> S:\n{LAST}"
    "    T[b,h,m,n] = Q * K where n <= m\n    S[b,g,m,n] = W * T\n",
    "norms of projections": "attention a(X[b,n,e], W[h,e,f]) -> D:\n    Y[b,h,n,f] = X * W\n    D[b,h,n] = Y * Y\n",
    "turned": f"attention a(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], w[e]) -> O:\n{LAST}"
    "    QR[b,h,m,e] = Q * cos(m * w)\n    KR[b,h,n,e] = K * cos(n * w)\n"
    "    O[b,h,m,f] = softmax[n](sum[e](QR * KR) where n <= m) * V\n",
    "turned and its norm": "attention a(K[b,h,n,e], w[e]) -> C, KR:\n"
    "    C[b,h,n] = sum[e](K * K)\n    KR[b,h,n,e] = K * cos(n * w)\n",
    "rolled": f"attention a(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], w[e]) -> O:\n{LAST}"
    "    QR[b,h,m,e] = Q * cos(m * w) + Q[e = (e - 2) % E] * sin(m * w)\n"
    "    KR[b,h,n,e] = K * cos(n * w) + K[e = (e + 3) % E] * sin(n * w)\n"
    "    O[b,h,m,f] = softmax[n](sum[e](QR * KR) where n <= m) * V\n",
    "dropped": f"attention a(Q[b,h,m,e], K[b,h,n,e], seed[]: int) -> S:\n{LAST}"
    "    S[b,h,m,n] = sum[e](Q * K) * (uniform[b,h,m,n](seed) >= 0.25) where n <= m\n",
}

# values of pairs that are known when their rows are
WAITING = {
    "weights": f"attention a(Q[b,h,m,e], K[b,h,n,e]) -> A:\n{LAST}"
    "    A[b,h,m,n] = softmax[n](sum[e](Q * K) where n <= m)\n",
    "weights and values": "attention a(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]) -> O, A:\n"
    "    A[b,h,m,n] = softmax[n](sum[e](Q * K) / sqrt(E))\n    O[b,h,m,f] = A * V\n",
    "log weights": f"attention a(Q[b,h,m,e], K[b,h,n,e]) -> A, L:\n{LAST}"
    "    S[b,h,m,n] = tanh(sum[e](Q * K)) where 0 <= m - n < 7\n    L[b,h,m] = logsumexp[n](S)\n"
    "    A[b,h,m,n] = default(S - L, 0)\n",
}
