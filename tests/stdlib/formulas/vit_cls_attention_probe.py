"""The class token's row of the map."""

import torch

from tests.stdlib.cases import Case, Tensors

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}


def vit_cls_attention_probe(Q: Tensor, K: Tensor, V: Tensor) -> Tensors:
    maps = torch.softmax(torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5, -1)
    patches = maps[:, :, 0, 1:]
    shares = patches / patches.sum(-1, keepdim=True)
    focus = -(shares * shares.log()).sum(-1)
    return {"O": maps @ V, "ATT": patches, "focus": focus}


CASES = (
    Case("vit_cls_attention_probe", SELF),
    Case("vit_cls_attention_probe", SELF | {"m": 1, "n": 37}),
)
