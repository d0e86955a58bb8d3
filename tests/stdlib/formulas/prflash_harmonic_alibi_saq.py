"""Harmonic numbers summed up one by one, blocks drawn one by one, a cache that is written segment after segment."""

import torch

from tests.ir.test_interpret_random import number
from tests.stdlib.attend import attend, last, pairs, pieces, softmax_where
from tests.stdlib.cases import Case, Sizes, reals

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}
STEPS = {"SEG": 8, "GROUP": 4}


def _law(dice: torch.Generator, at: Sizes) -> Tensor:
    return 0.8 ** torch.arange(at["d"], dtype=torch.float64)


def _turned(x: Tensor, places: range, base: float) -> Tensor:
    half = x.shape[-1] // 2
    out = torch.empty_like(x)
    for row, place in enumerate(places):
        for i in range(half):
            angle = torch.tensor(place * base ** (-i / half), dtype=x.dtype)
            one, two = x[..., row, i], x[..., row, i + half]
            out[..., row, i] = one * angle.cos() - two * angle.sin()
            out[..., row, i + half] = two * angle.cos() + one * angle.sin()
    return out


def harmonic_alibi(Q: Tensor, K: Tensor, V: Tensor, slope: Tensor, base: float = 10000.0) -> Tensor:
    rows, keys = last(Q, K), range(K.shape[2])
    table = [sum((1 / t for t in range(1, d + 1)), 0.0) for d in range(len(keys) + 1)]
    far = torch.tensor([[table[max(m - n, 0)] for n in keys] for m in rows], dtype=Q.dtype)
    scores = _turned(Q, rows, base) @ _turned(K, keys, base).mT / Q.shape[-1] ** 0.5
    far = far.reshape(len(rows), len(keys))
    return softmax_where(scores - slope[:, None, None] * far, pairs(rows, keys, lambda m, n: n <= m)) @ V


def probabilistic_blocks(Q: Tensor, K: Tensor, V: Tensor, p: Tensor, seed: Tensor, BLK: int = 64) -> Tensor:
    law = p.tolist()

    def test(m: int, n: int) -> bool:
        i, j = m // BLK, n // BLK
        return n <= m and (i == j or (i - j < len(law) and number((i, j), int(seed)) < law[i - j]))

    return attend(Q, K, V, pairs(last(Q, K), range(K.shape[2]), test))


def _rounded(x: Tensor, bits: int, axis: int, group: int) -> Tensor:
    """Groups along an axis, each to 2 ** bits levels between its ends."""
    if bits >= 16:
        return x
    done = []
    for piece in pieces(x, group, axis):
        low, high = piece.amin(axis, keepdim=True), piece.amax(axis, keepdim=True)
        step = (high - low) / (2**bits - 1)
        done.append(low + torch.where(step > 0, ((piece - low) / step).round() * step, 0.0))
    return torch.cat(done, axis)


def staircase_cache(
    Q: Tensor,
    K: Tensor,
    V: Tensor,
    SEG: int = 128,
    GROUP: int = 32,
    FIRST: int = 8,
    SECOND: int = 4,
    REST: int = 2,
) -> Tensor:
    segments: list[tuple[Tensor, Tensor, int]] = []
    for start in range(0, K.shape[2] - SEG + 1, SEG):  # every full segment pushes the older ones down a step
        segments.append((K[:, :, start : start + SEG], V[:, :, start : start + SEG], 0))
        for place, (key, value, step) in enumerate(segments):
            if step < 3:
                bits = (FIRST, SECOND, REST)[step]
                segments[place] = (_rounded(key, bits, 2, GROUP), _rounded(value, bits, 3, GROUP), step + 1)
    done = len(segments) * SEG
    keys = torch.cat([*(key for key, _, _ in segments), K[:, :, done:]], 2)
    values = torch.cat([*(value for _, value, _ in segments), V[:, :, done:]], 2)
    return attend(Q, keys, values, pairs(last(Q, K), range(K.shape[2]), lambda m, n: n <= m))


CASES = (
    Case("harmonic_alibi", SELF, causal=True),
    Case("harmonic_alibi", CROSS, draw={"slope": reals("h", low=0.5, high=2.0)}, causal=True),
    Case("probabilistic_blocks", SELF | {"d": 9}, {"BLK": 4}, {"p": _law}, causal=True),
    Case("probabilistic_blocks", CROSS | {"d": 4}, {"BLK": 4}, {"p": _law}, causal=True),
    Case("staircase_cache", SELF, STEPS),
    Case("staircase_cache", CROSS, STEPS | {"SEG": 4}),
)
