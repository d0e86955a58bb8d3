"""Weights at pairs of positions, read off the whole map, and the model of three numbers."""

import torch

from tests.stdlib.cases import Case, Tensors, integers, reals

Tensor = torch.Tensor
PAIRS = {"b": 2, "h": 3, "m": 33, "n": 33, "i": 16, "e": 8, "f": 12}
LABELS = {"label": integers("b", "i", high=4), "wanted": integers("b", high=4)}
REDUCED = {"item": integers("b", "i", high=3), "label": integers("b", "i", high=6), "wanted": integers("b", high=3)}
STRENGTHS = {"beta1": reals(low=1.0, high=4.0), "beta2": reals(low=1.0, high=4.0), "xi": reals(low=1.0, high=4.0)}


def induction_reduced(
    item: Tensor, label: Tensor, wanted: Tensor, beta1: Tensor, beta2: Tensor, xi: Tensor, CLASSES: int = 8
) -> Tensor:
    count = item.shape[1]
    logits = []
    for row in range(len(item)):
        mixed = []
        for place in range(1, 2 * count, 2):
            scores = torch.cat([torch.zeros(place - 1), beta1.reshape(1), torch.zeros(1)])
            weights = torch.softmax(scores, 0)
            own = [weights[2 * j] for j in range(count) if 2 * j <= place and item[row, j] == wanted[row]]
            mixed.append(sum(own, torch.zeros((), dtype=torch.float64)))
        shares = torch.softmax(beta2 * torch.stack(mixed), 0)
        found = torch.zeros(CLASSES, dtype=torch.float64).index_add(0, label[row].clamp(0, CLASSES - 1), shares)
        logits.append(xi * found)
    return torch.stack(logits)


def induction_head_progress(Q: Tensor, K: Tensor, V: Tensor, label: Tensor, wanted: Tensor) -> Tensors:
    scores = torch.einsum("zhqd,zhkd->zhqk", Q, K)
    maps = torch.softmax(scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1) > 0, -torch.inf), -1)
    count, last = label.shape[1], maps[:, :, -1]
    copies = (label == wanted[:, None]).to(Q.dtype)
    many = copies.sum(-1).clamp(min=1)[:, None]
    before = [maps[:, :, 2 * i + 1, 2 * i] for i in range(count)]
    return {
        "O": maps @ V,
        "ILA": torch.stack(before, -1).mean(-1) if count else torch.zeros_like(last[..., 0]),
        "TILA": (last[..., 1::2] * copies[:, None]).sum(-1) / many,
        "TIIA": (last[..., 0:-1:2] * copies[:, None]).sum(-1) / many,
        "TLA": last[..., 1::2].sum(-1),
    }


CASES = (
    Case("induction_reduced", {"b": 2, "i": 9}, draw=REDUCED | STRENGTHS, lengths=(), time=()),
    Case("induction_head_progress", PAIRS, draw=LABELS, causal=True, lengths=(), time=("m", "n")),
    Case("induction_head_progress", PAIRS | {"m": 1, "n": 1, "i": 0}, draw=LABELS, lengths=(), name="none"),
)
