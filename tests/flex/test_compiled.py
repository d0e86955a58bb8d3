"""`flex_attention` in compiled code: one graph with one operator in it, the bits of plain calls, one compilation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.testing import CompileCounterWithBackend
from torch.export import Dim, export
from torch.nn.attention.flex_attention import AuxRequest, BlockMask, create_block_mask, noop_mask
from torch.utils.checkpoint import checkpoint

import attnc
from tests.flex.rules import BATCH, CASES, HEADS, LENGTH, alibi, causal, sliding_window

pytestmark = pytest.mark.filterwarnings("ignore")
Tensors = list[torch.Tensor]
SLOW = pytest.mark.exhaustive


@pytest.fixture(autouse=True)
def _compile_anew() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    for case in CASES.values():
        for item in case.captured:
            item.requires_grad_(False)


def inputs(length: int = LENGTH, keys: int = HEADS, *, backward: bool = True) -> Tensors:
    generator = torch.Generator().manual_seed(0)
    shapes = [(BATCH, heads, length, 16) for heads in (HEADS, keys, keys)]
    return [torch.randn(shape, generator=generator).requires_grad_(backward) for shape in shapes]


def whole(function: Callable[..., Any], backend: Any = "aot_eager", **options: Any) -> Callable[..., Any]:
    """The function compiled as one graph."""
    compiled: Callable[..., Any] = torch.compile(function, fullgraph=True, backend=backend, **options)
    return compiled


def gradients(found: Any, wanted: Sequence[torch.Tensor]) -> Tensors:
    """What comes in at tensors where something comes in at every output."""
    outputs = found if isinstance(found, tuple) else (found,)
    weights = [torch.linspace(-1, 2, value.numel()).reshape(value.shape) for value in outputs]
    return list(
        torch.autograd.grad(outputs, wanted, [own.to(value.dtype) for own, value in zip(weights, outputs, strict=True)])
    )


def same(found: Any, wanted: Any) -> bool:
    """Whether two calls gave the same bits."""
    pairs = (item if isinstance(item, tuple | list) else (item,) for item in (found, wanted))
    return all(torch.equal(one, other) for one, other in zip(*pairs, strict=True))


@SLOW
@pytest.mark.parametrize("name", CASES)
def test_callables_have_the_bits_of_plain_calls(name: str) -> None:
    case = CASES[name]
    captured = [item.requires_grad_() for item in case.captured]

    def attended(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> Any:
        return attnc.flex_attention(q, k, v, case.score, mask_mod=case.mask, enable_gqa=True, return_lse=True)

    given = inputs(keys=2)
    plain, compiled = attended(*given), whole(attended)(*given)
    assert same(compiled, plain)
    assert same(gradients(compiled, [*given, *captured]), gradients(plain, [*given, *captured]))


class Layer(torch.nn.Module):
    """Callables that are made anew in every call, and read parameters, buffers and what is computed of them."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(4)
        self.table = torch.nn.Parameter(torch.randn(HEADS, 200, generator=generator))
        self.raw = torch.nn.Parameter(torch.randn(HEADS, generator=generator))
        self.documents: torch.Tensor
        self.register_buffer("documents", torch.arange(200) // 7)

    def bias(self, score: Any, b: Any, h: Any, m: Any, n: Any) -> Any:
        return score + self.table[h, m - n + 100]

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> Any:
        slopes = torch.nn.functional.softplus(self.raw)

        def score(score: Any, b: Any, h: Any, m: Any, n: Any) -> Any:
            return self.bias(score, b, h, m, n) - slopes[h] * (m - n).abs()

        mask = lambda b, h, m, n: self.documents[m] == self.documents[n]  # noqa: E731
        return attnc.flex_attention(q, k, v, score, mask_mod=mask).transpose(1, 2).flatten(2) * 2


@SLOW
def test_gradients_reach_parameters_through_what_a_callable_captures() -> None:
    layer, given = Layer(), inputs()
    wanted = [*given, *layer.parameters()]
    torch.testing.assert_close(gradients(whole(layer)(*given), wanted), gradients(layer(*given), wanted))


def test_what_is_compiled_is_the_operator_alone() -> None:
    graphs: list[torch.fx.GraphModule] = []

    def kept(graph: torch.fx.GraphModule, _: Any) -> Callable[..., Any]:
        graphs.append(graph)
        return graph.forward

    layer = Layer()
    out = whole(layer, aot_autograd(fw_compiler=kept, bw_compiler=kept))(*inputs())
    out.sum().backward()
    calls = [[str(node.target) for node in graph.graph.nodes if node.op == "call_function"] for graph in graphs]
    assert [[call for call in own if "attnc" in call] for own in calls] == [
        ["attnc.forward.default"],
        ["attnc.backward.default"],
    ]
    assert not any(word in call for own in calls for call in own for word in ("where", "index", "select", "abs"))
    assert layer.table.grad is not None
    values = [node.meta.get("val") for graph in graphs for node in graph.graph.nodes]
    assert all(value.numel() < HEADS * LENGTH**2 for value in values if isinstance(value, torch.Tensor))


@SLOW
def test_inductor_compiles_a_layer() -> None:
    layer, given = Layer(), inputs()
    found, wanted = whole(layer, "inductor")(*given), layer(*given)
    torch.testing.assert_close(found, wanted)
    parameters = list(layer.parameters())
    torch.testing.assert_close(gradients(found, parameters), gradients(wanted, parameters))


# ---- lengths and numbers -----------------------------------------------------------------------


@pytest.mark.parametrize(("dynamic", "graphs"), [pytest.param(True, 1, marks=SLOW), (None, 2)])
def test_one_compilation_serves_all_lengths(dynamic: bool | None, graphs: int) -> None:
    layer, counter = Layer(), CompileCounterWithBackend("aot_eager")
    compiled = whole(layer, counter, dynamic=dynamic)
    known: dict[str, int] = {}
    for length in (40, 17, 88, 31):
        given = inputs(length)
        wanted = [*given, *layer.parameters()]
        torch.testing.assert_close(gradients(compiled(*given), wanted), gradients(layer(*given), wanted))
        stats = {key: attnc.stats().get(key, 0) for key in ("analyses", "compilations")}
        assert stats == (known or stats)
        known = stats
    assert counter.frame_count == graphs  # the first one takes lengths for constants, unless told


@SLOW
def test_numbers_are_constants_of_the_graph() -> None:
    def attended(q: torch.Tensor, cap: float, window: int) -> Any:
        score = lambda score, b, h, m, n: cap * torch.tanh(score / cap) / q.shape[2]  # noqa: E731
        return attnc.flex_attention(q, q, q, score, mask_mod=lambda b, h, m, n: m - n < window)

    compiled = whole(attended, dynamic=True)
    for length, cap, window in ((9, 2.0, 3), (9, 3.0, 3), (12, 3.0, 4)):
        q, *_ = inputs(length)
        assert same(compiled(q, cap, window), attended(q, cap, window))


# ---- other doors -------------------------------------------------------------------------------


def blocks() -> Any:
    counts, which = torch.tensor([[[1, 2, 1]]]), torch.tensor([[[[0, 1, 2], [1, 2, 0], [2, 0, 1]]]])
    return BlockMask.from_kv_blocks(counts, which, BLOCK_SIZE=12, mask_mod=noop_mask)


@pytest.mark.parametrize(
    "made", [lambda: create_block_mask(sliding_window(5), None, None, LENGTH, LENGTH, device="cpu"), blocks]
)
@SLOW
def test_block_masks_are_followed(made: Callable[[], Any]) -> None:
    given, mask = inputs(), made()

    def attended(*given: torch.Tensor) -> Any:
        return attnc.flex_attention(*given, block_mask=mask)

    assert same(whole(attended)(*given), attended(*given))


@SLOW
def test_what_is_asked_for_beside_the_output_is_given() -> None:
    request = AuxRequest(lse=True, max_scores=True)

    def attended(*given: torch.Tensor) -> Any:
        return attnc.flex_attention(*given, alibi, return_aux=request)

    (out, found), (expected, wanted) = whole(attended)(*inputs()), attended(*inputs())
    assert same((out, found.lse, found.max_scores), (expected, wanted.lse, wanted.max_scores))


@SLOW
def test_a_region_of_lower_precision_is_part_of_a_graph() -> None:
    def attended(*given: torch.Tensor) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return attnc.flex_attention(*given, alibi)

    given = inputs()
    found, wanted = whole(attended)(*given), attended(*given)
    assert found.dtype == torch.bfloat16
    assert same([found, *gradients(found, given)], [wanted, *gradients(wanted, given)])


@SLOW
def test_vmap_inside_of_a_graph() -> None:
    slopes = torch.rand(HEADS)
    score = lambda score, b, h, m, n: score - slopes[h] * (m - n)  # noqa: E731
    batched = torch.func.vmap(lambda q: attnc.flex_attention(q, q, q, score, mask_mod=causal))
    q = torch.stack([item.detach() for item in inputs()])
    assert same(whole(lambda q: batched(q))(q), batched(q))


@SLOW
def test_a_checkpoint_in_a_graph_needs_leave_to_watch_subscripts() -> None:
    def attended(*given: torch.Tensor) -> Any:
        own = lambda q, k, v: attnc.flex_attention(q, k, v, alibi, mask_mod=causal)  # noqa: E731
        return checkpoint(own, *given, use_reentrant=False)

    given = inputs()
    with torch._dynamo.config.patch(skip_fwd_side_effects_in_bwd_under_checkpoint=True):
        found = whole(attended)(*given)
    assert same(gradients(found, given), gradients(attended(*given), given))
    torch._dynamo.reset()
    with pytest.raises(Exception, match="skip_fwd_side_effects_in_bwd_under_checkpoint"):
        whole(attended)(*given)


@pytest.mark.parametrize("strict", [False, pytest.param(True, marks=SLOW)])
def test_an_exported_program_serves_all_lengths(strict: bool) -> None:
    layer, given = Layer(), tuple(inputs(backward=False))
    length = Dim("length", min=2, max=100)
    program = export(layer, given, dynamic_shapes=({2: length},) * 3, strict=strict)
    names = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    assert names.count("attnc.forward.default") == 1
    assert not any("select" in name or "index" in name for name in names)
    for own in (LENGTH, 77):
        other = inputs(own, backward=False)
        assert same(program.module()(*other), layer(*other))


# ---- mistakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("score", "word"),
    [
        (lambda score, b, h, m, n: score.sum(), r"error\[A677\]"),
        (lambda score, b, h, m, n: score + torch.ones(4), r"error\[A678\]"),
        (lambda score, b, h, m, n: None, r"error\[A678\]"),
        (lambda score, b, h, m, n: score if m > n else -score, "[Dd]ata-dependent"),
    ],
)
def test_a_mistake_keeps_its_word(score: Callable[..., Any], word: str) -> None:
    with pytest.raises(Exception, match=word):
        whole(lambda q, k, v: attnc.flex_attention(q, k, v, score))(*inputs(backward=False))


def test_tensors_that_do_not_belong_together_are_refused() -> None:
    q, k, v = inputs(backward=False)
    with pytest.raises(Exception, match=r"error\[A680\]"):
        whole(lambda q, k, v: attnc.flex_attention(q, k, v))(q, k, v[:, :, 1:])
    with pytest.raises(Exception, match=r"error\[A680\]"):
        whole(lambda q, k, v: attnc.flex_attention(q, k, v, enable_gqa=True))(q[:, :3], k, v)
