"""FlexAttention's callables on attnc agree with PyTorch's own evaluation of them in float64."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import torch
from torch._dynamo._trace_wrapped_higher_order_op import TransformGetItemToIndex
from torch.nn.attention import flex_attention as theirs
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, noop_mask

import attnc
from attnc.contract import FORWARD, GRADIENT, Reference, gradient_scale, judge, says_nothing
from attnc.flex import known
from attnc.flex.known import recalled
from attnc.flex.program import Form, attention_of
from attnc.flex.rules import Call, rules_of
from tests.flex.rules import BATCH, CASES, HEADS, LENGTH, Case, Rule, causal, sliding_window

Tensors = list[torch.Tensor]
SLOW = pytest.mark.exhaustive
CALL = Call(torch.device("cpu"), torch.float32, dict.fromkeys("bhmn", HEADS))
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own word on its eager evaluation
        yield


def inputs(dtype: torch.dtype, keys: int = HEADS, length: int = LENGTH) -> Tensors:
    generator = torch.Generator().manual_seed(0)
    heads = (HEADS, keys, keys)
    return [torch.randn(BATCH, own, length, 16, generator=generator).to(dtype) for own in heads]


@contextmanager
def captured_as(case: Case, dtype: torch.dtype | None, backward: bool) -> Iterator[None]:
    """The captured tensors in a type for a while, with gradients if asked for."""
    kept = [item.data for item in case.captured]
    for item in case.captured:
        item.data = item.data.to(dtype or item.dtype)
        item.requires_grad_(backward)
    yield
    for item, data in zip(case.captured, kept, strict=True):
        item.requires_grad_(False)
        item.data = data


def definition(case: Case, tensors: Tensors, dtype: torch.dtype, *, backward: bool) -> Tensors:
    """The output, its logsumexp and gradients by PyTorch's vmap of the callables, all in a type."""
    with captured_as(case, dtype, backward):
        query, key, value = given = [item.detach().to(dtype).requires_grad_(backward) for item in tensors]
        repeats = query.shape[1] // key.shape[1]
        keys, values = (item.repeat_interleave(repeats, 1) for item in (key, value))
        scores = query @ keys.transpose(-2, -1) / query.shape[-1] ** 0.5
        positions = [torch.arange(extent) for extent in scores.shape]
        with TransformGetItemToIndex():
            if case.score is not None:
                scores = theirs._vmap_for_bhqkv(case.same or case.score, prefix=(0,))(scores, *positions).to(dtype)
            if case.mask is not None:
                seen = theirs._vmap_for_bhqkv(case.mask, prefix=())(*positions)
                scores = torch.where(seen, scores, -float("inf"))
        lse = torch.logsumexp(scores, -1)
        out = torch.where(torch.isfinite(lse)[..., None], torch.softmax(scores, -1), 0.0) @ values
        return [out, lse, *(gradients(out, lse, [*given, *case.captured], tensors) if backward else [])]


def gradients(out: torch.Tensor, lse: torch.Tensor, wanted: Sequence[torch.Tensor], given: Tensors) -> Tensors:
    """What comes in at the wanted tensors; the same comes in at the outputs, whatever the type."""
    generator = torch.Generator().manual_seed(9)
    incoming = [
        torch.randn(out.shape, generator=generator).to(given[0].dtype),
        torch.randn(lse.shape, generator=generator),
    ]
    incoming[1] = torch.where(torch.isfinite(lse), incoming[1], 0.0)
    return list(torch.autograd.grad([out, lse], wanted, [incoming[0].to(out.dtype), incoming[1].to(lse.dtype)]))


def verdicts(case: Case, dtype: torch.dtype, keys: int = HEADS, *, backward: bool = False) -> None:
    tensors = inputs(dtype, keys)
    exact = definition(case, tensors, torch.float64, backward=backward)
    plain, wide = (definition(case, tensors, own, backward=backward) for own in (dtype, torch.float32))
    with captured_as(case, None, backward):
        given = [item.requires_grad_(backward) for item in tensors]
        out, lse = attnc.flex_attention(
            *given, score_mod=case.score, mask_mod=case.mask, enable_gqa=keys != HEADS, return_lse=True
        )
        found = [out, lse, *(gradients(out, lse, [*given, *case.captured], tensors) if backward else [])]
    names = ("out", "lse", "query", "key", "value", *(f"captured {i}" for i in range(len(case.captured))))
    every = dict(zip(names[2:], exact[2:], strict=False))
    for name, y, r, t, narrow in zip(names, found, exact, plain, wide, strict=False):
        scale = gradient_scale(every, name) if name in every else largest(r)
        t = narrow.to(t.dtype) if says_nothing(t.double(), r) or name == "lse" else t
        reference = Reference(r.detach(), t.detach().double(), scale)
        verdict = judge(name, y.detach(), reference, GRADIENT if name in every else FORWARD)
        assert verdict.passed, verdict


