"""Swin3D's attention, one pair of voxels at a time."""

import math

import torch

from tests.stdlib.cases import Case, integers, reals

Tensor = torch.Tensor
SHAPE = {"h": 2, "n": 14, "e": 4, "f": 4, "x": 3, "a": 3, "l": 24, "s": 32}
OPTIONS = {"WIN": 3, "quant": 4}
VOXELS = {
    "voxel": integers("n", "x", high=5),
    "place": reals("n", "x", high=3.0),
    "color": reals("n", "a", low=-1.0),
}


def _row(here: Tensor, there: Tensor, rows: int) -> int:
    value = float(here - there) + rows / 2
    return math.trunc(min(max(value, 0.0), rows - 1e-10))


def swin3d_crse_attention(
    Q: Tensor,
    K: Tensor,
    V: Tensor,
    voxel: Tensor,
    place: Tensor,
    color: Tensor,
    TQ: Tensor,
    TK: Tensor,
    TV: Tensor,
    CQ: Tensor,
    CK: Tensor,
    CV: Tensor,
    WIN: int = 5,
    shift: int = 0,
    quant: int = 4,
    SIGNALS: int = 3,
) -> Tensor:
    windows = torch.div(voxel + shift, WIN, rounding_mode="floor")
    scale = Q.shape[2] ** -0.5
    rows = []
    for m in range(Q.shape[1]):
        scores, values = [], []
        for n in range(Q.shape[1]):
            if not torch.equal(windows[m], windows[n]):
                continue
            at = [_row(place[m, x] * quant, place[n, x] * quant, TQ.shape[1]) for x in range(3)]
            of = [_row(color[m, a] * 2 * quant, color[n, a] * 2 * quant, CQ.shape[1]) for a in range(SIGNALS)]
            bq, bk, bv = (
                sum(T[x, i] for x, i in enumerate(at)) + sum(C[a, i] for a, i in enumerate(of))
                for T, C in ((TQ, CQ), (TK, CK), (TV, CV))
            )
            q = Q[:, m] * scale
            scores.append((q * K[:, n] + q * bq + K[:, n] * bk).sum(-1))
            values.append(V[:, n] + bv)
        weights = torch.softmax(torch.stack(scores), 0)
        rows.append((weights[..., None] * torch.stack(values)).sum(0))
    return torch.stack(rows, 1)


CASES = (
    Case("swin3d_crse_attention", SHAPE, OPTIONS, VOXELS, lengths=()),
    Case("swin3d_crse_attention", SHAPE | {"s": 16, "l": 12}, {"WIN": 3, "quant": 2, "shift": 1}, VOXELS, lengths=()),
)
