"""C++ kernels for every set of instructions that this machine has: the contract holds on each."""

import pytest
import torch

from attnc.codegen.cpp_build import ISAS
from attnc.runtime.machine import NEEDED, features
from tests.gradients.test_programs import failures as gradient_failures
from tests.programs.generate import program
from tests.programs.run import run_program
from tests.thinned import thinned

HERE = [name for name in ISAS if name != "native" and NEEDED.get(name, frozenset()) <= features()]
QUICK, ALL = 6, 300
TYPES = (torch.float32, torch.bfloat16, torch.float64)


def kind(isa: str, seed: int) -> torch.dtype:
    """The type of a run: AMX is for bfloat16 alone."""
    return torch.bfloat16 if isa.startswith("amx") else TYPES[seed % len(TYPES)]


@pytest.fixture(params=HERE, autouse=True)
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ATTNC_CPU_ISA", request.param)
    return str(request.param)


@pytest.mark.parametrize("seed", thinned(range(QUICK), 2))
def test_programs_keep_the_contract(seed: int, isa: str) -> None:
    assert run_program(program(seed), kind(isa, seed), "cpu").failures == (), program(seed).text


@pytest.mark.parametrize("seed", thinned(range(QUICK // 2), 3))
def test_gradients_keep_the_contract(seed: int, isa: str) -> None:
    assert gradient_failures(program(seed), kind(isa, 0)) == (), program(seed).text


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(QUICK, ALL))
def test_every_program_keeps_the_contract(seed: int, isa: str) -> None:
    assert run_program(program(seed), kind(isa, seed), "cpu").failures == (), program(seed).text
    assert gradient_failures(program(seed), kind(isa, 0)) == (), program(seed).text


def test_kernels_are_built_for_the_instructions_that_are_named(isa: str) -> None:
    from attnc.codegen.cpp_build import command

    assert set(ISAS[isa]) <= set(command())
