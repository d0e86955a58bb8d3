"""Spans by Python's integers, masks pair by pair, and the influence of a weight by leaving it out."""

import math

import torch

from tests.stdlib.attend import attend, last, pairs, pieces
from tests.stdlib.cases import Case, Draw, Sizes, reals

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}
RULES = {"alpha": reals("h", low=-4, high=12), "beta": reals("h", high=0.5)}
SMALL = {"SINK": 2, "BLK": 2, "LEAST": 4}


def _length(value: int) -> Draw:
    return lambda dice, at: torch.tensor(value)


def _weights(dice: torch.Generator, at: Sizes) -> Tensor:
    scores = torch.randn([at[index] for index in "bhmn"], generator=dice, dtype=torch.float64)
    ahead = pairs(range(at["n"] - at["m"], at["n"]), range(at["n"]), lambda m, n: n > m)
    return torch.nan_to_num(scores.masked_fill(ahead, -torch.inf).softmax(-1))


def moa_spans(alpha: Tensor, beta: Tensor, length: Tensor, BLK: int = 64, LEAST: int = 128) -> Tensor:
    found = []
    for a, b in zip(alpha.tolist(), beta.tolist(), strict=True):
        wanted = max(LEAST, min(int(length), math.floor(a + b * int(length))))
        found.append(math.ceil(wanted / BLK) * BLK)
    return torch.tensor(found)


def moa(
    Q: Tensor,
    K: Tensor,
    V: Tensor,
    alpha: Tensor,
    beta: Tensor,
    length: Tensor | None = None,
    SINK: int = 64,
    BLK: int = 64,
    LEAST: int = 128,
) -> Tensor:
    whole = torch.tensor(K.shape[2]) if length is None else length
    seen = []
    for span in moa_spans(alpha, beta, whole, BLK, LEAST).tolist():

        def test(m: int, n: int, span: int = span) -> bool:
            return n <= m and (n < SINK or m - n < span - SINK)

        seen.append(pairs(last(Q, K), range(K.shape[2]), test))
    return attend(Q, K, V, torch.stack(seen))


def moa_blocks(
    Q: Tensor, K: Tensor, V: Tensor, alpha: Tensor, beta: Tensor, length: Tensor | None = None, BLK: int = 64
) -> Tensor:
    whole, seen = K.shape[2] if length is None else int(length), []
    for a, b in zip(alpha.tolist(), beta.tolist(), strict=True):
        count = math.floor(a / BLK + b * whole / BLK)

        def test(m: int, n: int, count: int = count) -> bool:
            return n <= m and (n // BLK == 0 or m // BLK - n // BLK < count)

        seen.append(pairs(last(Q, K), range(K.shape[2]), test))
    return attend(Q, K, V, torch.stack(seen))


def moa_influence(A: Tensor, G: Tensor) -> Tensor:
    first, found = A.shape[3] - A.shape[2], torch.zeros_like(A)
    for row in range(A.shape[2]):
        a, g = A[:, :, row], G[:, :, row]
        for n in range(A.shape[3]):
            if first + row > 0:  # the others' weighted mean replaces it
                others = ((g * a).sum(-1) - g[..., n] * a[..., n]) / (1 - a[..., n] + torch.finfo(torch.float64).eps)
                found[:, :, row, n] = a[..., n] * (others - g[..., n])
            else:
                found[:, :, row, n] = -a[..., n] * g[..., n]
    return found


def moa_losses(A: Tensor, G: Tensor, BLK: int = 64) -> Tensor:
    cost = moa_influence(A, G).abs().mean(0)
    rows = torch.stack([piece.sum(1) for piece in pieces(cost, BLK, 1)], 1)
    return torch.stack([piece.sum(2) for piece in pieces(rows, BLK, 2)], 2)


CASES = (
    Case("moa_spans", {"h": 7}, draw={"alpha": reals("h", low=-900, high=900), "length": _length(1000)}, rows=False),
    Case("moa", SELF, SMALL, RULES, causal=True),
    Case("moa", CROSS, SMALL, RULES | {"length": _length(50)}, causal=True),
    Case("moa_blocks", SELF, {"BLK": 4}, RULES, causal=True),
    Case("moa_blocks", CROSS, {"BLK": 4}, RULES | {"length": _length(50)}, causal=True),
    Case("moa_influence", {"b": 2, "h": 2, "m": 17, "n": 17}, draw={"A": _weights}),
    Case("moa_losses", {"b": 2, "h": 2, "m": 19, "n": 19}, {"BLK": 4}, {"A": _weights}),
)
