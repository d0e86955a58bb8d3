"""Modules and what holds them: parameters, state, copies, checkpoints, workers, regions of lower precision."""

import copy
import io
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Dataset

import attnc
import attnc.nn
from attnc import AttnError
from attnc.runtime.attention import Attention
from tests.pytorch.cases import EXAMPLES, attention, equal, inputs, leaves, listed, loss, pull

TEXT = """
attention own(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], slope[h]; W: int = 4) -> O, L:
    index N - M <= m < N
    S[b,h,m,n] = sum[e](Q * K) / sqrt(E) - slope * (m - n) where 0 <= m - n < W
    O[b,h,m,f] = softmax[n](S) * V
    L[b,h,m]   = logsumexp[n](S)
"""


def qkv() -> tuple[torch.Tensor, ...]:
    """Queries, keys and values."""
    return tuple(torch.randn(2, 2, 5, 4) for _ in range(3))


# ---- attnc.nn.Attention ------------------------------------------------------------------------


def test_learned_inputs_are_parameters() -> None:
    layer = attnc.nn.Attention("std:alibi", learned={"slope": (2,)}, dtype=torch.float64)
    assert {name: (p.shape, p.dtype) for name, p in layer.named_parameters()} == {"slope": ((2,), torch.float64)}
    assert equal(layer.slope, torch.zeros(2, dtype=torch.float64))
    assert repr(layer) == "Attention(alibi(Q, K, V), learned slope: [2])"
    assert repr(attnc.nn.Attention("std:window_softmax", W=3)) == "Attention(window_softmax(Q, K, V), W=3)"


def test_a_module_calls_its_attention() -> None:
    q, k, v = qkv()
    layer = attnc.nn.Attention(attnc.compile(TEXT), learned={"slope": torch.tensor([0.5, 2.0])}, W=3)
    wanted = attnc.compile(TEXT)(q, k, v, torch.tensor([0.5, 2.0]), W=3)
    for found in (layer(q, k, v), layer(q, V=v, K=k), layer(q, k, v, W=3)):
        assert found._fields == ("O", "L")
        assert all(equal(own, right) for own, right in zip(found, wanted, strict=True))
    assert equal(layer(q, k, v, W=5).O, attnc.compile(TEXT)(q, k, v, torch.tensor([0.5, 2.0]), W=5).O)
    pull(loss(layer(q, k, v)))
    slope = torch.tensor([0.5, 2.0]).requires_grad_()
    pull(loss(attnc.compile(TEXT)(q, k, v, slope, W=3)))
    assert equal(layer.slope.grad, slope.grad)


def test_state_goes_from_one_module_to_another() -> None:
    one, other = (attnc.nn.Attention("std:alibi", learned={"slope": torch.rand(2)}) for _ in range(2))
    other.load_state_dict(one.state_dict())
    assert list(one.state_dict()) == ["slope"]
    assert equal(other.slope, one.slope)
    assert other.double().slope.dtype == torch.float64


def test_a_module_without_memory_is_filled_later() -> None:
    layer = attnc.nn.Attention("std:sink_softmax", learned={"sink": torch.tensor([1.0, 2.0])}, device="meta")
    layer.to_empty(device="cpu")
    layer.reset_parameters()
    assert equal(layer.sink, torch.tensor([1.0, 2.0]))


def test_a_module_steps() -> None:
    own, given = attention("state"), inputs(attention("state"))
    layer = attnc.nn.Attention(own, learned={"g": given["g"]})
    found, state = layer.step(given["Q"], given["K"], given["V"])
    wanted, right = own.step(**given)
    assert equal(found, wanted)
    assert equal(state["H0"], right["H0"])


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: attnc.nn.Attention("std:alibi", learned={"slop": (2,)}), "A606"),
        (lambda: attnc.nn.Attention("std:alibi", learned={"slope": (2, 3)}), "A602"),
        (lambda: attnc.nn.Attention("std:document_softmax", learned={"doc_q": (2, 3)}), "A603"),
        (lambda: attnc.nn.Attention("std:alibi", learned={"slope": (2,)})(*qkv(), torch.rand(2)), "A607"),
        (lambda: attnc.nn.Attention("std:alibi", learned={"slope": (2,)})(*qkv(), V=torch.rand(2)), "A606"),
        (lambda: attnc.nn.Attention("std:alibi", learned={"slope": (3,)})(*qkv()), "A601"),
        (lambda: attnc.nn.Attention("std:window_softmax", w=3)(*qkv()), "A606"),
    ],
)
def test_a_wrong_module_has_a_word_of_its_own(make: Any, code: str) -> None:
    with pytest.raises(AttnError) as mistake:
        make()
    assert mistake.value.code == code


# ---- copies ------------------------------------------------------------------------------------


