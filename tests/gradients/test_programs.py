"""Gradients of generated programs: C++ and Triton's interpreter against the definition's, by the contract."""

import pytest
import torch

from attnc import compile as compile_spec
from tests.gradients.run import backward_of, run_gradients
from tests.programs.generate import Program, program

ALL = 300
QUICK = (*range(30), 57)  # in the last a name stands for something else in each loop
TRITON = 8
NARROW = (torch.bfloat16, torch.float16, torch.float64)
# Rows that see one or two keys, at most two of them: the gradient through a normaliser is a difference P (dP - delta)
# of which nothing, or little, is left. The definition takes both from the same rounded dP, a kernel of one pass takes
# delta from the output: the rounding of dP stays, and with so few rows no other error hides it. They are asked for
# all the same, and known to fail: seed, type, target.
MISSES = {(131, torch.float32, "cpu"), (131, torch.float64, "cpu"), (108, torch.float64, "cpu")}
MISSES |= {(seed, torch.float32, "sm_90") for seed in (36, 131, 170)}
# These miss by a tenth at most, on some processors: exponentials of the interpreter are NumPy's, whose last bits
# depend on the processor and are not as good as PyTorch's.
NEARLY = {(seed, torch.float32, "sm_90") for seed in (91, 192)}


def failures(item: Program, dtype: torch.dtype = torch.float32, target: str = "cpu") -> tuple[str, ...]:
    outcome = run_gradients(compile_spec(item.text), item.shape, item.seed, dtype, target)
    found = outcome.failures
    if (item.seed, dtype, target) in MISSES:
        assert found, "it keeps the contract now: take it from the list"
        pytest.xfail(f"misses the contract: {found}")
    if found and outcome.worst < 1.1 and (item.seed, dtype, target) in NEARLY:
        pytest.xfail(f"misses the contract here: {found}")
    return found


@pytest.mark.parametrize("seed", QUICK)
def test_gradients_keep_the_contract(seed: int) -> None:
    assert failures(program(seed)) == (), program(seed).text


@pytest.mark.parametrize("seed", range(TRITON))
def test_gradients_keep_the_contract_in_triton(seed: int) -> None:
    assert failures(program(seed), target="sm_90") == (), program(seed).text


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", sorted(set(range(ALL)) - set(QUICK)))
def test_gradients_of_every_program_keep_the_contract(seed: int) -> None:
    assert failures(program(seed)) == (), program(seed).text


@pytest.mark.exhaustive
@pytest.mark.parametrize("dtype", NARROW, ids=str)
@pytest.mark.parametrize("seed", range(ALL))
def test_gradients_of_every_program_keep_the_contract_in_other_types(seed: int, dtype: torch.dtype) -> None:
    assert failures(program(seed), dtype) == (), program(seed).text


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(TRITON, ALL))
def test_gradients_of_every_program_keep_the_contract_in_triton(seed: int) -> None:
    assert failures(program(seed), target="sm_90") == (), program(seed).text


def streamed(item: Program) -> bool:
    """Whether forward and backward run in kernels, but for what is light."""
    attention = compile_spec(item.text)
    steps = [step for _, step in backward_of(attention).steps]
    return not attention.program().heavy and all(step is None or not step.heavy for step in steps)


@pytest.mark.exhaustive
def test_two_hundred_programs_have_streamed_gradients() -> None:
    drawn = [program(seed) for seed in range(ALL)]
    assert sum(item.stage and streamed(item) for item in drawn) >= 200
