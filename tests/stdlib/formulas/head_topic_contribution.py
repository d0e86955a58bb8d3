"""What heads write, by products of whole tensors, and a coefficient of correlation."""

import torch

from tests.stdlib.cases import Case, Tensors, integers, reals

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12, "d": 10}
CROSS = SELF | {"m": 19, "n": 37}
TOPIC = {"at": integers("b", high=12)}


def topic_correlation(c: Tensor, P: Tensor) -> Tensor:
    product = ((c - c.mean(0)) * (P - P.mean(0))).mean(0)
    return product / (c.std(0, correction=1) * P.std(0, correction=1))


def head_topic_contribution(
    Q: Tensor, K: Tensor, V: Tensor, WO: Tensor, u: Tensor, at: Tensor, s: Tensor | float = 1.0
) -> Tensors:
    scores = torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5
    ahead = torch.ones(scores.shape[-2:]).triu(scores.shape[-1] - scores.shape[-2] + 1) > 0
    maps = torch.softmax(scores.masked_fill(ahead, -torch.inf), -1)
    written = torch.einsum("bhmf,hfd->bhmd", maps @ V, WO)
    weighted = maps * V.norm(dim=-1)[:, :, None]
    rows = torch.stack([own[..., place] for own, place in zip(weighted, at, strict=True)])
    scale = torch.as_tensor(s, dtype=Q.dtype).reshape(-1, 1, 1)
    toward = (written * u[:, None, None]).sum(-1)
    return {"O": maps @ V, "out": (written * scale).sum(1), "c": toward, "P": rows}


CASES = (
    Case("topic_correlation", {"b": 9, "h": 4}, lengths=(), time=()),
    Case("head_topic_contribution", SELF, draw=TOPIC, causal=True, lengths=()),
    Case("head_topic_contribution", CROSS, draw=TOPIC | {"s": reals("h")}, causal=True, lengths=()),
)
