"""Small whole programs for what is no M x N stage: recurrences, order, scatter, randomness, parts, gathers."""

from __future__ import annotations

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
    "attention p(X[b,n], W[w]) -> Y:\n    Y[b,n] = sum[w](W[w] * X[b,n - w])\n",
    "attention p(X[n,d]) -> Y, best, worst:\n    Y[n,d] = X * rsqrt(mean[d](X * X) + 1e-6)\n"
    "    best[n] = argmax[d](X)\n    worst[n] = argmin[d](X)\n",
    "attention p(X[n], Z[k]) -> Y, T:\n"
    "    C[n] = X\n    C[N + k] = Z\n    index t < N + K\n    Y = prod[t](1.0 + 0.1 * C[t])\n"
    "    T[t] = default(C[t - 1], 0) + C[t]\n",
    "attention p(X[p]) -> Y:\n    T[2*p] = X\n    T[2*p + 1] = -X\n    index q < 2 * P\n    Y[q] = T[q] * 2\n",
    "attention p(page[b,c]: int, KP[x,u,e]) -> K:\n    index n < C * U\n    require U >= 1\n"
    "    K[b,n,e] = KP[page[b,n // U],n % U,e]\n",
    "attention p(X[n,d], Y[n]) -> L:\n    L[d] = sum[n](stop(X) * Y) - sum[n](X[n,d] * Y[n])\n",
    "attention p(X[s,r]) -> Y:\n    require R == 3\n    T[s*3 + r] = X\n    index q < 3 * S\n"
    "    Y[q] = T[q] + default(T[q - 1], 0.0)\n",
    "attention p(W[b,e], X[b,e]) -> G, Y:\n    L[b] = sum[e](tanh(W * X) ** 2)\n"
    "    G[b,e] = grad(L[b], W[b,e])\n    Y[b,e] = W - 0.1 * G\n",
)
