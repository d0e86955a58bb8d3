"""Derivatives of derivatives: numbers of float64, by differences and against the definition's own."""

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.autograd import grad, gradcheck, gradgradcheck

import attnc
from attnc.runtime.attention import Attention
from attnc.runtime.draw import draw
from tests.thinned import thinned

Tensors = tuple[torch.Tensor, ...]

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = [next(FOLDER.glob(f"{number}_*.attn")) for number in ("01", "02", "05", "07", "09", "10")]
SIZES = {"b": 1, "h": 1, "m": 2, "n": 3, "e": 2, "f": 1, "i": 3}
GATED = """
attention gated(Q[i,e], K[i,e], V[i,f], g[i]) -> O:
    State[0,e,f]   = 0
    State[i+1,e,f] = exp(g[i]) * State[i,e,f] + K * V
    O[i,f]         = Q * State[i+1,e,f]
"""
LEARNS = """
attention learns(Q[i,e], K[i,e], V[i,e], eta[i]) -> O:
    index f < E
    W[0,e,f]   = 0.1
    loss[i]    = sum[f]((sum[e](W[i,e,f] * K[i,e]) - V[i,f]) ** 2)
    W[i+1,e,f] = W[i,e,f] - eta * grad(loss[i], W[i,e,f])
    O[i,f]     = sum[e](Q[i,e] * W[i+1,e,f])
"""


def given(attention: Attention) -> dict[str, torch.Tensor]:
    """Small inputs in float64 that ask for gradients."""
    stated = attention.program().stated
    used = {index for item in stated.inputs for index in item.indices}
    drawn = draw(stated, {index: extent for index, extent in SIZES.items() if index in used}, {}, torch.float64, 1)
    return {name: tensor.requires_grad_() for name, tensor in drawn.items()}


def function(attention: Attention, names: tuple[str, ...]) -> Callable[..., Tensors]:
    """The attention as a function of these inputs in order."""

    def called(*tensors: torch.Tensor) -> Tensors:
        found = attention(**dict(zip(names, tensors, strict=True)))
        return tuple(found) if isinstance(found, tuple) else (found,)

    return called


@pytest.fixture
def causal() -> Attention:
    return attnc.load(EXAMPLES[0])


@pytest.mark.filterwarnings("ignore:attnc")
@pytest.mark.parametrize("file", thinned(EXAMPLES, 2), ids=lambda file: file.stem)
def test_examples_by_differences(file: Path) -> None:
    attention = attnc.load(file)
    inputs = given(attention)
    called = function(attention, tuple(inputs))
    assert gradcheck(called, tuple(inputs.values()), check_undefined_grad=False)
    assert gradgradcheck(called, tuple(inputs.values()), check_undefined_grad=False)


@pytest.mark.filterwarnings("ignore:attnc")
@pytest.mark.parametrize("text", [GATED, pytest.param(LEARNS, marks=pytest.mark.exhaustive)], ids=["gated", "learns"])
def test_recurrences_by_differences(text: str) -> None:
    attention = attnc.compile(text)
    inputs = given(attention)
    called = function(attention, tuple(inputs))
    assert gradcheck(called, tuple(inputs.values()), check_forward_ad=True)
    assert gradgradcheck(called, tuple(inputs.values()), check_fwd_over_rev=True)


def test_the_first_derivative_runs_by_kernels_also_where_a_second_may_follow(causal: Attention) -> None:
    inputs = given(causal)
    ran = []
    for again in (False, True):
        output = causal(**inputs)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            grad(output.sum(), list(inputs.values()), create_graph=again)
        assert causal.last_run is not None
        ran.append([(run.name, run.backend, run.kernel) for run in causal.last_run.backward])
    assert ran[0] == ran[1]
    assert "cpp" in {backend for _, backend, _ in ran[1]}


def test_the_second_is_announced_once(causal: Attention) -> None:
    inputs = list(given(causal).values())
    first = grad(causal(*inputs).pow(2).sum(), inputs, create_graph=True)
    with pytest.warns(UserWarning, match="second derivatives of `causal` by statements, a slower path"):
        grad(first[0].sum(), inputs, retain_graph=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        grad(first[1].sum(), inputs)


@pytest.mark.filterwarnings("ignore:attnc")
def test_a_third_is_that_of_the_definition(causal: Attention) -> None:
    inputs = list(given(causal).values())

    def third(output: torch.Tensor) -> Tensors:
        first = grad(output.pow(2).sum(), inputs, create_graph=True)
        second = grad([item.pow(2).sum() for item in first], inputs, create_graph=True)
        return grad([item.sin().sum() for item in second], inputs)

    for own, right in zip(third(causal(*inputs)), third(causal.reference(*inputs)), strict=True):
        torch.testing.assert_close(own, right, rtol=1e-9, atol=1e-11)


@pytest.mark.filterwarnings("ignore:attnc")
def test_inputs_that_depend_on_one_another_have_partial_derivatives(causal: Attention) -> None:
    x = torch.randn(1, 1, 3, 2, dtype=torch.float64, requires_grad=True)

    def twice(call: Callable[..., torch.Tensor]) -> torch.Tensor:
        (first,) = grad(call(x, 2 * x, x.sin()).pow(2).sum(), x, create_graph=True)
        return grad(first.pow(2).sum(), x)[0]

    torch.testing.assert_close(twice(causal), twice(causal.reference), rtol=1e-9, atol=1e-11)


@pytest.mark.filterwarnings("ignore:attnc")
def test_functional_transforms_nest(causal: Attention) -> None:
    q, k, v = (tensor.detach() for tensor in given(causal).values())
    direction = torch.randn_like(q)
    leaf = q.clone().requires_grad_()
    (first,) = grad(causal.reference(leaf, k, v).pow(2).sum(), leaf, create_graph=True)
    (right,) = grad(first, leaf, direction)

    def loss(x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(causal(x, k, v).pow(2).sum())

    over_reverse = torch.func.jvp(torch.func.grad(loss), (q,), (direction,))[1]
    twice = torch.func.grad(lambda x: (torch.func.grad(loss)(x) * direction).sum())(q)
    over_forward = torch.func.grad(lambda x: torch.func.jvp(loss, (x,), (direction,))[1])(q)
    for own in (over_reverse, twice, over_forward):
        torch.testing.assert_close(own, right, rtol=1e-9, atol=1e-11)