def by_pickle(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


def by_torch(value: Any) -> Any:
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.fixture
def loaded(tmp_path: Path) -> list[Attention]:
    """Attentions of the library, of a text, of a file that uses a module of its folder, and of a strict one."""
    (tmp_path / "mine.attn").write_text("mask near(m, n) = 0 <= m - n < 2\n")
    (tmp_path / "near.attn").write_text(
        TEXT.replace("0 <= m - n < W", "near(m, n)").replace("\nattention", "use mine: near\nattention")
    )
    return [
        attnc.load("std:alibi"),
        attnc.compile(TEXT),
        attnc.load(tmp_path / "near.attn"),
        attnc.load("std:alibi", strict=True),
        attnc.load(EXAMPLES[1]),
    ]


@pytest.mark.parametrize("copied", [by_pickle, by_torch, copy.deepcopy, copy.copy])
def test_a_copy_gives_the_same_bits(copied: Any, loaded: list[Attention]) -> None:
    q, k, v = qkv()
    for own in loaded:
        other = copied(own)
        assert (other.strict, other.signature) == (own.strict, own.signature)
        wanted = listed(own(q, k, v, torch.ones(2)))
        assert all(equal(x, y) for x, y in zip(listed(other(q, k, v, torch.ones(2))), wanted, strict=True))


def test_a_copy_needs_no_file(tmp_path: Path) -> None:
    file = tmp_path / "own.attn"
    file.write_text(TEXT)
    kept = pickle.dumps(attnc.load(file))
    file.unlink()
    assert pickle.loads(kept)(*qkv(), torch.ones(2)).O.shape == (2, 2, 5, 4)


def test_modules_are_copied_with_their_parameters() -> None:
    layer, (q, k, v) = attnc.nn.Attention("std:alibi", learned={"slope": torch.rand(2)}), qkv()
    for other in (by_pickle(layer), by_torch(layer), copy.deepcopy(layer)):
        assert equal(other(q, k, v), layer(q, k, v))
        assert other.slope is not layer.slope


def test_several_outputs_can_be_sent_to_another_process() -> None:
    found = attnc.compile(TEXT)(*qkv(), torch.ones(2))
    other = by_pickle(found)
    assert type(other) is type(found)
    assert equal(other.L, found.L)


# ---- training ----------------------------------------------------------------------------------


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpoint_changes_nothing(reentrant: bool) -> None:
    own = attnc.compile(TEXT)
    plain, kept = (leaves(inputs(attention(EXAMPLES[1]))) for _ in range(2))
    pull(loss(own(**plain)))
    names = list(kept)
    again = checkpoint(
        lambda *values: tuple(own(**dict(zip(names, values, strict=True)))), *kept.values(), use_reentrant=reentrant
    )
    pull(loss(again))
    for name in names:
        assert equal(plain[name].grad, kept[name].grad)


class Rows(Dataset[torch.Tensor]):
    """Data that an attention makes in the process that loads them."""

    def __init__(self) -> None:
        self.attention = attnc.load("std:causal_softmax")
        self.rows = torch.randn(6, 1, 2, 40, 8)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> torch.Tensor:
        row = self.rows[place]
        found: torch.Tensor = self.attention(row, row, row)
        return found


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_of_a_loader_can_call_it(start: str) -> None:
    rows = Rows()
    wanted = torch.stack([rows[place] for place in range(6)])  # the parent has called it
    loader = DataLoader(
        rows, batch_size=3, num_workers=2 if start == "fork" else 1, multiprocessing_context=start, timeout=120
    )
    torch.testing.assert_close(torch.cat(list(loader)), wanted, rtol=1e-6, atol=1e-6)


# ---- regions of lower precision ----------------------------------------------------------------


def test_a_region_casts_what_is_real() -> None:
    own, (q, k, v), slope = attnc.load("std:alibi"), qkv(), torch.rand(2)
    with torch.autocast("cpu", torch.bfloat16):
        found = own(q, k.half(), v, slope=slope)
        wide = own(q.double(), k.double(), v.double(), slope.double())
    wanted = own(q.bfloat16(), k.half().bfloat16(), v.bfloat16(), slope.bfloat16())
    assert found.dtype == torch.bfloat16
    assert equal(found, wanted)
    assert equal(wide, own(q.double(), k.double(), v.double(), slope.double()))


@pytest.mark.filterwarnings("ignore:attnc")
@pytest.mark.parametrize("case", [EXAMPLES[3], "state", "learning"])
def test_arithmetic_in_a_region_stays_what_it_is(case: Path | str) -> None:
    own = attention(case)
    low = {k: v.bfloat16() if v.is_floating_point() else v for k, v in inputs(own).items()}
    plain, inside = leaves(low), leaves(low)
    pull(loss(own(**plain)))
    with torch.autocast("cpu", torch.bfloat16):
        pull(loss(own(**inside)))
        exact = own.reference(**low)
    assert all(equal(one.grad, other.grad) for one, other in zip(plain.values(), inside.values(), strict=True))
    assert all(equal(x, y) for x, y in zip(listed(exact), listed(own.reference(**low)), strict=True))


def test_gradients_of_a_region_come_in_the_types_of_the_inputs() -> None:
    own, given = attnc.load("std:alibi"), leaves(inputs(attention(EXAMPLES[1])))
    with torch.autocast("cpu", torch.bfloat16):
        found = own(**given)
    pull(found.float().sum())
    assert {value.grad.dtype for value in given.values() if value.grad is not None} == {torch.float32}
