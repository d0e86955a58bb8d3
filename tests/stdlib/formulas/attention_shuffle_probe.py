"""Rows of weights dealt anew, heads left out, and weights on tokens of interest."""

import torch

from tests.stdlib.cases import Case, Sizes, Tensors, reals

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}


def dealt(dice: torch.Generator, at: Sizes) -> Tensor:
    """For each row a permutation of the keys that it sees, and the others in their places."""
    rows = torch.arange(at["n"]).repeat(at["m"], 1)
    for m in range(at["m"]):
        seen = max(0, at["n"] - at["m"] + m + 1)
        rows[m, :seen] = torch.randperm(seen, generator=dice)
    return rows


def causal_map(Q: Tensor, K: Tensor) -> Tensor:
    scores = torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5
    ahead = torch.ones(scores.shape[-2:]).triu(scores.shape[-1] - scores.shape[-2] + 1) > 0
    return torch.softmax(scores.masked_fill(ahead, -torch.inf), -1)


def head_shuffle(Q: Tensor, K: Tensor, V: Tensor, perm: Tensor, shuffled: Tensor) -> Tensor:
    maps = causal_map(Q, K)
    moved = maps.gather(-1, perm.expand(maps.shape))
    return torch.where(shuffled[:, None, None], moved, maps) @ V


def attention_shuffle_probe(
    Q: Tensor, K: Tensor, V: Tensor, interest: Tensor, keep: Tensor | float = 1.0, drop: bool = False
) -> Tensors:
    maps = causal_map(Q, K)
    outputs = maps @ V * torch.as_tensor(keep, dtype=Q.dtype).reshape(-1, 1, 1)
    if drop:
        rest = maps[..., 1:]
        total = rest.sum(-1, keepdim=True)
        maps = torch.cat([torch.zeros_like(maps[..., :1]), rest / torch.where(total == 0, 1.0, total)], -1)
    return {"O": outputs, "score": (maps * interest[:, None, None]).sum(-1)}


CASES = (
    Case("head_shuffle", SELF, draw={"perm": dealt}, causal=False),
    Case("head_shuffle", CROSS, draw={"perm": dealt}),
    Case("attention_shuffle_probe", SELF, causal=True),
    Case("attention_shuffle_probe", CROSS, {"drop": True}, {"keep": reals("h")}, causal=True),
)
