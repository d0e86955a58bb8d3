"""Attention between channels, and filters made for each pixel."""

import torch
from torch.nn import functional

from tests.stdlib.cases import Case

Tensor = torch.Tensor
CHANNELS = {"b": 2, "h": 3, "n": 45, "i": 8, "j": 8}
IMAGE = {"b": 2, "c": 6, "y": 9, "x": 8, "r": 4, "p": 7, "q": 7, "g": 2}


def sparse_gsa(Q: Tensor, K: Tensor, V: Tensor, t: Tensor) -> Tensor:
    q, k = (functional.normalize(x.mT, dim=-1, eps=1e-12) for x in (Q, K))
    weights = torch.relu(q @ k.mT * t[:, None, None])
    return (weights @ V.mT).mT


def dynamic_local(Z: Tensor, C1: Tensor, b1: Tensor, D: Tensor, b2: Tensor, C2: Tensor, b3: Tensor) -> Tensor:
    side, groups = D.shape[1], b3.shape[0]
    narrow = functional.conv2d(Z, C1[:, :, None, None], b1)
    local = functional.conv2d(narrow, D[:, None], b2, padding=side // 2, groups=D.shape[0])
    filters = torch.einsum("gpqr,zryx->zgpqyx", C2, local) + b3[..., None, None]
    patches = functional.unfold(Z, side, padding=side // 2)
    patches = patches.reshape(Z.shape[0], groups, -1, side, side, *Z.shape[2:])
    return torch.einsum("zgpqyx,zgcpqyx->zgcyx", filters, patches).reshape(Z.shape)


CASES = (
    Case("sparse_gsa", CHANNELS, lengths=("n",), time=()),
    Case("dynamic_local", IMAGE, lengths=("y", "x"), time=()),
)
