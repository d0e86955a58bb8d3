"""Philox-4x32-10 (Salmon et al., 2011) at given coordinates, as uniform numbers in [0, 1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from attnc.ir.interpret.context import Context
from attnc.ir.interpret.value import Array, Value, common, merged, union

_WORD = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


def uniform(coords: Sequence[Value], seed: Value, context: Context) -> Value:
    """uniform[coords](seed): the first word of the block at these coordinates, its top 24 bits."""
    dims = merged(seed.dims, *(coord.dims for coord in coords))
    words = [coord.array.over(dims) & _WORD for coord in coords]
    zero = torch.zeros((), dtype=torch.int64, device=context.device)
    counter = common(*words, *[zero] * (4 - len(words)), seed.array.over(dims))[:4]
    key = seed.array.over(dims)
    word = philox(counter, (key & _WORD, (key >> 32) & _WORD))
    return Value(Array((word >> 8).to(context.dtype) * 2.0**-24, dims), union(seed, *coords))


def philox(counter: Sequence[torch.Tensor], key: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """The first 32-bit word of Philox-4x32-10, in an int64 tensor."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        high0, low0 = _wide(_MULTIPLIERS[0], c0)
        high1, low1 = _wide(_MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + _WEYL[0]) & _WORD, (k1 + _WEYL[1]) & _WORD
    return c0


def _wide(a: int, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The high and the low word of a 32 x 32 bit product, by halves so that int64 suffices."""
    low, high = b & 0xFFFF, b >> 16
    first, second = a * low, a * high
    middle = (first >> 16) + (second & 0xFFFF)
    return (second >> 16) + (middle >> 16), ((middle & 0xFFFF) << 16) | (first & 0xFFFF)
