"""Roll, attend in groups, roll back; sinks are put in beside."""

import torch

from tests.stdlib.attend import pieces, softmax_where
from tests.stdlib.cases import Case

Tensor = torch.Tensor
SELF = {"b": 2, "h": 4, "m": 32, "n": 32, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 36}


def sinklora(
    Q: Tensor,
    K: Tensor,
    V: Tensor,
    GROUPS: int = 4,
    SINK: int = 4,
    SHARE: float = 0.25,
    strict: bool = False,
) -> Tensor:
    heads, rows, keys = Q.shape[1], Q.shape[2], K.shape[2]
    size, order = keys // GROUPS, torch.arange(keys)
    causal = order[:, None] >= order
    seen = []
    for head in range(heads):
        rolled = order.roll(-(size // 2) if head >= heads * (1 - SHARE) else 0)
        inside = torch.zeros(keys, keys, dtype=torch.bool)
        for group in pieces(rolled, size, 0):
            inside[group[:, None], group] = torch.ones(size, size).tril() > 0
        sinks = (order < SINK) & causal
        seen.append(((inside & causal if strict else inside) | sinks)[keys - rows :])
    scores = torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5
    return softmax_where(scores, torch.stack(seen)) @ V


CASES = (  # tiny texts have no four groups
    Case("sinklora", SELF, {"SINK": 2}, lengths=()),
    Case("sinklora", SELF, {"SINK": 2, "strict": True}, causal=True, lengths=()),
    Case("sinklora", CROSS, {"SHARE": 0.5, "SINK": 0}, lengths=()),
    Case("sinklora", CROSS, {"SHARE": 0.5, "SINK": 3, "GROUPS": 3, "strict": True}, causal=True, lengths=()),
    Case("sinklora", SELF, {"SHARE": 0.5, "SINK": 1, "GROUPS": 1}),
)
