"""A row of weights set by hand, an output taken from another run, and the score of a patch."""

import torch

from tests.stdlib.cases import Case, booleans, integers, reals

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}
SET = {"T": reals("b", "n"), "chosen": booleans("h", share=0.7)}
ANSWERS = {"right": integers("b", high="v"), "wrong": integers("b", high="v")}


def head_override(Q: Tensor, K: Tensor, V: Tensor, T: Tensor, chosen: Tensor) -> Tensor:
    scores = torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5
    ahead = torch.ones(scores.shape[-2:]).triu(scores.shape[-1] - scores.shape[-2] + 1) > 0
    plain = torch.softmax(scores.masked_fill(ahead, -torch.inf), -1) @ V
    last = torch.where(chosen[:, None], (T[:, None, None] @ V)[:, :, 0], plain[:, :, -1])
    return torch.cat([plain[:, :, :-1], last[:, :, None]], 2)


def path_patch(clean: Tensor, corrupted: Tensor, sender: Tensor, at: Tensor) -> Tensor:
    patched = clean.clone()
    patched[:, sender, int(at)] = corrupted[:, sender, int(at)]
    return patched


def patching_score(clean: Tensor, corrupted: Tensor, patched: Tensor, right: Tensor, wrong: Tensor) -> Tensor:
    rows = torch.arange(len(right))
    base, worst, found = ((x[rows, right] - x[rows, wrong]).mean() for x in (clean, corrupted, patched))
    return (found - base) / (worst - base)


CASES = (
    Case("head_override", SELF, draw=SET, time=("m",)),
    Case("head_override", CROSS, draw=SET, time=("m",)),
    Case("path_patch", SELF, draw={"at": integers(high="m")}),
    Case("patching_score", {"b": 6, "v": 50}, draw=ANSWERS, lengths=("b",), time=()),
)
