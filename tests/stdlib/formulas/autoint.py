"""AutoInt, one head at a time, heads concatenated."""

import torch

from tests.stdlib.cases import Case

Tensor = torch.Tensor
SHAPE = {"b": 2, "n": 23, "d": 8, "h": 2, "e": 8, "f": 12, "c": 24}


def _heads(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """q, k, v: one tensor for each head, [batch, fields, width]."""
    outputs = [
        torch.softmax(a @ b.mT * scale, -1) @ c for a, b, c in zip(q.unbind(2), k.unbind(2), v.unbind(2), strict=True)
    ]
    return torch.cat(outputs, -1)


def autoint(X: Tensor, Wq: Tensor, Wk: Tensor, Wv: Tensor, Wr: Tensor) -> Tensor:
    q, k, v = (torch.einsum("zfd,dhe->zfhe", X, W) for W in (Wq, Wk, Wv))
    return torch.relu(_heads(q, k, v, 1.0) + X @ Wr)


def autoint_released(
    X: Tensor,
    Wq: Tensor,
    Wk: Tensor,
    Wv: Tensor,
    Wr: Tensor,
    bq: Tensor | float = 0.0,
    bk: Tensor | float = 0.0,
    bv: Tensor | float = 0.0,
    br: Tensor | float = 0.0,
    gain: Tensor | float = 1.0,
    shift: Tensor | float = 0.0,
) -> Tensor:
    q, k, v = (torch.relu(torch.einsum("zfd,dhe->zfhe", X, W) + b) for W, b in ((Wq, bq), (Wk, bk), (Wv, bv)))
    out = torch.relu(_heads(q, k, v, Wq.shape[-1] ** -0.5) + torch.relu(X @ Wr + br))
    centred = out - out.mean(-1, keepdim=True)
    return gain * centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-8).sqrt() + shift


CASES = (
    Case("autoint", SHAPE, lengths=("n",)),
    Case("autoint_released", SHAPE, lengths=("n",)),
)
