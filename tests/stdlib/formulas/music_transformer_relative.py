"""Relative attention of the Music Transformer by the skewing of its paper."""

import torch

from tests.stdlib.cases import Case

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12, "r": 40}
CROSS = SELF | {"m": 19, "n": 37, "r": 11}


def _skewed(Q: Tensor, ER: Tensor, keys: int) -> Tensor:
    """Entry (m, n) is row m times the vector of distance m - n; above the diagonal it is garbage.

    All `keys` rows are there, those before the given ones as zeros.
    """
    batch, heads, rows, _ = Q.shape
    table = torch.cat([ER.new_zeros(heads, max(0, keys - ER.shape[1]), ER.shape[2]), ER], 1)[:, -keys:]
    every = torch.cat([Q.new_zeros(batch, heads, keys - rows, Q.shape[3]), Q], 2)
    products = torch.einsum("zhqd,hrd->zhqr", every, table)
    padded = torch.cat([products.new_zeros(batch, heads, keys, 1), products], 3)
    return padded.reshape(batch, heads, keys + 1, keys)[:, :, 1:][:, :, keys - rows :]


def music_transformer(Q: Tensor, K: Tensor, V: Tensor, ER: Tensor) -> Tensor:
    return music_transformer_local(Q, K, V, ER, BLOCK=K.shape[2] + 1)


def music_transformer_local(Q: Tensor, K: Tensor, V: Tensor, ER: Tensor, BLOCK: int = 512) -> Tensor:
    rows, keys = Q.shape[2], K.shape[2]
    scores = (torch.einsum("zhqd,zhkd->zhqk", Q, K) + _skewed(Q, ER, keys)) / Q.shape[3] ** 0.5
    q, k = torch.arange(keys - rows, keys)[:, None], torch.arange(keys)
    seen = (k <= q) & (q.div(BLOCK, rounding_mode="floor") - k.div(BLOCK, rounding_mode="floor") <= 1)
    return torch.softmax(scores.masked_fill(~seen, -torch.inf), -1) @ V


CASES = (
    Case("music_transformer", SELF, causal=True),
    Case("music_transformer", CROSS, causal=True),
    Case("music_transformer_local", SELF, {"BLOCK": 8}, causal=True),
    Case("music_transformer_local", CROSS, {"BLOCK": 5}, causal=True),
)
