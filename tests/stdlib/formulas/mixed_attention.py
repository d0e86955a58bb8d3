"""Two attentions: templates among themselves, the search region over everything; convolutions by PyTorch's own."""

import torch
from torch.nn.functional import conv2d

from tests.stdlib.cases import Case, integers, reals

Tensor = torch.Tensor
JOINT = {"b": 2, "h": 3, "m": 33, "n": 37, "e": 8, "f": 12}
GRIDS = {"b": 2, "i": 4, "j": 3, "y": 6, "x": 5, "d": 6, "u": 3, "w": 3, "h": 2, "e": 4, "f": 5, "c": 6}


def _plain(Q: Tensor, K: Tensor, V: Tensor, scale: Tensor | float) -> Tensor:
    if not K.shape[2]:
        return Q.new_zeros(*Q.shape[:3], V.shape[-1])
    return torch.softmax(scale * (Q @ K.mT), -1) @ V


def mixed_attention(
    Q: Tensor,
    K: Tensor,
    V: Tensor,
    TQ: Tensor | int,
    TK: Tensor | int,
    scale: Tensor | float | None = None,
    symmetric: bool = False,
) -> Tensor:
    by = Q.shape[-1] ** -0.5 if scale is None else scale
    queries, keys = int(TQ), int(TK)
    if symmetric:
        return _plain(Q, K, V, by)
    templates = _plain(Q[:, :, :queries], K[:, :, :keys], V[:, :, :keys], by)
    return torch.cat([templates, _plain(Q[:, :, queries:], K, V, by)], 2)


def mixed_frame(Q: Tensor, KT: Tensor, VT: Tensor, K: Tensor, V: Tensor, scale: Tensor | float | None = None) -> Tensor:
    """The search rows of the joint call."""
    keys, values = torch.cat([KT, K], 2), torch.cat([VT, V], 2)
    return mixed_attention(Q, keys, values, 0, KT.shape[2], scale)


def mixformer_cvt(
    T0: Tensor,
    T1: Tensor,
    T2: Tensor,
    WQ: Tensor,
    WK: Tensor,
    WV: Tensor,
    WO: Tensor,
    bias: Tensor,
    symmetric: bool = False,
    **conv: Tensor,
) -> Tensor:
    def tokens(of: str, step: int) -> Tensor:
        kernel, gain, shift = conv[f"k{of}"], conv[f"gain_{of}"], conv[f"bias_{of}"]
        found = []
        for grid in (T0, T1, T2):
            image = conv2d(grid.permute(0, 3, 1, 2), kernel[:, None], stride=step, padding=1, groups=len(kernel))
            found.append(image.permute(0, 2, 3, 1).flatten(1, 2) * gain + shift)
        return torch.cat(found, 1)

    parts = (("q", 1, WQ), ("k", 2, WK), ("v", 2, WV))
    Q, K, V = (torch.einsum("ztd,dhe->zhte", tokens(of, step), weight) for of, step, weight in parts)
    joint, high, wide = 2 * T0[0, :, :, 0].numel(), -(-T0.shape[1] // 2), -(-T0.shape[2] // 2)
    width = (WQ.shape[1] * WQ.shape[2]) ** -0.5
    out = mixed_attention(Q, K, V, joint, 2 * high * wide, width, symmetric)
    return torch.einsum("zhtf,chf->ztc", out, WO) + bias


SPLIT = {"TQ": integers(low=5, high=20), "TK": integers(low=5, high=20)}
CASES = (
    Case("mixed_attention", JOINT, draw=SPLIT, lengths=("h",)),
    Case("mixed_attention", JOINT, draw=SPLIT | {"scale": reals(low=0.1)}, lengths=("h",)),
    Case("mixed_attention", JOINT, {"symmetric": True}, SPLIT),
    Case("mixed_frame", JOINT | {"m": 17, "n": 17, "j": 20}),
    Case("mixed_frame", JOINT | {"j": 7}, draw={"scale": reals(low=0.1)}),
    Case("mixformer_cvt", GRIDS, lengths=("y",)),
    Case("mixformer_cvt", GRIDS | {"i": 3, "y": 5, "x": 4}, {"symmetric": True}, lengths=("x",)),
)
