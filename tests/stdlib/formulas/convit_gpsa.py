"""A mixture of a map from content and one from offsets on a grid."""

import torch

from tests.stdlib.cases import Case, normals

Tensor = torch.Tensor
GRID = {"b": 2, "h": 4, "m": 36, "n": 36, "e": 8, "f": 12, "r": 3}
SIX = {"G": 6}
LEARNED = {"lam": normals("h")}


def offsets(side: int) -> tuple[Tensor, Tensor]:
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    at = torch.stack([x.flatten(), y.flatten()]).double()
    dx, dy = at[:, None, :] - at[:, :, None]
    return dx, dy


def mixture(Q: Tensor, K: Tensor, Wp: Tensor, cp: Tensor, lam: Tensor | None, side: int) -> Tensor:
    dx, dy = offsets(side)
    features = torch.stack([dx, dy, dx**2 + dy**2]).to(Q.dtype)
    places = torch.softmax(torch.einsum("rh,rqk->hqk", Wp, features) + cp[:, None, None], -1)
    content = torch.softmax(Q @ K.mT / Q.shape[-1] ** 0.5, -1)
    gate = torch.sigmoid(torch.ones_like(cp) if lam is None else lam)[:, None, None]
    mixed = (1 - gate) * content + gate * places
    return mixed / mixed.sum(-1, keepdim=True)


def gpsa(Q: Tensor, K: Tensor, V: Tensor, Wp: Tensor, cp: Tensor, lam: Tensor | None = None, G: int = 14) -> Tensor:
    return mixture(Q, K, Wp, cp, lam, G) @ V


def gpsa_reach(Q: Tensor, K: Tensor, Wp: Tensor, cp: Tensor, lam: Tensor | None = None, G: int = 14) -> Tensor:
    return (mixture(Q, K, Wp, cp, lam, G) * torch.hypot(*offsets(G))).sum(-1).mean((0, 2))


CASES = (
    Case("gpsa", GRID, SIX, lengths=()),
    Case("gpsa", GRID, SIX, LEARNED, lengths=(), name="learned"),
    Case("gpsa_reach", GRID, SIX, LEARNED, lengths=()),
)