def largest(value: torch.Tensor) -> float:
    finite = value[torch.isfinite(value)]
    return float(finite.abs().max()) if finite.numel() else 0.0


@pytest.mark.parametrize("name", CASES)
def test_outputs_agree(name: str) -> None:
    verdicts(CASES[name], torch.float32)


QUICK = ("captured alibi", "buckets", "padding", "causal by score")


@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=SLOW) for name in CASES])
def test_definition_is_that_of_flex_attention(name: str) -> None:
    q, k, v = inputs(torch.float64)
    case = CASES[name]
    made = create_block_mask(case.mask, BATCH, HEADS, LENGTH, LENGTH, device="cpu") if case.mask else None
    with captured_as(case, torch.float64, False):
        expected = theirs.flex_attention(q, k, v, score_mod=case.score, block_mask=made, return_lse=True)
    for found, wanted in zip(definition(case, [q, k, v], torch.float64, backward=False), expected, strict=True):
        assert torch.allclose(found, wanted, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("name", ["buckets", "temperature", "rows then columns"])
def test_gradients_agree(name: str) -> None:
    verdicts(CASES[name], torch.float32, backward=True)


@pytest.mark.parametrize("name", ["captured alibi", "padding"])
def test_bfloat16_and_shared_heads_agree(name: str) -> None:
    verdicts(CASES[name], torch.bfloat16, keys=2, backward=True)


@pytest.mark.exhaustive
@pytest.mark.parametrize("keys", [HEADS, 2, 1])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_all_agree(name: str, dtype: str, keys: int) -> None:
    verdicts(CASES[name], DTYPES[dtype], keys, backward=True)


def test_rows_that_see_nothing_give_nothing() -> None:
    q, k, v = inputs(torch.float32)
    out, lse = attnc.flex_attention(q, k, v, mask_mod=lambda b, h, m, n: n > m + 3, return_lse=True)
    assert (out[:, :, -4:] == 0).all()
    assert (lse[:, :, -4:] == -float("inf")).all()
    assert torch.isfinite(lse[:, :, :-4]).all()


def test_what_is_given_out_of_each_row() -> None:
    q, k, v = inputs(torch.float32)
    seen = torch.arange(LENGTH) > torch.arange(LENGTH)[:, None] + 3
    scores = torch.where(seen, q @ k.transpose(-2, -1) / 4, -float("inf"))  # PyTorch gives out no maximum on a CPU
    expected = (torch.logsumexp(scores, -1), scores.amax(-1))
    for asked in (theirs.AuxRequest(lse=True), theirs.AuxRequest(max_scores=True), theirs.AuxRequest(True, True)):
        _, found = attnc.flex_attention(
            q, k, v, mask_mod=lambda b, h, m, n: n > m + 3, return_aux=asked, kernel_options={"BLOCK_M": 64}
        )
        assert isinstance(found, theirs.AuxOutput)
        for wanted, one, other in zip(asked, found, expected, strict=True):
            assert wanted == (one is not None)
            assert one is None or torch.allclose(one, other, atol=1e-5)


# ---- one trace, one compilation -----------------------------------------------------------------


def compilations() -> tuple[int, int]:
    stats = attnc.stats()
    return stats.get("analyses", 0), stats.get("compilations", 0)


def test_a_hundred_lengths_are_one_compilation() -> None:
    slopes = torch.rand(HEADS)

    def score(score: torch.Tensor, b: Any, h: Any, m: Any, n: Any) -> torch.Tensor:
        bias: torch.Tensor = slopes[h] * (m - n) * 0.71
        return score - bias

    def attended(length: int) -> torch.Tensor:
        out = attnc.flex_attention(*inputs(torch.float32, length=length), score_mod=score, mask_mod=causal)
        assert isinstance(out, torch.Tensor)
        return out

    analyses, compiled = compilations()
    attended(17)
    assert compilations() == (analyses + 1, compiled + 1)
    for length in range(18, 118):
        assert attended(length).shape == (BATCH, HEADS, length, 16)
    assert compilations() == (analyses + 1, compiled + 1)


def test_gradients_of_a_table_by_distance_are_one_compilation() -> None:
    table = torch.randn(HEADS, 300, requires_grad=True)
    seen = []
    for length in (20, 29, 54, 97):
        given = [item.requires_grad_() for item in inputs(torch.float32, length=length)]
        out = attnc.flex_attention(*given, score_mod=lambda s, b, h, m, n: s + table[h, m - n])
        torch.autograd.grad(out.sum(), [*given, table])
        seen.append(compilations())
    assert seen == seen[:1] * 4


FACTOR = 1.0


Change = Callable[[float], None]
Holder = Callable[[pytest.MonkeyPatch], tuple[Rule, Change]]


def in_a_cell(_: pytest.MonkeyPatch) -> tuple[Rule, Change]:
    factor = 1.0

    def change(value: float) -> None:
        nonlocal factor
        factor = value

    return lambda score, b, h, m, n: score * factor, change


def in_a_nested_function(patch: pytest.MonkeyPatch) -> tuple[Rule, Change]:
    inner, change = in_a_cell(patch)
    return lambda score, b, h, m, n: inner(score, b, h, m, n), change


def in_the_module(patch: pytest.MonkeyPatch) -> tuple[Rule, Change]:
    def score(score: Any, b: Any, h: Any, m: Any, n: Any) -> Any:
        return (lambda x: x * FACTOR)(score)

    return score, lambda value: patch.setitem(globals(), "FACTOR", value)


def in_a_default(_: pytest.MonkeyPatch) -> tuple[Rule, Change]:
    def score(score: Any, b: Any, h: Any, m: Any, n: Any, *, factor: float = 1.0) -> Any:
        return score * factor

    def change(value: float) -> None:
        score.__kwdefaults__ = {"factor": value}

    return score, change


def in_a_partial(_: pytest.MonkeyPatch) -> tuple[Rule, Change]:
    def score(score: Any, b: Any, h: Any, m: Any, n: Any, factors: list[float]) -> Any:
        return score * factors[0]

    factors = [1.0]
    return partial(score, factors=factors), lambda value: factors.__setitem__(0, value)


def in_an_object(_: pytest.MonkeyPatch) -> tuple[Rule, Change]:
    class Scaled:
        factor = 1.0

        def __call__(self, score: Any, b: Any, h: Any, m: Any, n: Any) -> Any:
            return score * self.factor

    held = Scaled()
    return held, lambda value: setattr(held, "factor", value)


def in_a_tensor_that_is_branched_on(_: pytest.MonkeyPatch) -> tuple[Rule, Change]:
    factor = torch.ones(())

    def change(value: float) -> None:
        factor.fill_(value)

    return lambda score, b, h, m, n: score * factor.item(), change


def in_the_shape_of_a_tensor(_: pytest.MonkeyPatch) -> tuple[Rule, Change]:
    held = torch.ones(1)

    def change(value: float) -> None:
        nonlocal held
        held = torch.ones(int(value))

    return lambda score, b, h, m, n: score * held.shape[0] * held[0], change


@pytest.mark.parametrize(
    "holder",
    [
        in_a_cell,
        in_a_nested_function,
        in_the_module,
        in_a_default,
        in_a_partial,
        in_an_object,
        in_a_tensor_that_is_branched_on,
        in_the_shape_of_a_tensor,
    ],
)
def test_a_changed_number_is_never_ignored(holder: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    rule, change = holder(monkeypatch)
    seen = []
    for factor in (1.0, 2.0, 1.0):
        change(factor)
        rules, _ = recalled(rule, (), CALL)
        assert recalled(rule, (), CALL)[0] == rules
        seen.append(rules)
    assert seen[0] == seen[2]
    assert seen[0] != seen[1]
    assert str(seen[1].score).count("2") > str(seen[0].score).count("2")


def test_what_is_known_is_not_traced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    traced = []

    def counting(*args: Any) -> Any:
        traced.append(args)
        return rules_of(*args)

    monkeypatch.setattr(known, "rules_of", counting)

    def rule(slopes: torch.Tensor, other: torch.Tensor) -> Rule:
        return lambda score, b, h, m, n: score - slopes[h] * (m - n) + other[h]

    first, second = torch.ones(HEADS), torch.zeros(HEADS)
    for _ in range(3):
        rules, tensors = recalled(rule(first, second), (causal,), CALL)
    assert len(traced) == 1
    assert [item is held for item, held in zip(tensors.values(), (first, second), strict=True)] == [True, True]
    fresh = torch.ones(HEADS)
    again, tensors = recalled(rule(fresh, first), (causal,), CALL)
    assert again is rules
    assert tensors["slopes"] is fresh
    same, tensors = recalled(rule(first, first), (causal,), CALL)
    assert len(tensors) == 1
    assert same != rules
    assert len(traced) == 2


def test_numbers_that_keep_changing_are_announced() -> None:
    rule, change = in_a_cell(pytest.MonkeyPatch())
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for step in range(16):
            assert not told
            change(7.0 + step)
            rules, _ = recalled(lambda score, b, h, m, n: rule(score, b, h, m, n) - 0.125, (), CALL)
            attention_of(Form(rules, None, False))
    assert "numbers in them change" in str(told[0].message)
    assert len(told) == 1


def test_captured_tensors_are_read_anew() -> None:
    q, k, v = inputs(torch.float32)
    slopes, limit = torch.zeros(HEADS), torch.tensor(LENGTH)

    def score(score: Any, b: Any, h: Any, m: Any, n: Any) -> Any:
        return score - slopes[h] * (m - n)

    def mask(b: Any, h: Any, m: Any, n: Any) -> Any:
        return n < limit

    def found() -> torch.Tensor:
        out = attnc.flex_attention(q, k, v, score_mod=score, mask_mod=mask)
        assert isinstance(out, torch.Tensor)
        return out

    plain = found()
    known = compilations()
    slopes.fill_(0.3)
    changed = found()
    limit.fill_(5)
    cut = found()
    assert not torch.allclose(plain, changed)
    expected = theirs.flex_attention(
        q, k, v, score_mod=score, block_mask=create_block_mask(mask, None, None, LENGTH, LENGTH, device="cpu")
    )
    assert torch.allclose(cut, expected, atol=1e-5)
    assert compilations() == known


def test_gradients_reach_what_captured_tensors_are_made_of() -> None:
    q, k, v = inputs(torch.float32)
    raw = torch.zeros(HEADS, requires_grad=True)

    def score(score: Any, b: Any, h: Any, m: Any, n: Any) -> Any:
        return score - torch.nn.functional.softplus(raw)[h] * (m - n)

    attnc.flex_attention(q, k, v, score_mod=score, mask_mod=causal).square().sum().backward()
    assert raw.grad is not None
    assert (raw.grad != 0).all()


# ---- block masks --------------------------------------------------------------------------------


def test_block_mask_is_followed_by_its_rule() -> None:
    q, k, v = inputs(torch.float32)
    made = create_block_mask(sliding_window(5), None, None, LENGTH, LENGTH, device="cpu")
    expected = theirs.flex_attention(q, k, v, block_mask=made)
    assert torch.allclose(attnc.flex_attention(q, k, v, None, made), expected, atol=1e-5)


def test_block_mask_without_a_rule_is_followed_by_its_blocks() -> None:
    q, k, v = inputs(torch.float32)
    counts, blocks = torch.tensor([[[1, 2, 1]]]), torch.tensor([[[[0, 1, 2], [1, 2, 0], [2, 0, 1]]]])
    made = BlockMask.from_kv_blocks(counts, blocks, BLOCK_SIZE=12, mask_mod=noop_mask)
    seen = torch.tensor([[1, 0, 0], [0, 1, 1], [0, 0, 1]], dtype=torch.bool)
    seen = seen.repeat_interleave(12, 0).repeat_interleave(12, 1)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    assert torch.allclose(attnc.flex_attention(q, k, v, block_mask=made), expected, atol=1e-5)


def test_nothing_as_large_as_the_scores_is_kept() -> None:
    q = torch.zeros(1, 1, 200_000, 8)
    k = torch.zeros(1, 1, 200_000, 8)
    out = attnc.flex_attention(q[:, :, :64], k, k, mask_mod=lambda b, h, m, n: n == m * 3 + 1)
    assert out.shape == (1, 1, 64, 8)


def test_the_program_reads_as_one_writes_it() -> None:
    slopes, table = torch.rand(HEADS), torch.rand(3 * LENGTH)

    def score(score: Any, b: Any, h: Any, m: Any, n: Any) -> Any:
        return torch.where(n <= m, score - slopes[h] * (m - n) + table[m - n], -float("inf"))

    rules, _ = recalled(score, (), Call(torch.device("cpu"), torch.float32, {"b": 2, "h": HEADS, "m": 8, "n": 8}))
    text = attention_of(Form(rules, None, True)).spec.source.text
    assert (
        text
        == """attention flex_attention(Q[b,h,m,e], K[b,g,n,e], V[b,g,n,f], slopes[h], table[table_0]) -> O:
    require H % G == 0 and G >= 1
    S[b,h,m,n] = Q * K[b,h // (H // G),n,e] / sqrt(E)
    Z[b,h,m,n] = S - slopes[h] * (m - n) + table[m - n if m - n >= 0 else m - n + TABLE_0] where n <= m
    A[b,h,m,n] = softmax[n](Z)
    O[b,h,m,f] = A * V[b,h // (H // G),n,f]
"""
    )
