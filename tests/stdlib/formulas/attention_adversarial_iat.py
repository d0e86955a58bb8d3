"""Adversarial training of attention, by PyTorch's autograd, one sentence at a time."""

import torch

from tests.stdlib.cases import Case, Sizes, booleans

Tensor = torch.Tensor
SHAPE = {"b": 3, "n": 13, "d": 8, "a": 12}


def _labels(dice: torch.Generator, at: Sizes) -> Tensor:
    return torch.randint(0, 2, (at["b"],), generator=dice).double()


GIVEN = {"mask": booleans("b", "n", share=0.8), "y": _labels}


def adversarial_scores(H: Tensor, W1: Tensor, c1: Tensor, w2: Tensor) -> Tensor:
    return torch.tanh(H @ W1 + c1) @ w2


def _pooled(scores: Tensor, states: Tensor, mask: Tensor) -> Tensor:
    weights = torch.softmax(scores * mask, 0) * mask
    return (weights / (weights.sum() + 1e-13)) @ states


def _loss(pooled: Tensor, w: Tensor, bias: Tensor, label: Tensor) -> Tensor:
    return torch.nn.functional.binary_cross_entropy_with_logits(pooled @ w + bias, label)


def _slope(loss: Tensor, at: Tensor) -> Tensor:
    return torch.autograd.grad(loss, [at], retain_graph=True)[0].detach()


def _unit(x: Tensor) -> Tensor:
    return x / max(float(x.norm()), 1e-12)


def _trained(
    S: Tensor, H: Tensor, mask: Tensor, w: Tensor, bias: Tensor, y: Tensor, xi: float, lam: float, kind: str
) -> dict[str, Tensor]:
    rows = []
    for one in range(S.shape[0]):
        others = torch.stack([_unit((S[one] - S[k]).detach()) for k in range(S.shape[0])])
        with torch.enable_grad():
            moved = torch.zeros_like(S[one]).requires_grad_()
            mixed = torch.zeros(S.shape[0], dtype=S.dtype, requires_grad=True)
            pooled = _pooled(S[one] + mixed @ others + moved, H[one], mask[one])
            clean = _loss(pooled, w, bias, y[one])
            if kind == "iat":
                R = xi * _unit(_slope(clean, mixed)) @ others
            else:
                R = (xi if kind == "at" else -xi) * _unit(_slope(clean, moved))
            worst = _loss(_pooled(S[one] + R, H[one], mask[one]), w, bias, y[one])
        rows.append((clean + lam * worst, clean, worst, pooled, R))
    return dict(zip(("L", "clean", "worst", "C", "R"), map(torch.stack, zip(*rows, strict=True)), strict=True))


def attention_adversarial_at(
    S: Tensor,
    H: Tensor,
    mask: Tensor,
    w: Tensor,
    bias: Tensor,
    y: Tensor,
    xi: float = 1.0,
    lam: float = 1.0,
) -> dict[str, Tensor]:
    return _trained(S, H, mask, w, bias, y, xi, lam, "at")


def attention_adversarial_iat(
    S: Tensor,
    H: Tensor,
    mask: Tensor,
    w: Tensor,
    bias: Tensor,
    y: Tensor,
    xi: float = 1.0,
    lam: float = 1.0,
    released: bool = False,
) -> dict[str, Tensor]:
    return _trained(S, H, mask, w, bias, y, xi, lam, "released" if released else "iat")


CASES = (
    Case("adversarial_scores", SHAPE, lengths=("n",)),
    Case("attention_adversarial_at", SHAPE, draw=GIVEN, lengths=()),
    Case("attention_adversarial_at", SHAPE, {"xi": 0.5, "lam": 0.7}, GIVEN, lengths=()),
    Case("attention_adversarial_iat", SHAPE, draw=GIVEN, lengths=()),
    Case("attention_adversarial_iat", SHAPE, {"released": True}, GIVEN, lengths=()),
)
