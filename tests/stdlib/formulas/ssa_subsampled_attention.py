"""Draws by plain integers; what is not drawn is cut out of keys and values."""

import math

import torch

from tests.ir.test_interpret_random import number
from tests.stdlib.attend import attend, last, pairs
from tests.stdlib.cases import Case

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}


def _drawn(length: int, seed: Tensor, rho: int) -> list[int]:
    dice = [number((n,), int(seed)) for n in range(length)]
    return sorted(range(length), key=lambda n: (-dice[n], n))[: math.ceil(length / rho)]


def subsampled_attention(Q: Tensor, K: Tensor, V: Tensor, seed: Tensor, RHO: int = 4) -> Tensor:
    left = _drawn(K.shape[2], seed, RHO)
    keys, values = K[:, :, left], V[:, :, left]
    return attend(Q, keys, values, torch.ones(Q.shape[2], len(left), dtype=torch.bool))


def subsampled_causal(Q: Tensor, K: Tensor, V: Tensor, seed: Tensor, RHO: int = 4) -> Tensor:
    left = set(_drawn(K.shape[2], seed, RHO))
    seen = pairs(last(Q, K), range(K.shape[2]), lambda m, n: m == n or (n in left and n < m))
    return attend(Q, K, V, seen)


def subsampled_local(
    Q: Tensor, K: Tensor, V: Tensor, seed: Tensor, RHO: int = 4, W: int = 256, causal: bool = False
) -> Tensor:
    left = set(_drawn(K.shape[2], seed, RHO))

    def test(m: int, n: int) -> bool:
        near = 0 <= m - n < W if causal else 2 * abs(m - n) <= W
        return near and (n in left or n == m)

    return attend(Q, K, V, pairs(last(Q, K), range(K.shape[2]), test))


CASES = (
    Case("subsampled_attention", SELF),
    Case("subsampled_attention", CROSS, {"RHO": 8}),
    Case("subsampled_causal", SELF, causal=True),
    Case("subsampled_causal", CROSS, {"RHO": 2}, causal=True),
    Case("subsampled_local", SELF, {"W": 12}),
    Case("subsampled_local", CROSS, {"W": 12, "RHO": 2, "causal": True}, causal=True),
)
