"""QNeRF: attention to another image's keys, the norm that guides it, and the rendering of its queries."""

import torch

from tests.stdlib.cases import Case, normals, reals

Tensor = torch.Tensor
SHAPE = {"w": 2, "m": 33, "n": 33, "c": 8, "h": 3, "e": 8, "f": 12}
RAYS = {"sigma": reals("r", "i", high=2.0), "width": reals("r", "i")}


def qnerf_query_guidance(
    X: Tensor,
    WQ: Tensor,
    Ks: Tensor,
    Vs: Tensor,
    Qr: Tensor | None = None,
    hard: bool = False,
) -> dict[str, Tensor]:
    queries = torch.einsum("wmc,che->whme", X, WQ)
    used = Qr if hard and Qr is not None else queries
    return {"O": torch.softmax(used @ Ks.mT / Ks.shape[-1] ** 0.5, -1) @ Vs, "Q": queries}


def qnerf_guidance(Q: Tensor, Qr: Tensor) -> dict[str, Tensor]:
    with torch.enable_grad():
        leaf = Q if Q.requires_grad else Q.detach().requires_grad_()
        loss = sum(torch.linalg.vector_norm(gap, dim=(1, 2, 3)) for gap in (leaf - Qr).unbind(0))
        assert isinstance(loss, torch.Tensor)
        (slope,) = torch.autograd.grad(loss.sum(), [leaf], create_graph=Q.requires_grad)
    return {"G": loss if Q.requires_grad else loss.detach(), "dQ": slope}


def qnerf_rendering(sigma: Tensor, width: Tensor, q: Tensor) -> Tensor:
    rays = []
    for ray in range(sigma.shape[0]):
        left, seen = torch.ones((), dtype=torch.float64), torch.zeros_like(q[ray, 0])
        for s, d, here in zip(sigma[ray], width[ray], q[ray], strict=True):
            through = torch.exp(-s * d)
            seen, left = seen + left * (1 - through) * here, left * through
        rays.append(seen)
    return torch.stack(rays)


CASES = (
    Case("qnerf_query_guidance", SHAPE),
    Case("qnerf_query_guidance", SHAPE | {"n": 19}, {"hard": True}, {"Qr": normals("w", "h", "m", "e")}),
    Case("qnerf_guidance", {"l": 2, "w": 2, "h": 3, "m": 9, "e": 8}, lengths=()),
    Case("qnerf_rendering", {"r": 5, "i": 17, "c": 6}, draw=RAYS, lengths=()),
)
