"""Where rows look back to and keys are looked at from, pair by pair, and heads ranked by span."""

import torch

from tests.stdlib.cases import Case, Tensors, integers

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}
START = {"start": integers("b", low=3, high=25)}
NEAR = {"W": 4, "H1": 2, "H2": 7}


def causal_map(Q: Tensor, K: Tensor) -> Tensor:
    scores = torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5
    ahead = torch.ones(scores.shape[-2:]).triu(scores.shape[-1] - scores.shape[-2] + 1) > 0
    return torch.softmax(scores.masked_fill(ahead, -torch.inf), -1)


def rhythm_heads(span: Tensor, share: float = 0.3) -> Tensors:
    ranked, count = span.argsort().tolist(), max(1, int(share * len(span)))
    chosen = {"local": ranked[:count], "wide": ranked[len(ranked) - count :]}
    return {name: torch.tensor([h in heads for h in range(len(span))]) for name, heads in chosen.items()}


def waad_fai(
    Q: Tensor, K: Tensor, V: Tensor, start: Tensor | int = 0, W: int = 10, H1: int = 10, H2: int = 50
) -> Tensors:
    maps, first = causal_map(Q, K), K.shape[2] - Q.shape[2]
    t = first + torch.arange(Q.shape[2])
    back = (t[:, None] - torch.arange(K.shape[2])).to(Q.dtype)
    starts = torch.as_tensor(start).expand(Q.shape[0]).tolist()
    span, fai = [], []
    for weights, begin in zip(maps, starts, strict=True):
        spans = (weights * back).sum(-1)[:, t >= begin]
        span.append(spans.mean(-1) if spans.shape[1] else torch.zeros(Q.shape[1], dtype=Q.dtype))
        columns = []
        for s in range(K.shape[2]):
            behind = weights.detach()[:, (t >= begin) & (t >= s + H1) & (t <= s + H2), s]
            columns.append(behind.mean(-1) if behind.shape[1] else torch.zeros(Q.shape[1], dtype=Q.dtype))
        fai.append(torch.stack(columns, -1) if columns else weights.new_zeros(Q.shape[1], 0))
    waad = (maps * back.clamp(max=W)).sum(-1)
    return {"O": maps @ V, "WAAD": waad, "span": torch.stack(span), "FAI": torch.stack(fai)}


CASES = (
    Case("rhythm_heads", {"h": 10}, lengths=(), time=()),
    Case("rhythm_heads", {"h": 2}, {"share": 0.1}, lengths=(), time=(), name="few"),
    Case("waad_fai", SELF, draw=START),
    Case("waad_fai", CROSS, NEAR),
)
