"""Full and streaming heads, pair by pair; the gates' mix, loss and threshold."""

import torch

from tests.ir.test_interpret_random import number
from tests.stdlib.attend import attend, last, pairs, shared
from tests.stdlib.cases import Case, booleans, reals

Tensor = torch.Tensor
SELF = {"b": 2, "h": 4, "g": 2, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}
SMALL = {"SINK": 2, "RECENT": 5}
TOKENS = {"b": 2, "n": 17, "d": 8, "l": 3, "g": 4}


def duo(Q: Tensor, K: Tensor, V: Tensor, full: Tensor, SINK: int = 64, RECENT: int = 256) -> Tensor:
    rows, keys = last(Q, K), range(K.shape[2])
    causal = pairs(rows, keys, lambda m, n: n <= m)
    streaming = pairs(rows, keys, lambda m, n: n <= m and (m - n < RECENT or n < SINK))
    seen = torch.stack([causal if one else streaming for one in full.tolist()])
    return attend(Q, shared(K, Q.shape[1]), shared(V, Q.shape[1]), shared(seen[None], Q.shape[1]))


def duo_identify(
    QT: Tensor,
    KT: Tensor,
    VT: Tensor,
    Q: Tensor,
    K: Tensor,
    V: Tensor,
    alpha: Tensor,
    SINK: int = 128,
    RECENT: int = 256,
) -> Tensor:
    teacher = duo(QT, KT, VT, torch.ones_like(alpha, dtype=torch.bool)).detach()
    student = duo(Q, K, V, torch.zeros_like(alpha, dtype=torch.bool), SINK, RECENT)
    gate = alpha.clamp(0, 1).repeat_interleave(Q.shape[1] // K.shape[1])[:, None, None]
    return gate * teacher + (1 - gate) * student


def duo_loss(teacher: Tensor, student: Tensor, labelled: Tensor, alpha: Tensor, weight: float = 0.05) -> Tensor:
    count = labelled.sum()
    apart = (((teacher - student) ** 2).mean(-1) * labelled).sum() / count
    return apart + weight * alpha.abs().mean()


def duo_binarise(alpha: Tensor, seed: Tensor, sparsity: float = 0.5) -> Tensor:
    layers, heads = alpha.shape
    noise = [[number((layer, head), int(seed)) for head in range(heads)] for layer in range(layers)]
    noisy = alpha + 1e-6 * torch.tensor(noise, dtype=alpha.dtype)
    return noisy >= torch.quantile(noisy.flatten(), sparsity)


CASES = (
    Case("duo", SELF, SMALL, {"full": booleans("g")}, causal=True),
    Case("duo", CROSS, SMALL, {"full": booleans("g")}, causal=True),
    Case("duo", SELF | {"h": 2}, SMALL, {"full": booleans("g", share=0.0)}, causal=True, name="streaming"),
    Case("duo_identify", SELF, SMALL, {"alpha": reals("g", low=-0.2, high=1.2)}, causal=True),
    Case("duo_identify", CROSS, SMALL, {"alpha": reals("g")}, causal=True),
    Case("duo_loss", TOKENS),
    Case("duo_binarise", {"l": 3, "g": 4}),
    Case("duo_binarise", {"l": 5, "g": 2}, {"sparsity": 0.75}),
)
