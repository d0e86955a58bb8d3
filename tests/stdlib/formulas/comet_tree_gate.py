"""Trees of splits from their roots down, and Sinkhorn's normalisations."""

import torch

from tests.stdlib.cases import Case, Tensors, reals

Tensor = torch.Tensor
TREES = {"b": 9, "d": 5, "k": 2, "i": 10, "l": 11, "j": 11, "c": 7}
SOFT = {"PM": reals("k", "l", "j")}


def smooth_step(t: Tensor, gm: float) -> Tensor:
    middle = -2 / gm**3 * t**3 + 3 / (2 * gm) * t + 0.5
    return torch.where(t <= -gm / 2, 0.0, torch.where(t >= gm / 2, 1.0, middle))


def leaves(splits: Tensor, node: int, reach: Tensor) -> list[Tensor]:
    """How far the leaves below a node are reached, from left to right."""
    if node >= splits.shape[1]:
        return [reach]
    left = leaves(splits, 2 * node + 1, reach * splits[:, node])
    return left + leaves(splits, 2 * node + 2, reach * (1 - splits[:, node]))


def comet(
    x: Tensor, WS: Tensor, bS: Tensor, WL: Tensor, bL: Tensor, PM: Tensor, FX: Tensor, gm: float = 1.0
) -> Tensors:
    splits = smooth_step(torch.einsum("zd,idk->zik", x, WS) + bS, gm)
    reach = torch.stack(leaves(splits, 0, torch.ones_like(splits[:, 0])), 1)
    logits = torch.einsum("zd,ldk->zlk", x, WL) + bL + torch.log(reach + 1e-8)
    logits = torch.where(reach > 0, logits, -torch.inf)
    joint = torch.softmax(logits.flatten(1), 1).reshape(logits.shape)
    gate = torch.einsum("zlk,klj->zj", joint, PM)
    gate = gate / gate.sum(1, keepdim=True)
    return {"y": (gate[..., None] * FX).sum(1), "gate": gate}


def sinkhorn(Z: Tensor, steps: int = 20) -> Tensor:
    weights = torch.exp(Z)
    for _ in range(steps):
        weights = weights / weights.sum(2, keepdim=True)
        weights = weights / weights.sum(1, keepdim=True)
    return weights


CASES = (
    Case("comet", TREES, {"gm": 4.0}, SOFT, lengths=("b",), time=()),
    Case("comet", TREES | {"i": 3, "l": 4, "j": 4}, draw=SOFT, lengths=("b",), time=(), name="four"),
    Case("sinkhorn", {"k": 2, "i": 9, "j": 9}, {"steps": 6}, lengths=("i", "j"), time=()),
)
