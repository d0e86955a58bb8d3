"""`torch.compile`: one graph, one compilation for all lengths, the bits of plain calls."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo.testing import CompileCounter

import attnc
from tests.pytorch.cases import EVERY, EXAMPLES, attention, equal, inputs, leaves, listed, loss, name, pull

Function = Callable[..., Any]
SLOW = pytest.mark.exhaustive
pytestmark = pytest.mark.filterwarnings("ignore:attnc")


@pytest.fixture(autouse=True)
def _compile_anew() -> None:
    torch._dynamo.reset()


def whole(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """The function compiled as one graph."""
    compiled: Callable[..., Any] = torch.compile(function, fullgraph=True, backend="aot_eager", **options)
    return compiled


def same(found: Any, wanted: Any) -> bool:
    """Whether two calls gave the same bits."""
    return all(torch.equal(own, right) for own, right in zip(listed(found), listed(wanted), strict=True))


def qkv(m: int = 5, n: int = 9) -> list[torch.Tensor]:
    """Queries, keys and values."""
    return [torch.randn(2, 2, m, 4), torch.randn(2, 2, n, 4), torch.randn(2, 2, n, 4)]


class Block(torch.nn.Module):
    """A layer of a model about an attention."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = attnc.load("std:alibi")
        self.slope = torch.nn.Parameter(torch.rand(2))
        self.into, self.out = torch.nn.Linear(8, 24), torch.nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.into(x).unflatten(-1, (3, 2, 4)).unbind(-3)
        found: torch.Tensor = self.out(
            self.attention(*map(heads, (q, k, v)), slope=self.slope).transpose(1, 2).flatten(2)
        )
        return x + found


def heads(x: torch.Tensor) -> torch.Tensor:
    """Heads before positions."""
    return x.transpose(1, 2)


@pytest.mark.parametrize("case", EVERY, ids=name)
def test_compiled_calls_and_their_gradients_have_the_bits_of_plain_ones(case: Path | str) -> None:
    own = attention(case)
    plain, compiled = leaves(inputs(own)), leaves(inputs(own))
    wanted = own(**plain)
    found = whole(lambda given: own(**given))(compiled)
    assert same(found, wanted)
    assert type(found) is type(wanted)
    pull(loss(wanted))
    pull(loss(found))
    for key, value in plain.items():
        assert (value.grad is None) == (compiled[key].grad is None)
        assert value.grad is None or equal(value.grad, compiled[key].grad)


def test_a_block_is_one_graph() -> None:
    block = Block()
    report = torch._dynamo.explain(block)(torch.randn(3, 7, 8))
    assert report.graph_count == 1
    assert report.graph_break_count == 0
    assert any("attnc.forward" in str(op) for ops in report.ops_per_graph for op in ops)


