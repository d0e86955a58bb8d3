"""Values of rows and of pairs in compiled C++ and Triton's interpreter, against the oracle by the contract."""

import pytest
import torch

import attnc
from attnc.runtime.kernels import kernels
from tests.programs.direct import DIRECT
from tests.programs.generate import Program
from tests.programs.run import run_program
from tests.thinned import thinned

LENGTHS = ((0, 5), (5, 0), (1, 1), (17, 17), (1, 33), (40, 9), (70, 133))
TYPES = (torch.float32, torch.bfloat16, torch.float64)
TYPED = ("scores", "all gradients", "documents", "rolled")  # in every type in every run


def failures(name: str, place: int, dtype: torch.dtype, target: str) -> tuple[str, ...]:
    m, n = LENGTHS[place]
    e, f = ((16, 24), (5, 17))[place % 2]
    shape = {"b": 2 if place % 3 else 1, "h": 3, "g": 1, "m": m, "n": n, "e": e, "f": f}
    inputs = attnc.compile(DIRECT[name]).program().stated.inputs
    used = {index: shape[index] for item in inputs for index in item.indices}
    outcome = run_program(Program(place, DIRECT[name], used, stage=True, plain=False), dtype, target)
    assert outcome.streamed
    return outcome.failures


@pytest.mark.parametrize("name", thinned(DIRECT, 3))
def test_compiled_kernels_keep_the_contract(name: str) -> None:
    for place in range(len(LENGTHS)):
        assert failures(name, place, TYPES[0], "cpu") == (), LENGTHS[place]


@pytest.mark.parametrize("dtype", TYPES[1:], ids=str)
@pytest.mark.parametrize(
    "name", [name if name in TYPED else pytest.param(name, marks=pytest.mark.exhaustive) for name in DIRECT]
)
def test_compiled_kernels_keep_the_contract_in_other_types(name: str, dtype: torch.dtype) -> None:
    assert failures(name, 5, dtype, "cpu") == ()


@pytest.mark.parametrize("name", thinned(DIRECT, 2))
def test_triton_kernels_keep_the_contract(name: str) -> None:
    for place in (0, 1, 3, 5):
        assert failures(name, place, torch.float32, "sm_90") == (), LENGTHS[place]


# Streams multiply weights in the inputs' 16 bits on a GPU: what they give out besides, in float32, is no closer.
@pytest.mark.parametrize("name", [name for name in DIRECT if name != "all gradients"])
def test_triton_kernels_keep_the_contract_in_16_bits(name: str) -> None:
    assert failures(name, 5, torch.bfloat16, "sm_90") == ()


@pytest.mark.parametrize(("name", "shift"), [("Q", 14), ("K", 3)])
def test_what_wraps_around_is_read_by_rows(name: str, shift: int) -> None:
    """Element by element that takes longer than the functions that it is multiplied by."""
    made = kernels(attnc.compile(DIRECT["rolled"]).program(), "cpu", "bf16", {"e": 16, "f": 16})
    source = made[f"forward.{name}R"].source
    reads = [line.rsplit(", ", 2)[1:] for line in source.splitlines() if line.strip().startswith("read_rows<")]
    later, first = [f"{16 - shift}", f"v_{name}2);"], [f"{shift}", f"v_{name}2 + {16 - shift});"]
    assert reads == [["16", f"v_{name});"], later, first]


@pytest.mark.parametrize(
    ("score", "read"), [("sum[e](Q * K)", "read_pairs"), ("sum[e](Q * K) + sum[e](tanh(Q) * K)", "read_rows")]
)
def test_what_products_alone_read_is_read_in_pairs(score: str, read: str) -> None:
    """Products of bfloat16 want rows two by two; what else reads the rows wants them as float."""
    head = "attention a(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]) -> O:\n"
    made = kernels(
        attnc.compile(f"{head}    O[b,h,m,f] = sum[n](relu({score}) * V)\n").program(),
        "cpu",
        "bf16",
        {"e": 40, "f": 40},
    )
    source = made["forward"].source
    assert f"ATTNC_USES({read}, " in source
    assert ("p_Q(&v_Q[0][0], t_Q" in source) == (read == "read_pairs")
