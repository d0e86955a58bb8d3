"""MQSA-TED as released: scores of padding are a large negative constant, rows of padding are zero at the end."""

import torch

from tests.stdlib.cases import Case, booleans

Tensor = torch.Tensor
SHAPE = {"b": 2, "n": 23, "d": 8, "h": 3, "e": 8, "f": 12}
VALID = {"valid": booleans("b", "n", share=0.8)}


def l_query_mean(x: Tensor, valid: Tensor, L: int = 1) -> Tensor:
    rows = []
    for n in range(x.shape[1]):
        window = slice(max(0, n - L + 1), n + 1)
        rows.append(x[:, window].sum(1) / (valid[:, window].sum(1, keepdim=True) + 1e-24))
    return torch.stack(rows, 1) if rows else x


def l_query_logits(short: Tensor, long: Tensor, item: Tensor, alpha: Tensor | float = 0.5) -> Tensor:
    return alpha * (short @ item.T) + (1 - alpha) * (long @ item.T)


def l_query_attention(
    x: Tensor,
    valid: Tensor,
    Wq: Tensor,
    Wk: Tensor,
    Wv: Tensor,
    bq: Tensor | float = 0.0,
    bk: Tensor | float = 0.0,
    bv: Tensor | float = 0.0,
    gain: Tensor | float = 1.0,
    shift: Tensor | float = 0.0,
    L: int = 1,
) -> Tensor:
    xa = l_query_mean(x, valid, L)
    centred = xa - xa.mean(-1, keepdim=True)
    y = centred * (centred.square().mean(-1, keepdim=True) + 1e-24).rsqrt() * gain + shift
    q, k, v = (torch.einsum("znd,dhe->zhne", t, W) for t, W in ((y, Wq), (x, Wk), (x, Wv)))
    q, k, v = (t + (b[:, None] if isinstance(b, torch.Tensor) else b) for t, b in ((q, bq), (k, bk), (v, bv)))
    scores = q @ k.mT / q.shape[-1] ** 0.5
    fill = torch.tensor(-(2.0**32) + 1, dtype=scores.dtype)
    scores = torch.where(valid[:, None, None], scores, fill)
    scores = torch.where(torch.ones(scores.shape[-2:], dtype=torch.bool).tril(), scores, fill)
    return torch.softmax(scores, -1) @ v * valid[:, None, :, None]


CASES = (
    Case("l_query_mean", SHAPE, {"L": 5}, VALID, lengths=("n",), causal=True),
    Case("l_query_logits", {"b": 2, "n": 13, "d": 8, "i": 17}, lengths=("n",)),
    Case("l_query_attention", SHAPE, draw=VALID, lengths=("n",), causal=True),
    Case("l_query_attention", SHAPE, {"L": 5}, VALID, lengths=("n",), causal=True),
)
