"""Codes of heads, head by head, and the heads that they tell."""

import torch

from tests.stdlib.cases import Case, Tensors, integers, normals

Tensor = torch.Tensor
SELF = {"b": 4, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12, "d": 10, "j": 20}
CODES = {"code": integers("x", "u", high=9)}


def circuit_nodes(code: Tensor, positive: Tensor, CODES: int = 200, normalised: bool = False) -> Tensors:
    scores = []
    for column in code.T:
        mine, other = set(column[positive].tolist()), set(column[~positive].tolist())
        scores.append(len(mine - other) / (len(mine | other) if normalised else 1))
    score = torch.tensor(scores, dtype=torch.float64)
    return {"score": score, "p": torch.softmax(score, 0)}


def sae_head_circuit_codes(
    Q: Tensor,
    K: Tensor,
    V: Tensor,
    WO: Tensor,
    We: Tensor,
    be: Tensor,
    c: Tensor | float = 0.0,
    FEATURES: int = 200,
) -> Tensors:
    scores = torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5
    ahead = torch.ones(scores.shape[-2:]).triu(scores.shape[-1] - scores.shape[-2] + 1) > 0
    outputs = torch.softmax(scores.masked_fill(ahead, -torch.inf), -1) @ V
    added = torch.einsum("bhmf,hfd->bhmd", outputs, WO).mean(2)
    return {"O": outputs, "R": added, "code": torch.relu((added - c) @ We.mT + be).argmax(-1)}


CASES = (
    Case("circuit_nodes", {"x": 12, "u": 7}, {"CODES": 9}, CODES, lengths=(), time=()),
    Case("circuit_nodes", {"x": 12, "u": 7}, {"CODES": 9, "normalised": True}, CODES, lengths=(), time=()),
    Case("sae_head_circuit_codes", SELF, {"FEATURES": 20}, causal=True),
    Case("sae_head_circuit_codes", SELF | {"m": 19, "n": 37}, {"FEATURES": 20}, {"c": normals("d")}, causal=True),
)
