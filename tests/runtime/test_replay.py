"""Plain calls of a kind that is known are run again without asking what to run."""

from collections.abc import Callable

import pytest
import torch

import attnc
from attnc.ir.target import find_target
from attnc.runtime.attention import Attention
from attnc.runtime.bind import bind
from attnc.runtime.execute import execute
from attnc.runtime.kinds import kind_of
from attnc.runtime.replay import Tape

SOFTMAX = """attention a(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]; cap: real = 30.0) -> O, L:
    S[b,h,m,n] = cap * tanh(sum[e](Q * K) / sqrt(E) / cap)
    O[b,h,m,f] = sum[n](softmax[n](S) * V)
    L[b,h,m] = logsumexp[n](S)
"""
TWO = """attention a(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]) -> O:
    A[b,h,m,n] = softmax[n](sum[e](Q * K))
    T[b,h,n] = max[m](A)
    O[b,h,m,f] = sum[n](A * T * V)
"""


def tensors(n: int = 20, m: int = 7, seed: int = 0) -> list[torch.Tensor]:
    dice = torch.Generator().manual_seed(seed)
    return [torch.randn(2, 3, size, 8, generator=dice) for size in (m, n, n)]


def known(attention: Attention) -> int:
    return sum(isinstance(item, tuple) for item in attention._replays.kinds.values())


@pytest.mark.parametrize("text", [SOFTMAX, TWO])
def test_a_kind_that_is_known_gives_the_same_bits(text: str) -> None:
    attention = attnc.compile(text)
    for seed in range(4):
        given = tensors(seed=seed)
        found, fresh = attention(*given), attnc.compile(text)(*given)
        for one, other in zip(found, fresh, strict=True):
            assert torch.equal(one, other)
        assert known(attention) == (seed >= 1)
    assert attention.last_run is not None
    assert [run.backend for run in attention.last_run.stages] == ["cpp"] * len(attention.program().plan.stages)


def test_one_tensor_in_several_places_is_not_taken_for_the_rule() -> None:
    attention = attnc.compile(SOFTMAX)
    x, y, z = (torch.randn(1, 2, 6, 8) for _ in range(3))
    for _ in range(3):
        attention(x, x, x)
    for given in ((x, y, z), (x, y, y), (y, y, y), (z, x, y), (x, z, y)):
        assert torch.equal(attention(*given).O, attnc.compile(SOFTMAX)(*given).O)
    assert known(attention) == 1


def test_outputs_of_a_replay_are_its_own() -> None:
    attention = attnc.compile(SOFTMAX)
    given = tensors()
    results = [attention(*given) for _ in range(4)]
    assert len({item.O.data_ptr() for item in results}) == 4
    results[3].O.zero_()
    assert results[2].O.abs().sum() > 0


def test_what_lies_between_is_released_after_its_last_reader() -> None:
    attention = attnc.compile(TWO)
    for _ in range(2):
        attention(*tensors())
    ((replay, _),) = [item for item in attention._replays.kinds.values() if isinstance(item, tuple)]
    released = {place for step in replay.steps for place in getattr(step, "done", ())}
    assert released == set(range(replay.places)) - set(replay.outputs)


@pytest.mark.parametrize(
    "other",
    [
        lambda q, k, v: (q.bfloat16(), k.bfloat16(), v.bfloat16()),
        lambda q, k, v: (q, k[:, :, :9], v[:, :, :9]),
        lambda q, k, v: (q, k.mT.contiguous().mT, v),
        lambda q, k, v: (q[:, :1], k[:, :1], v[:, :1]),
    ],
    ids=["types", "extents", "strides", "heads"],
)
def test_another_kind_is_not_taken_for_a_known_one(other: Callable[..., tuple[torch.Tensor, ...]]) -> None:
    attention = attnc.compile(SOFTMAX)
    given = tensors()
    for _ in range(3):
        attention(*given)
    changed = other(*given)
    found, fresh = attention(*changed), attnc.compile(SOFTMAX)(*changed)
    assert torch.equal(found.O, fresh.O)
    assert found.O.dtype == changed[0].dtype


def test_options_are_part_of_a_kind() -> None:
    attention = attnc.compile(SOFTMAX)
    given = tensors()
    for cap in (1.0, 30.0, 1, 2.0):
        expected = attnc.compile(SOFTMAX)(*given, cap=cap).O
        for _ in range(3):
            assert torch.equal(attention(*given, cap=cap).O, expected)


