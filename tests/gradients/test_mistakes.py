"""Backwards that cannot be are told; those that can are right, however odd the tensors."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import attnc
from attnc.contract import GRADIENT, gradient_references, judge
from attnc.runtime.attention import Attention

EXAMPLES = Path(__file__).parents[2] / "examples"
Tensors = dict[str, torch.Tensor]
Change = Callable[[torch.Tensor], torch.Tensor]
COUNTS = """attention counts(Q[m,e], K[n,e], V[n,f]) -> O, seen, best, L:
    S[m,n]  = Q * K
    O[m,f]  = softmax[n](S where n <= m) * V
    seen[m] = any[n](S > 1 where n <= m)
    best[m] = sum[n]((1 if S > 0 else 0) where n <= m)
    L[m]    = logsumexp[n](S where n <= m)
"""
LOWERED = """attention lowered(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], bias[b,n], len[b]: int) -> O:
    S[b,h,m,n] = sum[e](Q * K) / sqrt(E) + bias
    A[b,h,m,n] = softmax[n](S where n <= m and n < len)
    O[b,h,m,f] = A * V
"""


def causal() -> Attention:
    attention: Attention = attnc.std.causal_softmax
    return attention


def drawn(m: int = 9, n: int = 11, dtype: torch.dtype = torch.float32, heads: int = 2, width: int = 8) -> Tensors:
    dice = torch.Generator().manual_seed(m + n)
    shapes = {"Q": (2, heads, m, width), "K": (2, heads, n, width), "V": (2, heads, n, width)}
    return {name: torch.randn(shape, generator=dice).to(dtype).requires_grad_() for name, shape in shapes.items()}


def failures(
    attention: Attention,
    inputs: Tensors,
    cotangent: Change = torch.clone,
    names: tuple[str, ...] = ("Q", "K", "V"),
) -> list[str]:
    """What breaks the contract of the gradients by these inputs, from a random cotangent that is changed first."""
    output = attention(**inputs)
    dice = torch.Generator().manual_seed(3)
    incoming = cotangent(torch.randn(output.shape, generator=dice).to(output.dtype))
    found = torch.autograd.grad(output, [inputs[name] for name in names], incoming)
    plain = torch.zeros(output.shape, dtype=output.dtype) + incoming  # the same numbers in an ordinary tensor
    asked = gradient_references(attention.program().stated, inputs, {attention.signature.outputs[0]: plain}, names)
    verdicts = [judge(name, value, asked[name], GRADIENT) for name, value in zip(names, found, strict=True)]
    wrong = [v for v in verdicts if not v.passed]
    return [f"d{v.output}: error {v.error:.3g}, allowed {v.allowed:.3g}, rows {v.row_ratio:.3g}" for v in wrong]


# ---- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Q", "K", "V", "O"])
def test_a_tensor_changed_before_the_backward_is_noticed(name: str) -> None:
    inputs = drawn()
    output = causal()(**inputs)
    loss = output.sin().sum()
    with torch.no_grad():
        {**inputs, "O": output}[name].add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(loss, list(inputs.values()))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda given: given[..., :-1], "Mismatch in shape"),
        (lambda given: given.to(torch.complex64), "Mismatch in dtype"),
        (lambda given: given.to("meta"), "expected device cpu but got meta"),
    ],
    ids=["shape", "complex", "meta"],
)
def test_a_cotangent_that_does_not_fit_is_refused(change: Change, said: str) -> None:
    with pytest.raises(RuntimeError, match=said):
        failures(causal(), drawn(), change)


def test_integers_and_booleans_have_no_gradient() -> None:
    dice = torch.Generator().manual_seed(0)
    inputs = [torch.randn(5, 4, generator=dice).requires_grad_() for _ in range(3)]
    output, seen, best, logsum = attnc.compile(COUNTS)(*inputs)
    assert [item.requires_grad for item in (output, seen, best, logsum)] == [True, False, False, True]
    with pytest.raises(RuntimeError, match="does not require grad"):
        torch.autograd.grad(best, inputs, torch.ones_like(best))
    with pytest.raises(RuntimeError, match="only Tensors of floating point dtype can require gradients"):
        causal()(torch.ones(2, 2, 9, 8, dtype=torch.int64).requires_grad_(), inputs[1], inputs[2])


def test_a_graph_serves_once_unless_it_is_retained() -> None:
    inputs = drawn()
    loss = causal()(**inputs).sin().sum()
    once = torch.autograd.grad(loss, list(inputs.values()), retain_graph=True)
    twice = torch.autograd.grad(loss, list(inputs.values()))
    assert all(torch.equal(a, b) for a, b in zip(once, twice, strict=True))
    with pytest.raises(RuntimeError, match="a second time"):
        torch.autograd.grad(loss, list(inputs.values()))


# ---- odd cotangents and inputs -------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        torch.Tensor.double,
        torch.Tensor.bfloat16,
        lambda given: given.round().to(torch.int64),
        lambda given: given > 0,
        lambda given: given.mT.contiguous().mT,
        lambda given: given[:1, :1, :1, :1].expand_as(given),
        lambda given: given.flip(2)[:, :, ::1],
        lambda given: torch.complex(given, given).conj().imag,
        lambda given: torch._efficientzerotensor(given.shape),
        lambda given: given.clamp(min=0).to_sparse(),
        lambda given: given.clone().requires_grad_(),
    ],
    ids=["float64", "bf16", "int", "bool", "strides", "expanded", "flipped", "negated", "zeros", "sparse", "recorded"],
)
def test_every_kind_of_cotangent_is_read_as_its_numbers(change: Change) -> None:
    assert failures(causal(), drawn(), change) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda given: given.mT.contiguous().mT,
        lambda given: given[:, :1].expand(-1, 2, -1, -1),
        lambda given: given.transpose(1, 2).contiguous().transpose(1, 2),
        lambda given: given.repeat_interleave(2, 3)[..., ::2],
        lambda given: torch.complex(given, given).conj().imag,
        lambda given: torch._efficientzerotensor(given.shape),
    ],
    ids=["transposed", "expanded", "interleaved", "apart", "negated", "zeros"],
)
def test_inputs_of_any_strides_have_their_gradients(change: Change) -> None:
    inputs = {name: change(tensor.detach()).requires_grad_() for name, tensor in drawn().items()}
    assert failures(causal(), inputs) == []


def test_what_is_expanded_gets_the_sum() -> None:
    inputs = drawn(heads=1)
    wide = {name: tensor.expand(-1, 4, -1, -1) for name, tensor in inputs.items()}
    apart = {name: tensor.detach().clone().requires_grad_() for name, tensor in wide.items()}
    shared = torch.autograd.grad(causal()(**wide).sin().sum(), list(inputs.values()))
    single = torch.autograd.grad(causal()(**apart).sin().sum(), list(apart.values()))
    for together, each in zip(shared, single, strict=True):
        torch.testing.assert_close(together, each.sum(1, keepdim=True))


def test_one_tensor_in_three_places_gets_all_three() -> None:
    one = drawn(9, 9)["Q"]
    found = torch.autograd.grad(causal()(one, one, one).sin().sum(), one)[0]
    three = [one.detach().clone().requires_grad_() for _ in range(3)]
    each = torch.autograd.grad(causal()(*three).sin().sum(), three)
    torch.testing.assert_close(found, each[0] + each[1] + each[2])


def test_a_statistic_alone_can_be_differentiated() -> None:
    dice = torch.Generator().manual_seed(0)
    inputs = [torch.randn(5, 4, generator=dice).requires_grad_() for _ in range(3)]
    logsum = attnc.compile(COUNTS)(*inputs).L
    found = torch.autograd.grad(logsum.sum(), inputs, allow_unused=True)
    scores = (inputs[0] @ inputs[1].T).masked_fill(torch.ones(5, 5).triu(1).bool(), -torch.inf)
    wanted = torch.autograd.grad(scores.logsumexp(-1).sum(), inputs[:2])
    assert found[2] is None or not found[2].any()
    torch.testing.assert_close(found[:2], wanted)


# ---- lengths, empty rows, large scores -----------------------------------------------------


@pytest.mark.parametrize(("m", "n"), [(0, 5), (5, 0), (0, 0), (1, 1), (1, 5), (5, 1), (5, 3), (65, 130)])
@pytest.mark.parametrize("name", ["causal_softmax", "softmax_attention", "sigmoid_attention"])
def test_every_length_has_gradients(name: str, m: int, n: int) -> None:
    assert failures(getattr(attnc.std, name), drawn(m, n)) == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_rows_that_see_nothing_have_no_gradient(dtype: torch.dtype) -> None:
    inputs = drawn(9, 9, dtype) | {"bias": torch.zeros(2, 9, dtype=dtype).requires_grad_(), "len": torch.tensor([0, 5])}
    attention = attnc.compile(LOWERED)
    assert failures(attention, inputs, names=("Q", "K", "V", "bias")) == []
    found = torch.autograd.grad(attention(**inputs).sum(), [inputs[name] for name in ("Q", "K", "V", "bias")])
    assert all(not item[0].any() and bool(item.isfinite().all()) for item in found)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("value", [-torch.inf, 1e4, -1e4])
def test_scores_of_any_size_have_gradients(value: float, dtype: torch.dtype) -> None:
    bias = torch.zeros(2, 9, dtype=dtype)
    bias[0, ::2], bias[1] = value, value
    inputs = drawn(9, 9, dtype) | {"bias": bias.requires_grad_(), "len": torch.tensor([9, 7])}
    names = ("Q", "K", "V", "bias")
    assert failures(attnc.compile(LOWERED), inputs, names=names) == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_large_scores_that_lie_close_have_gradients(dtype: torch.dtype) -> None:
    inputs = {name: tensor.detach() for name, tensor in drawn(70, 70, dtype).items()}
    inputs["Q"][..., 0], inputs["K"][..., 0] = 28284, 1  # 1e4 in every score
    inputs = {name: tensor.requires_grad_() for name, tensor in inputs.items()}
    assert failures(causal(), inputs) == []


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["causal_softmax", "softmax_attention", "sigmoid_attention"])
def test_narrow_types_keep_the_contract(name: str, dtype: torch.dtype) -> None:
    assert failures(getattr(attnc.std, name), drawn(130, 150, dtype, width=32)) == []


def test_no_gradient_is_recorded_where_none_is_asked_for() -> None:
    inputs = drawn()
    with torch.no_grad():
        assert not causal()(**inputs).requires_grad
    assert not causal()(**{name: tensor.detach() for name, tensor in inputs.items()}).requires_grad
