"""Softmax attention with dropout by Philox numbers, and over tiles that a table names."""

import numpy
import torch

from tests.stdlib.cases import Case, Tensors, booleans, integers

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}
TILES = CROSS | {"c": 2, "d": 6}
SEED = {"seed": integers(high=1 << 40)}
MULTIPLIERS, WEYL = (0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)


def philox(seed: int, counter: list[numpy.ndarray]) -> numpy.ndarray:
    """The first word of Philox-4x32-10 (Salmon et al., 2011)."""
    words, key, low = counter, [seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF], numpy.uint64(0xFFFFFFFF)
    for _ in range(10):
        left, right = words[0] * numpy.uint64(MULTIPLIERS[0]), words[2] * numpy.uint64(MULTIPLIERS[1])
        high = [(word >> numpy.uint64(32)) & low for word in (left, right)]
        first, third = high[1] ^ words[1] ^ numpy.uint64(key[0]), high[0] ^ words[3] ^ numpy.uint64(key[1])
        words = [first, right & low, third, left & low]
        key = [(k + w) & 0xFFFFFFFF for k, w in zip(key, WEYL, strict=True)]
    return words[0]


def flash(Q: Tensor, K: Tensor, V: Tensor, seed: Tensor | int = 0, p: float = 0.0, causal: bool = False) -> Tensors:
    scores = torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5
    if causal:
        ahead = torch.ones(scores.shape[-2:]).triu(scores.shape[-1] - scores.shape[-2] + 1) > 0
        scores = scores.masked_fill(ahead, -torch.inf)
    at = numpy.indices(tuple(scores.shape)).astype(numpy.uint64)
    at[2] += numpy.uint64(scores.shape[3] - scores.shape[2])
    drawn = torch.from_numpy((philox(int(seed), list(at)) >> numpy.uint64(8)).astype(numpy.float64)) / 2**24
    kept = torch.softmax(scores, -1) * (drawn >= p) / (1 - p)
    return {"O": kept @ V, "L": torch.logsumexp(scores, -1)}


def block_sparse_flash(Q: Tensor, K: Tensor, V: Tensor, keep: Tensor, BR: int = 64, BC: int = 64) -> Tensors:
    wide = keep.repeat_interleave(BR, 1)[:, : Q.shape[2]].repeat_interleave(BC, 2)[:, :, : K.shape[2]]
    scores = (Q @ K.mT / Q.shape[-1] ** 0.5).masked_fill(~wide, -torch.inf)
    some = wide.any(-1)[None, :, :, None]
    weights = torch.softmax(torch.where(some, scores, 0.0), -1)
    return {"O": torch.where(some, weights @ V, 0.0), "L": torch.logsumexp(scores, -1)}


CASES = (
    Case("flash", SELF),
    Case("flash", CROSS, {"p": 0.25}, SEED),
    Case("flash", SELF, {"p": 0.1, "causal": True}, SEED, causal=True),
    Case("flash", CROSS, {"causal": True}, causal=True),
    Case("block_sparse_flash", TILES, {"BR": 16, "BC": 8}, {"keep": booleans("h", "c", "d", share=0.4)}),
)
