"""Maps of a source prompt given to a target, and a weight spread over an image by its map."""

import torch

from tests.stdlib.cases import Case, Tensors, booleans, integers, normals, reals

Tensor = torch.Tensor
PAIR = {"p": 2, "h": 3, "m": 19, "n": 37, "e": 8, "f": 12}
WORDS = {"p": 2, "h": 3, "m": 33, "w": 11, "k": 5, "e": 8, "f": 12}
LAYERS = {"p": 2, "l": 3, "h": 2, "m": 25, "n": 25, "e": 8}
ALIGNED = {"mapper": integers("w", high="w"), "align": reals("w"), "c": reals("w")}
YES, NO = {"inject": booleans(share=2.0)}, {"inject": booleans(share=-1.0)}


def weights(Q: Tensor, K: Tensor) -> Tensor:
    return torch.softmax(Q @ K.mT / Q.shape[-1] ** 0.5, -1)


def vima_self(Q: Tensor, K: Tensor, V: Tensor, inject: Tensor) -> Tensor:
    found = weights(Q, K)
    return (found[:1] if bool(inject) else found) @ V


def vima_cross(
    Q: Tensor,
    KT: Tensor,
    VT: Tensor,
    KI: Tensor,
    VI: Tensor,
    mapper: Tensor,
    align: Tensor,
    c: Tensor,
    inject: Tensor,
    ip: float = 0.4,
) -> Tensor:
    source, target = weights(Q, KT)
    moved = source[..., mapper] * align + target * (1 - align)
    words = torch.stack([source, moved * c + target * (1 - c)])
    images = weights(Q, KI)
    return words @ VT + ip * (images[:1] if bool(inject) else images) @ VI


def vima_ground(Q: Tensor, K: Tensor, word: Tensor, gamma: float = 0.5, R: int = 5) -> Tensor:
    mean = weights(Q, K).mean((1, 2))
    for _ in range(R):
        word = gamma * word + (1 - gamma) * torch.einsum("zqk,zk->zq", mean, word)
    return word


def vima_mask(x: Tensor, before: Tensor | float = 0.0, threshold: float = 0.5) -> Tensors:
    total = before + x
    low, high = total.amin(1, keepdim=True), total.amax(1, keepdim=True)
    return {"mask": (total - low) / (high - low) > threshold, "total": total}


CASES = (
    Case("vima_self", PAIR, draw=YES, name="injected"),
    Case("vima_self", PAIR, draw=NO, name="own"),
    Case("vima_cross", WORDS, draw=ALIGNED | YES, lengths=("m", "w", "k"), time=(), name="injected"),
    Case("vima_cross", WORDS, {"ip": 1.0}, ALIGNED | NO, lengths=("m", "w", "k"), time=()),
    Case("vima_ground", LAYERS, {"R": 3}, rows=False),
    Case("vima_mask", {"p": 2, "m": 49}, draw={"before": normals("p", "m")}, time=()),
    Case("vima_mask", {"p": 2, "m": 49}, {"threshold": 0.8}, time=()),
)
