"""A cache that is filled and emptied token by token, with keys turned by their slots when they are read."""

import torch

from tests.stdlib.attend import attend, last, pairs, softmax_where
from tests.stdlib.cases import Case

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}
SMALL = {"SINK": 2, "W": 5}


def _turned(x: Tensor, places: Tensor, base: float) -> Tensor:
    half = x.shape[-1] // 2
    angle = places[:, None] * base ** (-torch.arange(half, dtype=x.dtype) / half)
    left, right = x[..., :half], x[..., half:]
    turn = torch.polar(torch.ones_like(angle), angle)
    both = torch.complex(left, right) * turn
    return torch.cat([both.real, both.imag], -1)


def rotary_softmax(Q: Tensor, K: Tensor, V: Tensor, base: float = 10000.0) -> Tensor:
    rows, keys = last(Q, K), range(K.shape[2])
    queries, turned = (_turned(x, torch.tensor(list(at), dtype=x.dtype), base) for x, at in ((Q, rows), (K, keys)))
    return attend(queries, turned, V, pairs(rows, keys, lambda m, n: n <= m))


def _cache(m: int, sink: int, window: int) -> list[int]:
    """The tokens that the cache holds once token m is in it, slot by slot."""
    held: list[int] = []
    for token in range(m + 1):
        if len(held) >= sink + window:
            held = held[:sink] + held[sink + 1 :]
        held.append(token)
    return held


def streaming_llm(Q: Tensor, K: Tensor, V: Tensor, SINK: int = 4, W: int = 512, base: float = 10000.0) -> Tensor:
    out = torch.zeros(*Q.shape[:3], V.shape[-1], dtype=Q.dtype)
    for row, m in enumerate(last(Q, K)):
        held = _cache(m, SINK, W)
        if held:
            slots = torch.arange(len(held), dtype=Q.dtype)
            query = _turned(Q[:, :, row : row + 1], slots[-1:], base)
            weights = (query @ _turned(K[:, :, held], slots, base).mT / Q.shape[-1] ** 0.5).softmax(-1)
            out[:, :, row] = (weights @ V[:, :, held])[:, :, 0]
    return out


def streaming_alibi(Q: Tensor, K: Tensor, V: Tensor, slope: Tensor, SINK: int = 4, W: int = 512) -> Tensor:
    out = torch.zeros(*Q.shape[:3], V.shape[-1], dtype=Q.dtype)
    for row, m in enumerate(last(Q, K)):
        held = _cache(m, SINK, W)
        if held:
            back = torch.arange(len(held) - 1, -1, -1, dtype=Q.dtype)
            scores = torch.einsum("zhd,zhkd->zhk", Q[:, :, row], K[:, :, held]) / Q.shape[-1] ** 0.5
            weights = (scores - slope[:, None] * back).softmax(-1)
            out[:, :, row] = torch.einsum("zhk,zhkd->zhd", weights, V[:, :, held])
    return out


def streaming_zero_sink(Q: Tensor, K: Tensor, V: Tensor, W: int = 512) -> Tensor:
    seen = pairs(last(Q, K), range(K.shape[2]), lambda m, n: 0 <= m - n < W)
    nothing = K.new_zeros(*K.shape[:2], 1, K.shape[3])
    scores = Q @ torch.cat([K, nothing], 2).mT / Q.shape[-1] ** 0.5
    weights = softmax_where(scores, torch.cat([seen, torch.ones(len(seen), 1, dtype=torch.bool)], 1))
    return weights[..., :-1] @ V


CASES = (
    Case("rotary_softmax", SELF, causal=True),
    Case("rotary_softmax", CROSS, {"base": 100.0}, causal=True),
    Case("streaming_llm", SELF, SMALL, causal=True),
    Case("streaming_llm", CROSS, SMALL | {"base": 100.0}, causal=True),
    Case("streaming_llm", SELF, {"SINK": 0, "W": 6}, causal=True),
    Case("streaming_alibi", SELF, SMALL, causal=True),
    Case("streaming_alibi", CROSS, SMALL, causal=True),
    Case("streaming_zero_sink", SELF, {"W": 6}, causal=True),
    Case("streaming_zero_sink", CROSS, {"W": 6}, causal=True),
)
