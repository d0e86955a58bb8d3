"""Weight on sinks handed to the other tokens of an image, row by row."""

import torch

from tests.stdlib.cases import Case, integers

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12, "d": 10, "j": 2}
CROSS = SELF | {"m": 19, "n": 37}
IMAGE = {"dims": integers("j", high="d"), "begin": integers(low=3, high=6), "count": integers(low=9, high=14)}
EASY = {"tau": 1.5, "rho": 0.5}


def redistributed(A: Tensor, sink: Tensor, image: Tensor, p: float) -> Tensor:
    budget = (1 - p) * (A[sink & image].sum() + A[sink & ~image].sum())
    others = A * (image & ~sink)
    return torch.where(sink, p * A, A + budget * others / others.sum())


def visual_redistribution(
    Q: Tensor,
    K: Tensor,
    V: Tensor,
    X: Tensor,
    dims: Tensor,
    begin: Tensor,
    count: Tensor,
    tau: float = 20.0,
    rho: float = 0.5,
    least: float = 0.2,
    p: float = 0.6,
) -> Tensor:
    phi = X[..., dims].abs().amax(-1) / torch.sqrt((X**2).mean(-1) + 1e-6)
    places, first = torch.arange(K.shape[2]), K.shape[2] - Q.shape[2]
    image = (places >= begin) & (places < begin + count)
    outputs = torch.zeros(*Q.shape[:3], V.shape[-1], dtype=Q.dtype)
    for b, h, m in torch.ones(Q.shape[:3]).nonzero().tolist():
        seen = slice(0, first + m + 1)
        A = torch.softmax(K[b, h, seen] @ Q[b, h, m] / Q.shape[-1] ** 0.5, 0)
        sink, inside = (phi[b] > tau)[seen], image[seen]
        portion = A[sink & inside].sum() / (A[inside].sum() + 1e-6 * count)
        after = first + m >= begin + count and bool((sink & inside).any())
        if after and portion <= rho and A[inside].sum() >= least:
            A = redistributed(A, sink, inside, p)
        outputs[b, h, m] = A @ V[b, h, seen]
    return outputs


CASES = (
    Case("visual_redistribution", SELF, EASY, IMAGE, causal=True),
    Case("visual_redistribution", CROSS, EASY | {"p": 0.3, "rho": 0.7}, IMAGE, causal=True),
)
