"""CRATE: one subspace at a time; a step of ISTA by matrices."""

import torch

from tests.stdlib.cases import Case

Tensor = torch.Tensor
SHAPE = {"b": 2, "h": 3, "n": 33, "d": 8, "e": 8, "c": 8}


def crate_attention(W: Tensor, causal: bool = False) -> Tensor:
    return torch.nn.functional.scaled_dot_product_attention(W, W, W, is_causal=causal) if W.numel() else W


def crate_mssa(
    Z: Tensor,
    U: Tensor,
    Wo: Tensor,
    gain: Tensor | float = 1.0,
    shift: Tensor | float = 0.0,
    causal: bool = False,
) -> Tensor:
    centred = Z - Z.mean(-1, keepdim=True)
    tokens = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * gain + shift
    heads = [crate_attention(tokens @ U[:, head], causal) @ Wo[:, head].T for head in range(U.shape[1])]
    return Z + sum(heads)


def crate_ista(Y: Tensor, Dict: Tensor, eta: float = 0.1, lam: float = 0.1) -> Tensor:
    pull = Y @ Dict - Y @ Dict.T @ Dict
    return torch.relu(Y + eta * pull - eta * lam)


CASES = (
    Case("crate_attention", SHAPE, lengths=("n",)),
    Case("crate_attention", SHAPE, {"causal": True}, lengths=("n",), causal=True),
    Case("crate_mssa", SHAPE, lengths=("n",)),
    Case("crate_mssa", SHAPE, {"causal": True}, lengths=("n",), causal=True),
    Case("crate_ista", SHAPE, lengths=("n",)),
    Case("crate_ista", SHAPE, {"eta": 0.3, "lam": 0.2}, lengths=("n",)),
)
