"""Score and mask callables as users of FlexAttention write them, with what they capture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import and_masks, noop_mask, or_masks

BATCH, HEADS, LENGTH, SIDE = 2, 4, 36, 6
Rule = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """A pair of callables, and the real tensors they capture, by which gradients are asked for too."""

    score: Rule | None = None
    mask: Rule | None = None
    captured: tuple[Tensor, ...] = ()
    same: Rule | None = None  # the same score in a form that PyTorch's vmap differentiates


def draws(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# ---- scores ------------------------------------------------------------------------------------


def identity(score: Tensor, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
    return score


def relative(score: Tensor, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
    return score + (q_idx - kv_idx)


def alibi(score: Tensor, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
    scale = torch.exp2(-((h + 1) * 8.0 / HEADS))
    bias = (kv_idx - q_idx) * scale
    return score + bias


def captured_alibi() -> Case:
    slopes = draws(HEADS)

    def score(score: Tensor, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        return score - slopes[h] * (q_idx - kv_idx).abs()

    return Case(score, captured=(slopes,))


def relative_table() -> Case:
    table = draws(HEADS, 2 * LENGTH)

    def score(score: Tensor, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        return score + table[h, q_idx - kv_idx]  # negative positions count from the end

    return Case(score, captured=(table,))


def whole_bias() -> Case:
    bias = draws(BATCH, HEADS, LENGTH, LENGTH)

    def score(score: Tensor, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        return score + bias[b, h, q_idx, kv_idx]

    return Case(score, captured=(bias,))


def longer_table() -> Case:
    table = draws(2 * LENGTH)

    def score(score: Tensor, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        return score + table[kv_idx] - table[q_idx]

    return Case(score, captured=(table,))


def rows_then_columns() -> Case:
    bias = draws(3, LENGTH, LENGTH)

    def score(score: Tensor, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        row = bias[1][q_idx]
        return score + row[kv_idx] * bias[-1][q_idx, kv_idx]

    def same(score: Tensor, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        return score + bias[1][q_idx, kv_idx] * bias[-1][q_idx, kv_idx]

    return Case(score, captured=(bias,), same=same)


def softcap(score: Tensor, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor, cap: float) -> Tensor:
    return cap * torch.tanh(score / cap)


def learned_temperature() -> Case:
    tau, head_bias = draws(), draws(HEADS)

    def score(score: Tensor, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        return score * tau.exp() + head_bias[h]

    return Case(score, captured=(tau, head_bias))


def trigonometric(score: Tensor, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
    return torch.cos(score) * torch.sin(score) + torch.tan(score * 0.1) + (q_idx / 7).sin()


def causal_by_score(score: Tensor, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
    return torch.where(q_idx >= kv_idx, score * 2, -float("inf"))


def buckets() -> Case:
    table = draws(8, HEADS)

    def score(score: Tensor, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        distance = torch.clamp(q_idx - kv_idx, min=0)
        far = 4 + (torch.log(distance.clamp(min=1).float() / 4) * 1.5).to(torch.int64)
        return score + table[torch.where(distance < 4, distance, torch.minimum(far, far.new_full((), 7))), h]

    return Case(score, captured=(table,))


def squared_distance(score: Tensor, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
    distance = torch.abs(q_idx - kv_idx)
    return torch.where(distance % 2 == 0, score - 0.01 * distance**2, score + torch.sqrt(distance.float()))


# ---- masks -------------------------------------------------------------------------------------


def causal(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
    return q_idx >= kv_idx


def sliding_window(window: int) -> Rule:
    def mask(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        return (q_idx >= kv_idx) & (q_idx - kv_idx <= window)

    return mask


def prefix_lm() -> Rule:
    lengths = torch.tensor([5, 20], dtype=torch.int32)

    def prefix(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        return kv_idx < lengths[b]

    return or_masks(prefix, causal)


def documents() -> Rule:
    document = torch.arange(LENGTH) // 10

    def mask(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        return document[q_idx] == document[kv_idx]

    return mask


def neighbourhood(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
    return (q_idx - kv_idx).abs() <= 3


def neighbourhood_2d(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
    q_x, q_y = q_idx // SIDE, q_idx % SIDE
    kv_x, kv_y = kv_idx // SIDE, kv_idx % SIDE
    centre_x, centre_y = q_x.clamp(1, SIDE - 2), q_y.clamp(1, SIDE - 2)
    return ((centre_x - kv_x).abs() <= 1) & ((centre_y - kv_y).abs() <= 1)


def head_offsets() -> Rule:
    offset = torch.tensor([0, 3, 7, -2])

    def mask(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        return kv_idx <= q_idx + offset[h]

    return mask


def permuted() -> Rule:
    logical = torch.randperm(LENGTH, generator=torch.Generator().manual_seed(3))

    def mask(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        return causal(b, h, logical[q_idx], logical[kv_idx])

    return mask


def modulo(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
    return ((q_idx - kv_idx) % (h + 2) == 0) & torch.logical_not(kv_idx > q_idx)


def table_of_booleans() -> Rule:
    seen = draws(BATCH, LENGTH, LENGTH) > 0

    def mask(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        return seen[b, q_idx, kv_idx]

    return mask


class Padding:
    """A callable object: the first keys of each sequence exist."""

    def __init__(self, *lengths: int) -> None:
        self.lengths = torch.tensor(lengths)

    def __call__(self, b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        return kv_idx < self.lengths[b]


CASES: dict[str, Case] = {
    "identity": Case(identity),
    "nothing": Case(mask=noop_mask),
    "causal": Case(mask=causal),
    "relative": Case(relative),
    "alibi": Case(alibi, causal),
    "captured alibi": captured_alibi(),
    "relative table": relative_table(),
    "whole bias": whole_bias(),
    "longer table": longer_table(),
    "rows then columns": rows_then_columns(),
    "softcap": Case(partial(softcap, cap=20.0), causal),
    "temperature": learned_temperature(),
    "trigonometric": Case(trigonometric),
    "causal by score": Case(causal_by_score),
    "buckets": buckets(),
    "squared distance": Case(squared_distance, causal),
    "window": Case(mask=sliding_window(5)),
    "prefix": Case(mask=prefix_lm()),
    "documents": Case(mask=documents()),
    "causal documents": Case(alibi, and_masks(causal, documents())),
    "neighbourhood": Case(mask=neighbourhood),
    "neighbourhood 2d": Case(mask=neighbourhood_2d),
    "head offsets": Case(mask=head_offsets()),
    "permuted": Case(mask=permuted()),
    "modulo": Case(mask=modulo),
    "booleans": Case(mask=table_of_booleans()),
    "padding": Case(mask=and_masks(Padding(0, 30), or_masks(sliding_window(2), noop_mask))),
}
