"""What may be given to a call: layouts and numbers that are served, and everything else with a word on why not."""

from collections.abc import Callable

import numpy
import pytest
import torch

import attnc
from attnc import AttnError
from attnc.contract import judge, references
from attnc.runtime.attention import Attention

SHAPE = (2, 3, 17, 8)


def dense(seed: int = 0) -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def alibi() -> Attention:
    return attnc.load("std:alibi", strict=True)


# ---- layouts --------------------------------------------------------------------------------


def turned(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(1, 3).contiguous().transpose(1, 3)


def stepped(x: torch.Tensor) -> torch.Tensor:
    return x.repeat_interleave(2, 2)[:, :, ::2]


def inside(x: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.pad(x, (3, 2, 1, 1))[:, :, 1:-1, 3:-2]


def one_for_all(x: torch.Tensor) -> torch.Tensor:
    return x[:1, :1].expand(SHAPE)


def overlapping(x: torch.Tensor) -> torch.Tensor:
    return x.flatten().as_strided(SHAPE, (5, 3, 2, 1))


def negated_view(x: torch.Tensor) -> torch.Tensor:
    return torch.complex(x, x).conj().imag


def subclass(x: torch.Tensor) -> torch.Tensor:
    return x.as_subclass(torch.nn.Buffer)


LAYOUTS = (turned, stepped, inside, one_for_all, overlapping, negated_view, subclass)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("place", range(3))
def test_any_strides_are_served(alibi: Attention, layout: Callable[[torch.Tensor], torch.Tensor], place: int) -> None:
    tensors = [dense(seed) for seed in range(3)]
    tensors[place] = layout(tensors[place])
    plain = [tensor.clone(memory_format=torch.contiguous_format) for tensor in tensors]
    slope = torch.tensor([0.5, 0.25, 0.125])
    before = [tensor.clone() for tensor in tensors]
    assert torch.equal(alibi(*tensors, slope), alibi(*plain, slope))
    assert all(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))


def test_one_tensor_may_be_every_input(alibi: Attention) -> None:
    x, slope = dense(), torch.ones(3)
    assert torch.equal(alibi(x, x, x, slope), alibi(x.clone(), x.clone(), x.clone(), slope))


COPIES = {
    "an input": "    O[b,m] = X\n    P[m,b] = X\n",
    "each other": "    O[b,m] = X + 1\n    P[b,m] = O\n",
    "themselves": "    index n < M\n    O[b,m,n] = X\n    P[b,n] = X[b,n]\n",
}


@pytest.mark.parametrize("body", COPIES.values(), ids=COPIES)
def test_outputs_share_memory_with_nothing(body: str) -> None:
    attention = attnc.compile(f"attention copies(X[b,m]) -> O, P:\n{body}")
    x = torch.arange(6.0, dtype=torch.float64).reshape(2, 3)
    for outputs in (attention(x), attention.reference(x)):
        before = [outputs.P.clone(), x.clone()]
        outputs.O.view(-1)[0] = 7.0
        assert [outputs.P.tolist(), x.tolist()] == [item.tolist() for item in before]
        assert (outputs.O == 7.0).sum() == 1


def test_a_carried_state_is_no_view_of_the_given_one() -> None:
    attention = attnc.compile("attention hold(X[m], H0[m] = 0) -> O:\n    O[m] = X + H0\n    carry H0 = H0\n")
    h = torch.ones(3)
    _, state = attention.step(torch.ones(3), h)
    state["H0"].zero_()
    assert h.tolist() == [1.0, 1.0, 1.0]


# ---- extents of zero, mixed types -----------------------------------------------------------


@pytest.mark.parametrize("empty", "bhmnef")
def test_an_extent_may_be_zero(alibi: Attention, empty: str) -> None:
    sizes = {index: 0 if index == empty else 3 for index in "bhmnef"}

    def draw(indices: str) -> torch.Tensor:
        return torch.randn([sizes[index] for index in indices])

    if empty == "n":
        sizes["m"] = 0  # the queries are the last positions
    arguments = [draw("bhme"), draw("bhne"), draw("bhnf"), draw("h")]
    out, wanted = alibi(*arguments), alibi.reference(*arguments)
    assert out.shape == wanted.shape
    assert torch.allclose(out.double(), wanted, atol=1e-5)


F64, F32, B16, H16 = torch.float64, torch.float32, torch.bfloat16, torch.float16


@pytest.mark.parametrize(
    "types", [(F32, F64, B16, F32), (F64, H16, F32, F32), (B16, F32, H16, F32), (F32, F32, F32, F64)]
)
def test_each_input_has_a_type_of_its_own(alibi: Attention, types: tuple[torch.dtype, ...]) -> None:
    arguments = [x.to(kind) for x, kind in zip([dense(0), dense(1), dense(2), torch.rand(3)], types, strict=True)]
    out = alibi(*arguments)
    assert out.dtype == types[0]
    named = dict(zip(("Q", "K", "V", "slope"), arguments, strict=True))
    reference = references(alibi.program().stated, named, {"O": out.dtype})["O"]
    assert judge("O", out, reference).passed


# ---- numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2, 2.0, True + 1, numpy.float32(2), numpy.int16(2), numpy.array(2.0)])
def test_a_number_serves_as_a_scalar_input(number: object) -> None:
    attention, x = attnc.std.sigmoid_attention, dense()
    assert torch.equal(attention(x, x, x, beta=number), attention(x, x, x, beta=torch.tensor(2.0)))


def test_none_is_an_optional_input_that_was_not_given() -> None:
    attention, x = attnc.std.sigmoid_attention, dense()
    assert torch.equal(attention(x, x, x, beta=None), attention(x, x, x))


def test_options_are_told_apart_by_type() -> None:
    attention, x = attnc.std.window_softmax, dense()
    first = attention(x, x, x, W=1)
    assert torch.equal(attention(x, x, x, W=numpy.int64(1)), first)
    for wrong in (True, 1.0, "1", None, [1], torch.tensor(1), 2**63):
        with pytest.raises(AttnError) as found:
            attention(x, x, x, W=wrong)
        assert found.value.code == "A114"


# ---- mistakes -------------------------------------------------------------------------------


def nested(x: torch.Tensor) -> torch.Tensor:
    return torch.nested.nested_tensor([x[0], x[1]], layout=torch.jagged)


MISTAKES: dict[str, tuple[str, Callable[[torch.Tensor], object]]] = {
    "None": ("A605", lambda x: None),
    "a list": ("A611", lambda x: x.tolist()),
    "a number": ("A611", lambda x: 3.0),
    "a NumPy array": ("A611", lambda x: x.numpy()),
    "an object": ("A611", lambda x: object()),
    "a tensor of too few axes": ("A602", lambda x: x[0]),
    "a scalar": ("A602", lambda x: x.sum()),
    "complex": ("A603", lambda x: x.to(torch.complex64)),
    "integer": ("A603", lambda x: x.long()),
    "boolean": ("A603", lambda x: x > 0),
    "float8": ("A603", lambda x: x.to(torch.float8_e4m3fn)),
    "sparse": ("A603", lambda x: x.to_sparse()),
    "compressed sparse": ("A603", lambda x: x[0, 0].to_sparse_csr()),
    "nested": ("A603", nested),
    "of oneDNN": ("A603", lambda x: x.to_mkldnn()),
    "on another device": ("A604", lambda x: x.to("meta")),
    "of another extent": ("A601", lambda x: x[..., :4]),
    "to be broadcast": ("A601", lambda x: x[:1]),
}


@pytest.mark.parametrize(("code", "wrong"), MISTAKES.values(), ids=MISTAKES)
def test_a_wrong_argument_has_a_word_of_its_own(
    alibi: Attention, code: str, wrong: Callable[[torch.Tensor], object]
) -> None:
    with pytest.raises(AttnError) as found:
        alibi(dense(), wrong(dense()), dense(), torch.ones(3))
    assert found.value.code == code
    assert "`K`" in str(found.value)


def test_tensors_without_values_are_refused(alibi: Attention) -> None:
    x = dense().to("meta")
    with pytest.raises(AttnError, match="`meta`") as found:
        alibi(x, x, x, torch.ones(3, device="meta"))
    assert found.value.code == "A604"


@pytest.mark.parametrize("number", [10**400, 1j, "2", object()], ids=("huge", "complex", "text", "object"))
def test_a_scalar_input_takes_real_numbers(number: object) -> None:
    with pytest.raises(AttnError) as found:
        attnc.std.sigmoid_attention(dense(), dense(), dense(), beta=number)
    assert found.value.code in ("A603", "A611")


@pytest.mark.parametrize("kind", [torch.float32, torch.bool, torch.uint32])
def test_an_integer_input_takes_integers(kind: torch.dtype) -> None:
    numbers = torch.zeros(2, 17).to(kind)
    with pytest.raises(AttnError) as found:
        attnc.std.document_softmax(dense(), dense(), dense(), numbers, torch.zeros(2, 17, dtype=torch.int32))
    assert found.value.code == "A603"


@pytest.mark.parametrize("kind", [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8])
def test_integers_of_any_width_are_served(kind: torch.dtype) -> None:
    numbers = (torch.arange(17) // 5).expand(2, 17)
    x = dense()
    wanted = attnc.std.document_softmax(x, x, x, numbers, numbers)
    assert torch.equal(attnc.std.document_softmax(x, x, x, numbers.to(kind), numbers), wanted)
