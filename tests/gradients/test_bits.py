"""The same backward gives the same bits, run after run, on one thread or several."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import attnc
from attnc.runtime.draw import draw
from tests.thinned import thinned

EXAMPLES = Path(__file__).parents[2] / "examples"
SIZES = {"b": 2, "h": 4, "g": 2, "m": 161, "n": 200, "e": 32, "f": 32}
THREADS = (1, 2, 4)
RUNS = 20


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", thinned([torch.float32, torch.bfloat16], 2), ids=str)
@pytest.mark.parametrize("name", ["01_causal_softmax", "02_alibi", "04_gqa_sink_window", "13_trained"])
def test_every_backward_gives_the_same_bits(name: str, dtype: torch.dtype) -> None:
    attention = attnc.load(EXAMPLES / f"{name}.attn", strict=True)
    cascade = attention.program().stated
    used = {index for item in cascade.inputs for index in item.indices}
    drawn = draw(cascade, {index: SIZES[index] for index in used}, {}, dtype, 0)
    inputs = [tensor.requires_grad_() for tensor in drawn.values()]
    found = []
    for threads in THREADS:
        torch.set_num_threads(threads)
        for _ in range(RUNS):
            result = attention(*inputs)
            outputs = [result] if isinstance(result, torch.Tensor) else list(result)
            incoming = [torch.ones_like(item).cumsum(-1).cos() for item in outputs]
            found.append((*outputs, *torch.autograd.grad(outputs, inputs, incoming)))
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))
    assert all(bool(item.isfinite().all()) and bool(item.any()) for item in found[0])


def test_pairs_are_formed_once_where_grid_points_are_as_many_as_threads() -> None:
    """One kernel gives all gradients then; with more threads than grid points each axis has its own."""
    attention = attnc.load(EXAMPLES / "01_causal_softmax.attn", strict=True)
    plans = {}
    for threads in (1, 4):
        torch.set_num_threads(threads)
        inputs = [torch.randn(1, 2, 70, 16, requires_grad=True) for _ in range(3)]
        torch.autograd.grad(attention(*inputs).sum(), inputs)
        assert attention.last_run is not None
        plans[threads] = [run.plan for run in attention.last_run.backward]
    assert plans == {1: ["stream", "joint", "joint"], 4: ["stream", "stream", "stream"]}


def test_pairs_are_formed_once_where_only_some_terms_have_a_condition_on_scores() -> None:
    """Of relu(S) V the gradient of S has one, that of V has none."""
    text = """attention a(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]) -> O:
        O[b,h,m,f] = relu(sum[e](Q * K)) ** 2 * V
    """
    torch.set_num_threads(1)
    attention = attnc.compile(text, strict=True)
    inputs = [torch.randn(1, 2, 70, 16, requires_grad=True) for _ in range(3)]
    torch.autograd.grad(attention(*inputs).sum(), inputs)
    assert attention.last_run is not None
    assert [run.plan for run in attention.last_run.backward] == ["joint", "joint"]
