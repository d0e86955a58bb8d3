"""Every attention of a family against its formula: the definition in float64, and the kernels by the contract."""

import pytest
import torch

from tests.stdlib.cases import Case, cases, slow_unless, telling
from tests.stdlib.run import apart, broken, by_definition, by_kernels, slopes, wanted_of
from tests.thinned import thinned

EVERY = cases()
QUICK = slow_unless(telling())


@pytest.mark.parametrize("case", QUICK, ids=str)
def test_the_definition_is_the_formula(case: Case) -> None:
    inputs = case.inputs(torch.float64)
    assert apart(by_definition(case, inputs), case.formula(inputs)) == []


@pytest.mark.parametrize("case", thinned(QUICK, 2), ids=str)
def test_kernels_keep_the_contract(case: Case) -> None:
    inputs = case.inputs(torch.float32)
    assert broken(case, inputs, by_kernels(case, inputs)) == []


@pytest.mark.exhaustive
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("case", EVERY, ids=str)
def test_kernels_keep_the_contract_in_other_types(case: Case, dtype: torch.dtype) -> None:
    inputs = case.inputs(dtype)
    assert broken(case, inputs, by_kernels(case, inputs)) == []


@pytest.mark.exhaustive
@pytest.mark.parametrize("case", EVERY, ids=str)
def test_triton_kernels_keep_the_contract(case: Case) -> None:
    inputs = case.inputs(torch.float32)
    assert broken(case, inputs, by_kernels(case, inputs, "sm_90")) == []


@pytest.mark.exhaustive
@pytest.mark.parametrize("case", EVERY, ids=str)
def test_gradients_of_the_definition_are_those_of_the_formula(case: Case) -> None:
    inputs, wanted = case.inputs(torch.float64), wanted_of(case, case.inputs(torch.float64))
    if not wanted:
        pytest.skip("nothing has a gradient")
    leaves = {name: inputs[name].detach().requires_grad_() for name in wanted}
    found = slopes(by_definition(case, inputs | leaves), leaves)
    assert apart(found, slopes(case.formula(inputs | leaves), leaves)) == []
