"""`.reference(..)`: the definition in float64, differentiable by whatever inputs ask for it."""

from __future__ import annotations

import math

import pytest
import torch

import attnc

ALIBI = """
attention alibi(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], slope[h], len[b]: int) -> O, L:
    index N - M <= m < N
    S[b,h,m,n] = sum[e](Q * K) / sqrt(E) - slope * (m - n) where n <= m and n < len[b]
    O[b,h,m,f] = softmax[n](S) * V
    L[b,h,m] = logsumexp[n](S)
"""


def inputs(dtype: torch.dtype) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(5)
    shapes = {"Q": (2, 2, 3, 4), "K": (2, 2, 5, 4), "V": (2, 2, 5, 3), "slope": (2,)}
    found = {name: torch.randn(shape, generator=draw).to(dtype) for name, shape in shapes.items()}
    return {**found, "len": torch.tensor([5, 4])}


def by_hand(Q, K, V, slope, len):  # type: ignore[no-untyped-def] # noqa: N803
    m, n = torch.arange(2, 5)[:, None], torch.arange(5)
    scores = Q.double() @ K.double().mT / 2 - slope.double()[:, None, None] * (m - n)
    scores = scores.masked_fill(~((n <= m) & (n < len[:, None, None, None])), -math.inf)
    return torch.softmax(scores, -1) @ V.double(), torch.logsumexp(scores, -1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_gradients_by_inputs_of_every_type(dtype: torch.dtype) -> None:
    attention = attnc.compile(ALIBI)
    given = inputs(dtype)
    asked = [value.requires_grad_() for name, value in given.items() if name != "len"]
    found, wanted = attention.reference(**given), by_hand(**given)  # type: ignore[no-untyped-call]
    assert found.O.dtype == torch.float64
    torch.testing.assert_close(found.O, wanted[0])
    torch.testing.assert_close(found.L, wanted[1])
    weights = torch.randn(found.O.shape, dtype=torch.float64)
    actual = torch.autograd.grad((found.O * weights).sum() + found.L.sum(), asked)
    right = torch.autograd.grad((wanted[0] * weights).sum() + wanted[1].sum(), asked)
    for one, other, value in zip(actual, right, asked, strict=True):
        assert one.dtype == value.dtype
        torch.testing.assert_close(one, other, rtol=1.6e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-6)


def test_only_what_asks_is_recorded() -> None:
    attention = attnc.compile(ALIBI)
    given = inputs(torch.float64)
    assert not attention.reference(**given).O.requires_grad
    given["V"].requires_grad_()
    found = attention.reference(**given)
    assert found.O.requires_grad
    assert not found.L.requires_grad
    with torch.no_grad():
        assert not attention.reference(**given).O.requires_grad


def test_finite_differences_of_strided_inputs() -> None:
    attention = attnc.compile(ALIBI)
    given = inputs(torch.float64)
    K = given["K"].transpose(0, 1).contiguous().transpose(0, 1).requires_grad_()  # noqa: N806
    slope = torch.tensor([0.3], dtype=torch.float64).requires_grad_()

    def outputs(K: torch.Tensor, slope: torch.Tensor) -> tuple[torch.Tensor, ...]:  # noqa: N803
        return tuple(attention.reference(**{**given, "K": K, "slope": slope.expand(2)}))

    assert torch.autograd.gradcheck(outputs, [K, slope])


@pytest.mark.parametrize("hidden", [math.nan, math.inf, 0.0])
def test_what_is_hidden_gets_no_gradient_and_gives_none(hidden: float) -> None:
    attention = attnc.compile(ALIBI)
    given = inputs(torch.float64)
    for name in ("K", "V"):
        given[name][1, :, 4:] = hidden
    asked = [given[name].requires_grad_() for name in ("Q", "K", "V", "slope")]
    found = attention.reference(**given)
    grads = torch.autograd.grad(found.O.sum() + found.L.sum(), asked)
    assert all(bool(torch.isfinite(value).all()) for value in grads)
    for value in grads[1:3]:
        assert bool((value[1, :, 4:] == 0).all())
