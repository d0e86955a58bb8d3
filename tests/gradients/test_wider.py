"""On a CPU what is learned in float32 beside queries, keys and values of 16 bits has gradients as close as float32 has;
no gradient that would show how the output was rounded is made of it.
"""

import pytest
import torch

import attnc
from tests.gradients.run import run_gradients

HEAD = "attention a(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], {}) -> {}:\n    index N - M <= m < N\n"
SCORES = "    S[b,h,m,n] = {} where n <= m\n"
SHAPE = {"b": 2, "h": 3, "m": 40, "n": 47, "e": 16, "f": 24}
SPECS = {
    "bias": ("T[h,m,n]", "O", "sum[e](Q * K) / sqrt(E) + T", "    O[b,h,m,f] = softmax[n](S) * V\n"),
    "slope": ("T[h]", "O", "sum[e](Q * K) / sqrt(E) + T * (n - m)", "    O[b,h,m,f] = softmax[n](S) * V\n"),
    "temperature": ("T[h]", "O", "T * sum[e](Q * K)", "    O[b,h,m,f] = softmax[n](S) * V\n"),
    "sink": (
        "T[h]",
        "O, Z",
        "sum[e](Q * K) / sqrt(E)",
        "    R[b,h,m] = max(max[n](S), T)\n    Z[b,h,m] = sum[n](exp(S - R)) + exp(T - R)\n"
        "    O[b,h,m,f] = sum[n](exp(S - R) * V) / Z\n",
    ),
    "virtual key": (
        "T[h]",
        "O",
        "sum[e](Q * K) / sqrt(E)",
        "    S[b,h,m,N] = T\n    index u <= N\n    A[b,h,m,u] = softmax[u](S[b,h,m,u])\n"
        "    O[b,h,m,f] = A[b,h,m,n] * V\n",
    ),
    "no softmax": (
        "T[h]",
        "O",
        "sum[e](Q * K) / sqrt(E) + T",
        "    W[b,h,m,n] = sigmoid(S)\n    O[b,h,m,f] = sum[n](W * V) / sum[n](W)\n",
    ),
}


def spec(name: str) -> str:
    learned, outputs, score, rest = SPECS[name]
    return HEAD.format(learned, outputs) + SCORES.format(score) + rest


# On a GPU weights are multiplied in the inputs' 16 bits: there float32 that is made of the output is no closer.
@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, torch.bfloat16) for name in SPECS), ("bias", torch.float16)], ids=str
)
def test_what_is_wider_than_the_output_is_not_made_of_it(name: str, dtype: torch.dtype) -> None:
    outcome = run_gradients(attnc.compile(spec(name)), SHAPE, 3, dtype, types={"T": torch.float32})
    assert outcome.failures == ()


@pytest.mark.parametrize(("name", "target"), [("bias", "cpu"), ("virtual key", "cpu"), ("bias", "sm_90")])
def test_gradients_in_float64_beside_float32(name: str, target: str) -> None:
    outcome = run_gradients(attnc.compile(spec(name)), SHAPE, 3, torch.float32, target, {"T": torch.float64})
    assert outcome.failures == ()


# which inputs are float32 beside bfloat16, of which gradients are asked for, and whether the output is held as it is
HELD = [("", "QKV", True), ("", "QKVT", False), ("T", "QKVT", False), ("T", "QKV", True), ("QT", "QKVT", True)]


@pytest.mark.parametrize(("wide", "wanted", "held"), [*HELD, ("QKVT", "QKVT", True), ("K", "QKV", False)])
def test_the_output_is_held_where_no_gradient_shows_its_rounding(wide: str, wanted: str, held: bool) -> None:
    shapes = {"Q": (2, 3, 40, 16), "K": (2, 3, 47, 16), "V": (2, 3, 47, 24), "T": (3,)}
    types = {name: torch.float32 if name in wide else torch.bfloat16 for name in shapes}
    given = {name: torch.randn(shape).to(types[name]) for name, shape in shapes.items()}
    given = {name: tensor.requires_grad_(name in wanted) for name, tensor in given.items()}
    seen: list[torch.Tensor] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        seen.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = attnc.compile(spec("slope"))(**given)
    assert output.dtype == types["Q"]
    assert any(tensor.dtype == output.dtype and tensor.shape == output.shape for tensor in seen) == held


def test_a_compiled_call_is_as_close() -> None:
    attention = attnc.compile(spec("slope"))
    shapes = {"Q": (2, 3, 40, 16), "K": (2, 3, 47, 16), "V": (2, 3, 47, 24)}
    given = {name: torch.randn(shape).bfloat16().requires_grad_() for name, shape in shapes.items()}
    given["T"] = torch.rand(3).requires_grad_()
    found = [
        torch.autograd.grad(call(**given).sum(), list(given.values())) for call in (attention, torch.compile(attention))
    ]
    assert all(torch.equal(own, other) for own, other in zip(*found, strict=True))
