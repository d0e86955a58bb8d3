"""Pointer networks, one output row at a time."""

import torch

from tests.stdlib.cases import Case, integers

Tensor = torch.Tensor
SHAPE = {"b": 2, "m": 19, "n": 37, "d": 8, "a": 12}


def _scores(Enc: Tensor, Dec: Tensor, W1: Tensor, W2: Tensor, v: Tensor) -> Tensor:
    rows = [torch.tanh(Enc @ W1 + (row @ W2)[:, None]) @ v for row in Dec.unbind(1)]
    return torch.stack(rows, 1)


def pointer_network(Enc: Tensor, Dec: Tensor, W1: Tensor, W2: Tensor, v: Tensor) -> Tensor:
    return torch.softmax(_scores(Enc, Dec, W1, W2, v), 2)


def pointer_context(Enc: Tensor, Dec: Tensor, W1: Tensor, W2: Tensor, v: Tensor) -> Tensor:
    return torch.bmm(pointer_network(Enc, Dec, W1, W2, v), Enc)


def pointer_loss(Enc: Tensor, Dec: Tensor, W1: Tensor, W2: Tensor, v: Tensor, target: Tensor) -> Tensor:
    logs = torch.log_softmax(_scores(Enc, Dec, W1, W2, v), 2)
    found = -logs.gather(2, target.clamp_min(0)[..., None])[..., 0]
    return torch.where(target >= 0, found, 0.0)


def pointer_tour(U: Tensor) -> dict[str, Tensor]:
    weights, choices = torch.zeros_like(U), torch.full(U.shape[:2], -1)
    for one, batch in enumerate(U):
        left = list(range(U.shape[2]))
        for row, scores in enumerate(batch):
            if left:
                weights[one, row, left] = torch.softmax(scores[left], 0)
                choices[one, row] = left.pop(int(scores[left].argmax()))
    return {"P": weights, "choice": choices}


CASES = (
    Case("pointer_network", SHAPE),
    Case("pointer_network", SHAPE | {"m": 37}),
    Case("pointer_context", SHAPE),
    Case("pointer_loss", SHAPE, draw={"target": integers("b", "m", low=-1, high="n")}, lengths=("m",)),
    Case("pointer_tour", {"b": 2, "m": 9, "n": 12}, causal=True, time=("m",)),
    Case("pointer_tour", {"b": 2, "m": 12, "n": 9}),
)
