"""A ReLU of a bilinear form with one frozen matrix a head."""

import torch

from tests.stdlib.cases import Case

Tensor = torch.Tensor
ONE = {"b": 3, "n": 21, "d": 7, "h": 5, "i": 8, "j": 8}


def relu_random_features(x0: Tensor, X: Tensor, W: Tensor, v: Tensor) -> Tensor:
    query = torch.nn.functional.pad(x0, (0, 1), value=1.0)
    keys = torch.nn.functional.pad(X, (0, 1), value=1.0)
    total = torch.zeros(x0.shape[0], dtype=x0.dtype)
    for head, vector in zip(W, v, strict=True):
        form = (keys @ (query @ head)[..., None])[..., 0]
        total = total + (form.clamp(min=0) * (keys @ vector)).mean(1)
    return total


CASES = (Case("relu_random_features", ONE, lengths=("n",), time=()),)
