"""Rings of distance on a grid of patches, entropies, and what a model's probabilities say of a head."""

import torch

from tests.stdlib.cases import Case, Tensors, integers, reals

Tensor = torch.Tensor
GRID = {"b": 2, "h": 3, "m": 31, "n": 31, "e": 8, "f": 12}
PROBABILITIES = {"P": reals("b", "c", low=0.1), "P0": reals("b", "c", low=0.1), "y": integers("b", high="c")}


def head_importance(P: Tensor, P0: Tensor, y: Tensor) -> Tensors:
    rows = torch.arange(len(y))
    middle = (P + P0) / 2
    gain = (P * (P / middle).log()).sum(-1) + (P0 * (P0 / middle).log()).sum(-1)
    return {"drop": P[rows, y] - P0[rows, y], "divergence": gain / 2, "flip": P.argmax(-1) != P0.argmax(-1)}


def vit_head_importance_probe(
    Q: Tensor, K: Tensor, V: Tensor, keep: Tensor | float = 1.0, W: int = 14, RINGS: int = 14
) -> Tensors:
    maps = torch.softmax(torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5, -1)
    rings = torch.zeros(*maps.shape[:3], RINGS, dtype=Q.dtype)
    for m in range(1, Q.shape[2]):
        for n in range(1, K.shape[2]):
            hops = max(abs((m - 1) // W - (n - 1) // W), abs((m - 1) % W - (n - 1) % W))
            if hops < RINGS:
                rings[:, :, m, hops] = rings[:, :, m, hops] + maps[:, :, m, n]
    patches = rings[:, :, 1:]
    profile = patches.mean(2) if patches.shape[2] else torch.zeros(*maps.shape[:2], RINGS, dtype=Q.dtype)
    scale = torch.as_tensor(keep, dtype=Q.dtype).reshape(-1, 1, 1)
    entropy = -torch.where(maps > 0, maps * maps.log(), 0.0).sum(-1)
    return {"O": maps @ V * scale, "ring": rings, "entropy": entropy, "profile": profile}


CASES = (
    Case("head_importance", {"b": 9, "c": 5}, draw=PROBABILITIES, lengths=("b",), time=()),
    Case("vit_head_importance_probe", GRID, {"W": 6, "RINGS": 6}),
    Case("vit_head_importance_probe", GRID | {"m": 19}, {"W": 5, "RINGS": 3}, {"keep": reals("h")}),
)
