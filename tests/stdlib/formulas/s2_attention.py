"""Block masks as tables, one head after another."""

import torch

from tests.stdlib.attend import last, pairs, shared, softmax_where
from tests.stdlib.cases import Case

Tensor = torch.Tensor
SELF = {"b": 2, "h": 4, "g": 2, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}
SMALL = {"BS": 2, "LB": 2, "VS": 5}


def _with_sums(Q: Tensor, K: Tensor, V: Tensor, seen: Tensor) -> dict[str, Tensor]:
    keys, values = shared(K, Q.shape[1]), shared(V, Q.shape[1])
    scores = torch.einsum("zhqd,zhkd->zhqk", Q, keys) / Q.shape[-1] ** 0.5
    hidden = scores.masked_fill(~seen, -torch.inf)
    return {"O": softmax_where(scores, seen) @ values, "L": torch.logsumexp(hidden, -1)}


def s2_attention(
    Q: Tensor, K: Tensor, V: Tensor, BS: int = 64, LB: int = 16, VS: int = 8, ND: int = 0, OFF: int = 0
) -> dict[str, Tensor]:
    heads, groups = Q.shape[1], K.shape[1]
    step = max(1, VS // heads)
    kept = []
    for head in range(heads):
        group = head // (heads // groups)
        dense = group >= groups - ND
        columns = [dense or (block + group * step + OFF) % VS == 0 for block in range(K.shape[2] // BS + 1)]

        def test(m: int, n: int, columns: list[bool] = columns) -> bool:
            return n <= m and (columns[n // BS] or m // BS - n // BS < LB)

        kept.append(pairs(last(Q, K), range(K.shape[2]), test))
    return _with_sums(Q, K, V, torch.stack(kept))


def s2_relative(
    Q: Tensor, K: Tensor, V: Tensor, BS: int = 64, LEFT: int = 8, RIGHT: int = 8, VS: int = 8
) -> dict[str, Tensor]:
    def test(m: int, n: int) -> bool:
        back = m // BS - n // BS
        past = back - LEFT + 1 if back >= LEFT else -back - RIGHT + 1 if -back >= RIGHT else 0
        return past % VS == 0

    return _with_sums(Q, K, V, pairs(last(Q, K), range(K.shape[2]), test))


def s2_merge(O: Tensor, L: Tensor) -> Tensor:
    shares = (L - torch.logsumexp(L, 0)).exp()
    return (shares[..., None] * O).sum(0)


CASES = (
    Case("s2_attention", SELF, SMALL, causal=True),
    Case("s2_attention", CROSS, SMALL | {"OFF": 3, "ND": 1}, causal=True),
    Case("s2_attention", SELF | {"h": 3, "g": 3}, {"BS": 4, "LB": 1, "VS": 9}, causal=True),
    Case("s2_relative", SELF, {"BS": 2, "LEFT": 2, "RIGHT": 1, "VS": 3}),
    Case("s2_relative", CROSS, {"BS": 3, "LEFT": 1, "RIGHT": 2, "VS": 2}),
    Case("s2_merge", {"p": 3, "b": 2, "h": 2, "m": 17, "f": 12}),
)
