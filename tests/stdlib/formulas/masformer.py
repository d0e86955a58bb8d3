"""Blocks and windows, pair by pair."""

import torch

from tests.stdlib.attend import attend, last, pairs
from tests.stdlib.cases import Case

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}


def masformer_blocks(Q: Tensor, K: Tensor, V: Tensor, full: bool = False, BLK: int = 1024) -> Tensor:
    blocks = pairs(last(Q, K), range(K.shape[2]), lambda m, n: n <= m and (full or m // BLK == n // BLK))
    return attend(Q, K, V, blocks)


def masformer_window(Q: Tensor, K: Tensor, V: Tensor, full: bool = False, W: int = 1024) -> Tensor:
    return attend(Q, K, V, pairs(last(Q, K), range(K.shape[2]), lambda m, n: n <= m and (full or m - n < W)))


CASES = (
    Case("masformer_blocks", SELF, {"BLK": 8}, causal=True),
    Case("masformer_blocks", CROSS, {"BLK": 5}, causal=True),
    Case("masformer_blocks", SELF, {"BLK": 8, "full": True}, causal=True),
    Case("masformer_window", SELF, {"W": 7}, causal=True),
    Case("masformer_window", CROSS, {"W": 7}, causal=True),
)
