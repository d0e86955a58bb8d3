"""The element types of tensors between stages: what products read is stored as narrow as the inputs are."""

from __future__ import annotations

import pytest
import torch

import attnc
from attnc import compiler
from attnc.contract import GRADIENT, gradient_references, judge, references
from attnc.ir import kernel as k
from attnc.ir.stage import Stream
from attnc.ir.target import find_target
from attnc.ir.walk import walk
from attnc.runtime.kernels import backward_kernels, input_types, kernels
from attnc.runtime.program import Program
from attnc.runtime.types import DTYPES, value_types

ROTARY = (
    "attention a(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]) -> O:\n    require E % 2 == 0\n    index N - M <= m < N\n"
    "    KR[b,h,n,e] = {}\n    O[b,h,m,f] = softmax[n](sum[e](Q * KR) where n <= m) * V\n"
)
TURNED = "K * cos(n * 0.1 ** (e / E)) + K[e = (e + 1) % E] * sin(n * 0.1 ** (e / E))"
GROWING = {
    "an exponential": "exp(K) * cos(n * 1.0)",
    "a quotient": "cos(n * 1.0) / K",
    "a logarithm": "log(1 + K * K) * cos(n * 1.0)",
    "a power of positions": "K * cos(n * 1.0) * 1.1 ** n",
}
TYPES = (torch.bfloat16, torch.float16, torch.float32, torch.float64)
SHAPE = {"e": 64, "f": 64}


def program(key: str) -> Program:
    return attnc.compile(ROTARY.format(key)).program()


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_turned_keys_have_the_type_of_the_inputs(dtype: torch.dtype) -> None:
    types = value_types(program(TURNED), input_types(program(TURNED), dtype))
    assert (types["KR"], types["O"]) == (dtype, dtype)


@pytest.mark.parametrize("key", GROWING)
def test_what_float16_may_not_hold_has_the_type_of_computation(key: str) -> None:
    types = value_types(program(GROWING[key]), input_types(program(GROWING[key]), torch.float16))
    assert isinstance(program(GROWING[key]).plan.stages[0], Stream)
    assert (types["KR"], types["O"]) == (torch.float32, torch.float16)


def test_an_output_that_is_not_the_first_is_float32() -> None:
    both = attnc.compile(ROTARY.format(TURNED).replace("-> O", "-> O, KR")).program()
    assert value_types(both, input_types(both, torch.bfloat16))["KR"] == torch.float32


def drawn(scale: dict[str, float], types: dict[str, torch.dtype]) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: (torch.randn(1, 2, 40, 16, generator=generator) * scale[name]).to(types[name]) for name in "QKV"}


def test_what_a_wider_output_rests_on_is_not_narrow() -> None:
    """L is float32: it would show that the keys were rounded."""
    text = (
        ROTARY.format(TURNED).replace("-> O", "-> O, L") + "    L[b,h,m] = logsumexp[n](sum[e](Q * KR) where n <= m)\n"
    )
    attention = attnc.compile(text)
    given = drawn(dict.fromkeys("QKV", 1.0), dict.fromkeys("QKV", torch.bfloat16))
    assert value_types(attention.program(), dict.fromkeys(given, torch.bfloat16))["KR"] == torch.float32
    wanted = references(attention.program().stated, given, {"O": torch.bfloat16, "L": torch.float32})
    assert all(judge(name, found, wanted[name]).passed for name, found in zip("OL", attention(**given), strict=True))


@pytest.mark.parametrize("wide", "QKV")
def test_beside_a_wider_input_nothing_is_narrow(wide: str) -> None:
    types = dict.fromkeys("QKV", torch.bfloat16) | {wide: torch.float32}
    assert value_types(program(TURNED), types)["KR"] == torch.float32


@pytest.mark.parametrize("wide", "QV")
def test_the_gradient_of_a_wider_input_shows_no_rounding_of_the_keys(wide: str) -> None:
    """Not that of K: beside a narrow output it shows how this was rounded, in plain attention too."""
    types = dict.fromkeys("QKV", torch.bfloat16) | {wide: torch.float32}
    given = {name: item.requires_grad_() for name, item in drawn(dict.fromkeys("QKV", 1.0), types).items()}
    out = attnc.compile(ROTARY.format(TURNED))(**given)
    incoming = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out.dtype)
    (found,) = torch.autograd.grad(out, [given[wide]], incoming)
    plain = {name: item.detach() for name, item in given.items()}
    wanted = gradient_references(program(TURNED).stated, plain, {"O": incoming}, wide)[wide]
    assert judge(wide, found, wanted, GRADIENT).passed


@pytest.mark.parametrize("target", ["sm_90", "cpu"])
def test_kernels_multiply_turned_keys_as_narrow_as_they_are(target: str) -> None:
    made = kernels(program(TURNED), target, "bf16", SHAPE) | backward_kernels(program(TURNED), target, "bf16", SHAPE)
    read = {p.name: p.dtype for item in made.values() for p in item.signature.params if not p.output}
    assert read["KR"] == read["Q"] == read["V"] == "bfloat16"


def test_a_place_that_wraps_around_needs_no_test() -> None:
    stage = program(TURNED).streams[0]
    types = dict.fromkeys(program(TURNED).needs[stage.name].tensors, DTYPES[torch.bfloat16])
    lowered = compiler.lowered(stage, program(TURNED).explicit, find_target("sm_90"), types, {"e": 64})
    loads = [node for part in (*lowered.setup, *lowered.loops) for node in walk(part) if isinstance(node, k.Load)]
    assert sorted(load.inside for load in loads) == [(), (3,)]
    assert not any(load.when for load in loads)
    assert "K_n3" not in kernels(program(TURNED), "sm_90", "bf16", SHAPE)["forward.KR"].source


def test_a_turned_key_of_halves_keeps_the_contract_for_values_that_are_large() -> None:
    """Nothing that is stored leaves the range of float16 before the inputs do."""
    given = drawn({"Q": 1e-3, "K": 1e4, "V": 1.0}, dict.fromkeys("QKV", torch.float16))
    found = attnc.compile(ROTARY.format(TURNED))(**given)
    reference = references(program(TURNED).stated, given, {"O": torch.float16})["O"]
    assert judge("O", found, reference).passed
