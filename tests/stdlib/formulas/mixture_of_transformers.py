"""Tokens one by one through the weights of their kind."""

import torch

from tests.stdlib.cases import Case, integers

Tensor = torch.Tensor
SHAPE = {"b": 2, "n": 33, "d": 8, "u": 3, "h": 2, "e": 4, "f": 6, "c": 8}


def _norm(x: Tensor, gain: Tensor, eps: float) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + eps).sqrt() * gain


def mixture_of_transformers(
    X: Tensor,
    kind: Tensor,
    image: Tensor,
    WQ: Tensor,
    WK: Tensor,
    WV: Tensor,
    WO: Tensor,
    gain_q: Tensor,
    gain_k: Tensor,
    gain_o: Tensor,
    eps: float = 1e-5,
) -> Tensor:
    samples = []
    for tokens, kinds, images in zip(X, kind.tolist(), image.tolist(), strict=True):
        typed = list(zip(tokens, kinds, strict=True))
        queries = [_norm(torch.einsum("d,dhe->he", x, WQ[k]), gain_q[k], eps) for x, k in typed]
        keys = torch.stack([_norm(torch.einsum("d,dhe->he", x, WK[k]), gain_k[k], eps) for x, k in typed])
        values = torch.stack([torch.einsum("d,dhf->hf", x, WV[k]) for x, k in typed])
        rows = []
        for m, (x, k) in enumerate(typed):
            seen = [n for n in range(len(typed)) if n <= m or (images[m] >= 0 and images[m] == images[n])]
            weights = (torch.einsum("he,nhe->hn", queries[m], keys[seen]) / keys.shape[-1] ** 0.5).softmax(-1)
            mixed = torch.einsum("hn,nhf->hf", weights, values[seen])
            rows.append(x + _norm(torch.einsum("hf,chf->c", mixed, WO[k]), gain_o[k], eps))
        samples.append(torch.stack(rows))
    return torch.stack(samples)


KINDS = {"kind": integers("b", "n", high="u")}
CASES = (
    Case(
        "mixture_of_transformers",
        SHAPE,
        draw=KINDS | {"image": integers("b", "n", low=-1, high=0)},
        causal=True,
        time=("m", "n"),
    ),
    Case("mixture_of_transformers", SHAPE, draw=KINDS | {"image": integers("b", "n", low=-1, high=3)}, name="images"),
    Case("mixture_of_transformers", SHAPE, draw={"kind": integers("b", "n", high=1)}, name="dense"),
)