def test_mistakes_after_known_calls_are_still_told() -> None:
    attention = attnc.compile(SOFTMAX)
    q, k, v = tensors()
    for _ in range(3):
        attention(q, k, v)
    with pytest.raises(attnc.AttnError, match="A601"):
        attention(q, k, v[:, :, :5])
    with pytest.raises(attnc.AttnError, match="A603"):
        attention(q, k, v.int())
    with pytest.raises(attnc.AttnError, match="A607"):
        attention(q, k, v, q)
    with pytest.raises(attnc.AttnError, match="A606"):
        attention(q, k, v, Z=q)


def test_gradients_are_recorded_among_known_calls() -> None:
    attention = attnc.compile(SOFTMAX)
    given = tensors()
    plain = [attention(*given).O for _ in range(3)][-1]
    given[0].requires_grad_()
    found = attention(*given).O
    found.sum().backward()
    assert given[0].grad is not None
    torch.testing.assert_close(found, plain)
    with torch.no_grad():
        assert not attention(*given).O.requires_grad


def test_calls_that_are_more_than_plain_have_no_kind() -> None:
    q = torch.randn(2, 3)
    assert kind_of((q, 1), {"x": 2.0}) is not None
    assert kind_of((q, 0.0), {}) != kind_of((q, -0.0), {})
    assert kind_of((q.clone().requires_grad_(),), {}) is None
    assert kind_of((q.to_sparse(),), {}) is None
    assert kind_of(([q],), {}) is None
    assert kind_of((torch._neg_view(q),), {}) is None
    with torch.autocast("cpu"):
        assert kind_of((q,), {}) is None
    with torch.autograd.forward_ad.dual_level():
        assert kind_of((q,), {}) is None


def test_the_number_of_kinds_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnc.runtime.replay.MOST", 4)
    attention = attnc.compile(SOFTMAX)
    q, k, v = tensors()
    for n in range(1, 20):
        attention(q, k[:, :, :n], v[:, :, :n])
    assert 0 < len(attention._replays.kinds) <= 4


@pytest.mark.parametrize("target", ["cpu", "sm_90"])
def test_a_tape_plays_the_same_on_other_tensors(target: str) -> None:
    program = attnc.compile(TWO).program()
    given = tensors()
    tape = Tape(given)
    outputs, _ = execute(program, bind(program.stated, given, {}), find_target(target), tape=tape)
    replay = tape.replay(list(outputs.values()))
    assert replay is not None
    others = tensors(seed=5)
    expected, _ = execute(program, bind(program.stated, others, {}), find_target(target))
    assert torch.equal(replay(others)[0], expected["O"])


def test_statements_between_kernels_are_not_replayed() -> None:
    attention = attnc.compile(
        "attention a(X[b,m,n]) -> Y:\n    A[b,m,n] = softmax[n](X)\n    Y[b] = sum[m,n](A * A) + max[m](A[b,m,0])\n"
    )
    x = torch.randn(2, 5, 6)
    for _ in range(3):
        attention(x)
    assert attention.last_run is not None
    assert any(run.backend == "torch" for run in attention.last_run.stages)
    assert known(attention) == 0


def test_what_a_call_makes_for_itself_is_allocated_at_once() -> None:
    attention = attnc.compile(SOFTMAX)
    given = [torch.randn(1, 1, size, 8) for size in (1, 5000, 5000)]
    first = attention(*given).O
    assert attention.last_run is not None
    assert attention.last_run.stages[0].plan == "split"
    assert all(torch.equal(attention(*given).O, first) for _ in range(3))
    (replay,) = (known[0] for known in attention._replays.kinds.values() if isinstance(known, tuple))
    offsets = [offset for _, offset in replay.parts]
    assert len(offsets) > 1
    assert all(offset % 64 == 0 and offset < replay.room for offset in offsets)
    assert {place for place, _ in replay.parts}.isdisjoint(replay.outputs)


def test_what_is_empty_between_kernels_has_a_place_too() -> None:
    attention = attnc.compile(
        "attention a(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]) -> O:\n    A[b,h,m,n] = sigmoid(sum[e](Q * K))\n"
        "    T[b,h,n] = max[m](A)\n    U[b,h,n] = sum[m](A)\n    O[b,h,m,f] = sum[n](A * T * U * V)\n"
    )
    given = tensors(n=0)
    assert all(torch.equal(attention(*given), torch.zeros(2, 3, 7, 8)) for _ in range(4))
    assert any(isinstance(known, tuple) and len(known[0].parts) > 1 for known in attention._replays.kinds.values())
