"""Block by block: windows cut from a padded map, tables read for each query and key."""

import torch
from torch.nn.functional import pad

from tests.stdlib.attend import softmax_where
from tests.stdlib.cases import Case

Tensor = torch.Tensor
MAP = {"b": 2, "h": 2, "y": 8, "x": 12, "e": 8, "f": 12, "r": 13, "s": 13}
SMALL = {"BLK": 4, "HALO": 1}
MAP_SMALL = MAP | {"r": 11, "s": 11}


def halo(
    Q: Tensor,
    K: Tensor,
    V: Tensor,
    RH: Tensor,
    RW: Tensor,
    BLK: int = 8,
    HALO: int = 3,
    masked: bool = False,
    scale_all: bool = False,
) -> Tensor:
    high, wide = Q.shape[2:4]
    window, scale = BLK + 2 * HALO, Q.shape[-1] ** -0.5
    keys, values = (pad(x, (0, 0, HALO, HALO, HALO, HALO)) for x in (K, V))
    real = pad(torch.ones(high, wide, dtype=torch.bool), (HALO, HALO, HALO, HALO))
    out = torch.zeros(*Q.shape[:4], V.shape[-1], dtype=Q.dtype)
    for top in range(0, high, BLK):
        for left in range(0, wide, BLK):
            cut = (slice(top, top + window), slice(left, left + window))
            near, worth = (x[:, :, cut[0], cut[1]].flatten(2, 3) for x in (keys, values))
            seen = real[cut].flatten() if masked else torch.ones(window * window, dtype=torch.bool)
            for i in range(BLK):
                for j in range(BLK):
                    query = Q[:, :, top + i, left + j]
                    rows = torch.stack([query @ RH[u - i + window - 1] for u in range(window)], -1)
                    columns = torch.stack([query @ RW[w - j + window - 1] for w in range(window)], -1)
                    place = (rows[..., :, None] + columns[..., None, :]).flatten(2)
                    content = torch.einsum("zhd,zhkd->zhk", query, near) * scale
                    weights = softmax_where(content + place * (scale if scale_all else 1.0), seen)
                    out[:, :, top + i, left + j] = torch.einsum("zhk,zhkd->zhd", weights, worth)
    return out


def halo_sequence(Q: Tensor, K: Tensor, V: Tensor, BLK: int = 8, HALO: int = 3, masked: bool = False) -> Tensor:
    keys, values = (pad(x, (0, 0, HALO, HALO)) for x in (K, V))
    real = pad(torch.ones(Q.shape[2], dtype=torch.bool), (HALO, HALO))
    out = torch.zeros(*Q.shape[:3], V.shape[-1], dtype=Q.dtype)
    for start in range(0, Q.shape[2], BLK):
        cut = slice(start, start + BLK + 2 * HALO)
        scores = Q[:, :, start : start + BLK] @ keys[:, :, cut].mT / Q.shape[-1] ** 0.5
        seen = real[cut] | (not masked)
        out[:, :, start : start + BLK] = softmax_where(scores, seen) @ values[:, :, cut]
    return out


CASES = (
    Case("halo", MAP_SMALL, SMALL, lengths=("y", "x")),
    Case("halo", MAP_SMALL, SMALL | {"masked": True, "scale_all": True}, lengths=("y", "x")),
    Case("halo_sequence", {"b": 2, "h": 3, "m": 32, "e": 8, "f": 12}, {"BLK": 4}),
    Case("halo_sequence", {"b": 2, "h": 3, "m": 35, "e": 8, "f": 12}, {"BLK": 5, "masked": True}),
)
