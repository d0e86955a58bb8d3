"""Overlaps of the maps of concepts, pair by pair."""

import torch

from tests.stdlib.cases import Case, Tensors, integers, reals

Tensor = torch.Tensor
WORDS = {"b": 2, "l": 2, "h": 3, "m": 33, "n": 21, "e": 8, "f": 12, "c": 3}
CONCEPTS = {"concept": integers("c", high="n")}


def overlap(a: Tensor, b: Tensor) -> Tensor:
    return torch.minimum(a, b).sum(1) / (a + b).sum(1)


def concept_losses(X: Tensor, W: Tensor, CONCEPTS: int = 2) -> Tensors:
    apart = [overlap(X[..., i], X[..., j]) for i in range(CONCEPTS) for j in range(i)]
    kept = [1 - overlap(X[..., i], W[..., i].detach()) for i in range(CONCEPTS)]
    return {"Lseg": torch.stack(apart).sum(0), "Lret": torch.stack(kept).sum(0)}


def attention_segregation_retention(
    Q: Tensor, K: Tensor, V: Tensor, concept: Tensor, was: Tensor, share: float = 0.5, CONCEPTS: int = 2
) -> Tensors:
    maps = torch.softmax(torch.einsum("blhme,blhne->blhmn", Q, K) / Q.shape[-1] ** 0.5, -1)
    X = maps[..., concept].mean((1, 2))
    losses = concept_losses(X, was.to(X.dtype), CONCEPTS)
    top = X.amax(1, keepdim=True) if X.shape[1] else X.sum(1, keepdim=True)
    return {"O": maps @ V, "loss": losses["Lseg"] + losses["Lret"], "X": X, "high": share * top < X}


CASES = (
    Case(
        "concept_losses",
        {"b": 2, "m": 33, "c": 3},
        {"CONCEPTS": 3},
        {"X": reals("b", "m", "c", low=0.1), "W": reals("b", "m", "c")},
        time=(),
    ),
    Case("attention_segregation_retention", WORDS, {"CONCEPTS": 3}, CONCEPTS, lengths=("m",), time=()),
    Case("attention_segregation_retention", WORDS | {"c": 2}, {"share": 0.8}, CONCEPTS, lengths=("m",), time=()),
)
