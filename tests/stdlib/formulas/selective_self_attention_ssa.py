"""Selective self-attention, a row at a time."""

import torch

from tests.stdlib.cases import Case, normals

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}
LEARNED = {"al": normals(), "bt": normals()}


def _rows(Q: Tensor, K: Tensor, V: Tensor, heat: Tensor, causal: bool) -> Tensor:
    """heat: a factor for each row, or for each row of each batch element."""
    first = K.shape[2] - Q.shape[2]
    heat = heat.expand(Q.shape[0], Q.shape[2])
    rows = []
    for row in range(Q.shape[2]):
        seen = max(0, first + row + 1) if causal else K.shape[2]
        scores = (K[:, :, :seen] * Q[:, :, row, None]).sum(-1) * heat[:, row, None, None] / Q.shape[3] ** 0.5
        rows.append((torch.softmax(scores, -1)[..., None] * V[:, :, :seen]).sum(2))
    return torch.stack(rows, 2)


def _counts(rows: int, keys: int) -> Tensor:
    """How many tokens each row sees."""
    return torch.arange(keys - rows + 1, keys + 1, dtype=torch.float64)


def ssa(
    Q: Tensor,
    K: Tensor,
    V: Tensor,
    fq: Tensor,
    fv: Tensor,
    al: Tensor,
    causal: bool = True,
    values_by_position: bool = True,
) -> Tensor:
    share = 1 / (1 + torch.exp(-al))
    heat = torch.tanh(fq) + 1 + share * _counts(Q.shape[2], K.shape[2]).log()
    scale = torch.tanh(fv) + 1
    if values_by_position:
        scale = scale + share * _counts(K.shape[2], K.shape[2]).log()
    return _rows(Q, K, scale[:, None, :, None] * V, heat, causal)


def ssa_position(Q: Tensor, K: Tensor, V: Tensor, bt: Tensor | float = 2.0, plain: bool = False) -> Tensor:
    bt = torch.as_tensor(bt, dtype=torch.float64)
    slope = bt if plain else torch.exp(-torch.exp(bt))
    return _rows(Q, K, V, 1 + slope * _counts(Q.shape[2], K.shape[2]).log(), True)


CASES = (
    Case("ssa", SELF, draw={"al": LEARNED["al"]}, causal=True),
    Case("ssa", CROSS, {"values_by_position": False}, {"al": LEARNED["al"]}, causal=True),
    Case("ssa", SELF, {"causal": False}, {"al": LEARNED["al"]}),
    Case("ssa_position", SELF, causal=True),
    Case("ssa_position", CROSS, {"plain": True}, {"bt": LEARNED["bt"]}, causal=True),
)