def test_a_compiled_block_trains_as_the_plain_one() -> None:
    plain, compiled = Block(), Block()
    compiled.load_state_dict(plain.state_dict())
    x = torch.randn(3, 7, 8)
    pull(plain(x).square().sum())
    pull(whole(compiled)(x).square().sum())
    for one, other in zip(plain.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_inductor_compiles_a_block() -> None:
    block, x = Block(), torch.randn(3, 7, 8)
    compiled = torch.compile(block, fullgraph=True)
    torch.testing.assert_close(compiled(x), block(x))
    pull(compiled(x).square().sum())
    found = block.slope.grad
    block.slope.grad = None
    pull(block(x).square().sum())
    assert found is not None
    torch.testing.assert_close(found, block.slope.grad)


@pytest.mark.parametrize("case", [EXAMPLES[1], "state"], ids=name)
def test_one_compilation_serves_all_lengths(case: Path | str) -> None:
    own, counter = attention(case), CompileCounter()
    compiled = torch.compile(lambda given: own(**given), backend=counter, fullgraph=True, dynamic=True)
    for m, n in ((5, 9), (7, 31), (12, 50), (2, 3)):
        given = inputs(own, m=m, n=n, i=n)
        assert same(compiled(given), own(**given))
    assert counter.frame_count == 1


def test_another_length_is_found_out_once() -> None:
    own, counter = attnc.load("std:alibi"), CompileCounter()
    compiled = torch.compile(own, backend=counter, fullgraph=True)
    slope = torch.rand(2)
    for m, n in ((5, 9), (7, 31), (12, 50), (2, 3)):
        given = qkv(m, n)
        assert same(compiled(*given, slope), own(*given, slope))
    assert counter.frame_count == 2  # the first one takes the lengths for constants


def test_options_and_numbers_are_constants_of_the_graph() -> None:
    window, sigmoid = attnc.load("std:window_softmax"), attnc.load("std:sigmoid_attention")
    q, k, v = qkv()
    assert same(whole(lambda w: window(q, k, v, W=w))(3), window(q, k, v, W=3))
    length = whole(lambda q: window(q, k, v, W=q.shape[2]), dynamic=True)
    assert same(length(q), window(q, k, v, W=5))
    assert same(length(k), window(k, k, v, W=9))
    number = whole(lambda beta: sigmoid(q, k, v, beta=beta), dynamic=True)
    for beta in (-1.5, float("-inf"), 0, None):
        assert same(number(beta), sigmoid(q, k, v, beta=beta))


def test_a_step_is_part_of_a_graph() -> None:
    own = attention("state")
    given = inputs(own)
    out, state = own.step(**given)
    found, carried = whole(lambda given: own.step(**given))(given)
    assert same(found, out)
    assert carried.keys() == {"H0"}
    assert same(carried["H0"], state["H0"])


def test_vmap_inside_of_a_graph() -> None:
    own, slope = attnc.load("std:alibi"), torch.rand(2)
    q, k, v = (torch.stack([t, t * 2, -t]) for t in qkv())

    def called(q: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch.func.vmap(lambda q: own(q, k[0], v[0], slope))(q)
        return found

    assert torch.equal(whole(called)(q), called(q))


def _grad(own: Function, k: torch.Tensor) -> Function:
    return torch.func.grad(lambda q: own(q, k).square().sum())


def _vjp(own: Function, k: torch.Tensor) -> Function:
    def pulled(q: torch.Tensor) -> Any:
        out, pull, *_ = torch.func.vjp(own, q, k)
        return out, *pull(out.cos())

    return pulled


def _each(own: Function, k: torch.Tensor) -> Function:
    return lambda q: torch.func.vmap(_grad(own, k), (0,))(torch.stack([q, -2 * q]))


ALIBI = attnc.load("std:alibi")
CALLS: dict[str, Function] = {
    "attention": lambda q, k: ALIBI(q, k, k, torch.ones(2)),
    "flex_attention": lambda q, k: attnc.flex_attention(q, k, k, lambda score, b, h, m, n: score - (m - n) * 0.5),
}


@pytest.mark.parametrize(
    ("function", "call"),
    [
        (_grad, "attention"),
        *(pytest.param(_grad, call, marks=SLOW) for call in CALLS if call != "attention"),
        *(pytest.param(way, call, marks=SLOW) for way in (_vjp, _each) for call in CALLS),
    ],
)
def test_functions_of_torch_func_inside_of_a_graph(function: Callable[..., Function], call: str) -> None:
    q, k, _ = qkv()
    own = function(CALLS[call], k)
    torch.testing.assert_close(whole(lambda q: own(q))(q), own(q))


@pytest.mark.parametrize(
    "taken",
    [
        lambda own: lambda q: torch.func.grad(lambda q: torch.func.grad(own)(q).square().sum())(q),
        lambda own: lambda q: torch.func.jvp(own, (q,), (q,))[1],
    ],
)
def test_derivatives_that_no_graph_holds_have_a_word_of_their_own(taken: Callable[[Function], Function]) -> None:
    q, k, _ = qkv()
    derivative = taken(lambda q: CALLS["attention"](q, k).square().sum())
    assert derivative(q) is not None
    with pytest.raises(Exception, match=r"error\[A404\]"):
        whole(derivative)(q)


def test_a_region_of_lower_precision_is_part_of_a_graph() -> None:
    own, slope = attnc.load("std:alibi"), torch.rand(2)
    q, k, v = qkv()

    def called(q: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            found: torch.Tensor = own(q, k, v, slope)
            return found

    assert called(q).dtype == torch.bfloat16
    assert torch.equal(whole(called)(q), called(q))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((1,), "A605"),
        ((1, 1, 1, 1, 1), "A607"),
        ((1, 1, 1, "x"), "A611"),
        ((1, 1, 2, 3), "A601"),
        ((1, 1, 1, 1), "A602"),
    ],
)
def test_a_mistake_keeps_its_word(arguments: tuple[Any, ...], code: str) -> None:
    known: dict[Any, Any] = {1: torch.ones(2, 2, 3, 4), 2: torch.ones(2, 2, 5, 4), 3: torch.ones(2)}
    values = [known.get(item, item) for item in arguments]
    with pytest.raises(Exception, match=rf"error\[{code}\]"):
        whole(attnc.load("std:alibi"))(*values)


def test_a_gradient_that_does_not_flow_is_a_mistake_of_the_graph_too() -> None:
    own = attnc.compile("attention picked(Q[m], K[n]) -> O:\n    best[m] = argmax[n](Q - K)\n    O[m] = Q + best\n")
    q, k = torch.rand(3), torch.rand(4).requires_grad_()
    with pytest.raises(Exception, match=r"error\[A402\]"):
        whole(own)(q, k)


def test_what_only_looks_at_operators_sees_one() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    own = attnc.load("std:causal_softmax")
    with torch._subclasses.FakeTensorMode():
        q, k, v = (torch.empty(2, 2, 5, 4, dtype=torch.bfloat16) for _ in range(3))
        found = own(q, k, v)
    assert (found.shape, found.dtype) == ((2, 2, 5, 4), torch.bfloat16)
    q, k, v = qkv()
    with FlopCounterMode(display=False):
        watched = own(q, k, v)
    assert torch.equal(watched, own(q, k, v))
