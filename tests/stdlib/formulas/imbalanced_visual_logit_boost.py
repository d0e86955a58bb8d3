"""The boost of image tokens, and their selection by PyTorch's own quantiles."""

import torch

from tests.stdlib.cases import Case, Sizes, booleans, integers

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12, "t": 9}
CROSS = SELF | {"m": 1, "n": 37}
CHOSEN = {"salient": booleans("t"), "outlier": booleans("t"), "i0": integers(low=2, high=5)}


def imbalanced_visual_logit_boost(
    Q: Tensor,
    K: Tensor,
    V: Tensor,
    salient: Tensor,
    outlier: Tensor,
    i0: Tensor,
    alpha: float = 0.7,
    beta: float = 0.3,
) -> Tensor:
    rows, keys = Q.shape[2], K.shape[2]
    scores = Q @ K.mT / Q.shape[3] ** 0.5
    for patch in range(len(salient)):
        key = int(i0) + patch
        if rows and key < keys and (salient[patch] or outlier[patch]):
            last = scores[:, :, rows - 1, key]
            raised = last + (alpha if salient[patch] else beta) * last.abs()
            at = torch.zeros(scores.shape[-2:], dtype=torch.bool)
            at[rows - 1, key] = True
            scores = torch.where(at, raised[..., None, None], scores)
    ahead = torch.ones(rows, keys).triu(keys - rows + 1) > 0
    return torch.softmax(scores.masked_fill(ahead, -torch.inf), -1) @ V


def visual_tokens(First: Tensor, Late: Tensor, local: float = 0.25, spatial: float = 0.0) -> dict[str, Tensor]:
    patches = First.shape[1] - 1
    late = Late[:, 0, 1:].sum(0)
    low, high = torch.quantile(late, torch.tensor([0.25, 0.75]).double(), interpolation="linear")
    outlier = late > high + 1.5 * (high - low)
    salient = torch.zeros(patches, dtype=torch.bool)
    salient[First[:, 0, 1:].sum(0).topk(int(patches * local)).indices] = True
    salient[First[:, 1:, 1:].mean(0).sum(-1).topk(int(patches * spatial)).indices] = True
    return {"salient": salient & ~outlier, "outlier": outlier}


def _peaked(dice: torch.Generator, at: Sizes) -> Tensor:
    """Attention maps whose class token looks at a few patches far more than at others."""
    return torch.softmax(3 * torch.randn(at["h"], at["p"], at["q"], generator=dice, dtype=torch.float64), -1)


MAPS = {"First": _peaked, "Late": _peaked}
CASES = (
    Case("imbalanced_visual_logit_boost", SELF, draw=CHOSEN, lengths=("m", "n")),
    Case("imbalanced_visual_logit_boost", CROSS, {"alpha": 0.4}, CHOSEN, lengths=("m", "n")),
    Case("visual_tokens", {"h": 3, "p": 24, "q": 24}, draw=MAPS, lengths=()),
    Case(
        "visual_tokens", {"h": 3, "p": 24, "q": 24}, {"spatial": 0.2}, {"First": _peaked, "Late": _peaked}, lengths=()
    ),
)
