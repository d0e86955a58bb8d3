"""Positional attention: weights once for a length, then a product for each input."""

import torch

from tests.stdlib.cases import Case

Tensor = torch.Tensor
SHAPE = {"b": 2, "n": 33, "d": 6, "p": 8, "j": 8, "h": 3, "f": 12}


def positional_attention(
    X: Tensor,
    Pe: Tensor,
    Wq: Tensor,
    Wk: Tensor,
    Wv: Tensor,
    bq: Tensor | None = None,
    bk: Tensor | None = None,
) -> Tensor:
    width, heads = Wq.shape[:2]
    outputs = []
    for head in range(heads):
        q = Pe @ Wq[:, head] + (0 if bq is None else bq[head])
        k = Pe @ Wk[:, head] + (0 if bk is None else bk[head])
        weights = torch.softmax(q @ k.T / width**0.5, -1)
        outputs.append(torch.stack([weights @ (x @ Wv[:, head]) for x in X]))
    return torch.stack(outputs, 2)


CASES = (
    Case("positional_attention", SHAPE, lengths=("n",)),
    Case("positional_attention", SHAPE | {"b": 1, "n": 57}, lengths=("n",)),
)
