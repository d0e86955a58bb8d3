"""Calls on the compiled kernels, and the mistakes that a call can make."""

from pathlib import Path

import pytest
import torch

import attnc
from attnc import AttnError
from attnc.contract import judge, references
from attnc.runtime.attention import Attention
from attnc.runtime.draw import draw
from tests.thinned import thinned

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("[01]*.attn"))[:11]
SHAPES = (
    {"b": 2, "h": 4, "g": 2, "m": 40, "n": 64, "e": 40, "f": 24},
    {"b": 1, "h": 2, "g": 1, "m": 16, "n": 16, "e": 16, "f": 16},
    {"b": 1, "h": 2, "g": 2, "m": 1, "n": 32, "e": 8, "f": 17},
    {"b": 1, "h": 2, "g": 2, "m": 65, "n": 160, "e": 1, "f": 1},
    {"b": 1, "h": 2, "g": 2, "m": 0, "n": 16, "e": 4, "f": 4},
)


def call(spec: Path, shape: dict[str, int], dtype: torch.dtype) -> list[tuple[str, bool]]:
    attention = attnc.load(spec, strict=True)
    cascade = attention.program().stated
    sizes = {index: shape[index] for item in cascade.inputs for index in item.indices}
    inputs = draw(cascade, sizes, {}, dtype, seed=3)
    results = attention(**inputs)
    names = cascade.outputs
    outputs = dict(zip(names, results if len(names) > 1 else [results], strict=True))
    judged = references(cascade, inputs, {name: value.dtype for name, value in outputs.items()})
    return [(name, judge(name, value, judged[name]).passed) for name, value in outputs.items()]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("spec", thinned(EXAMPLES, 2), ids=lambda path: path.stem)
def test_examples_keep_the_contract_in_float32(spec: Path, shape: dict[str, int]) -> None:
    assert all(passed for _, passed in call(spec, shape, torch.float32))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("spec", thinned(EXAMPLES, 2), ids=lambda path: path.stem)
def test_examples_keep_the_contract_in_16_bits(spec: Path, dtype: torch.dtype) -> None:
    assert all(passed for _, passed in call(spec, SHAPES[0], dtype))


@pytest.fixture
def causal() -> Attention:
    return attnc.load(EXAMPLES[0])


def tensors(m: int = 8, n: int = 8, e: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(1, 2, m, e), torch.randn(1, 2, n, e), torch.randn(1, 2, n, e)


def test_strided_and_expanded_inputs_are_served(causal: Attention) -> None:
    q, k, v = tensors()
    turned = q.transpose(2, 3).contiguous().transpose(2, 3)
    shared = k[:, :1].expand(1, 2, 8, 4)
    assert torch.allclose(causal(turned, k, v), causal(q, k, v))
    assert torch.allclose(causal(q, shared, v), causal(q, shared.contiguous(), v))


def test_four_kernels_serve_one_row_a_few_more_and_many(causal: Attention) -> None:
    for length in (1, 4, 16, 17):
        causal(*tensors(length, length))
    before = attnc.stats().get("compilations", 0)
    for length in (1, 3, 15, 18, 64, 65):
        causal(*tensors(length, length))
    assert attnc.stats().get("compilations", 0) == before


def test_rows_that_see_nothing_are_zero() -> None:
    spec = "attention x(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]) -> O:\n    S[b,h,m,n] = Q * K where n < m\n"
    attention = attnc.compile(spec + "    O[b,h,m,f] = softmax[n](S) * V\n", strict=True)
    out = attention(*tensors())
    assert not out.isnan().any()
    assert (out[:, :, 0] == 0).all()


def test_ordered_keys_run_announced_and_are_refused_under_strict() -> None:
    spec = (Path(__file__).parents[1] / "errors" / "A310.attn").read_text()
    with pytest.raises(AttnError) as found:
        attnc.compile(spec, strict=True)
    assert found.value.code == "A310"
    with pytest.warns(UserWarning, match="STATE"):
        attnc.compile(spec + "\n")(*tensors())


def test_a_step_carries_the_state() -> None:
    spec = (
        "attention run(X[b,i,d], H0[b,d] = 0) -> Y:\n    H[b,0,d] = H0\n    H[b,i+1,d] = 0.5 * H[b,i,d] + X\n"
        "    Y[b,i,d] = H[b,i+1,d]\n    carry H0 = H[b,I,d]\n"
    )
    attention = attnc.compile(spec)
    x = torch.randn(2, 6, 3)
    whole = attention(x)
    first, state = attention.step(x[:, :4])
    second, _ = attention.step(x[:, 4:], **state)
    assert torch.allclose(torch.cat([first, second], 1), whole, atol=1e-6)


@pytest.mark.parametrize(
    ("code", "mistake"),
    [
        ("A607", lambda f: f(*tensors(), torch.ones(1))),
        ("A630", lambda f: f.kernels()),
        ("A503", lambda f: f.kernels(target="sm_1", shape={"e": 4, "f": 4})),
        ("A603", lambda f: f.kernels(dtype="fp8", shape={"e": 4, "f": 4})),
        ("A610", lambda f: attnc.load("std:nothing")),
    ],
)
def test_mistakes_have_codes(code: str, mistake: object, causal: object) -> None:
    assert callable(mistake)
    with pytest.raises(AttnError) as found:
        mistake(causal)
    assert found.value.code == code


def test_an_optional_state_whose_extent_a_range_gives_may_be_left_out() -> None:
    attention = attnc.compile(
        "attention run(X[b,i,d], H0[b,z] = 0) -> Y:\n    index z < D + 1\n    H[b,0,z] = H0\n"
        "    H[b,i+1,z] = H[b,i,z] + sum[d](X[b,i,d] where d < z)\n    Y[b,i,z] = H[b,i+1,z]\n"
    )
    x = torch.randn(2, 3, 4)
    assert torch.equal(attention(x), attention(x, torch.zeros(2, 5)))
    with pytest.raises(AttnError, match="A613"):
        attention(x, torch.zeros(2, 4))
