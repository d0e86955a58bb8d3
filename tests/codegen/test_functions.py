"""Every function of the language in kernels, over its whole range: infinities, NaN, and small arguments."""

import math

import pytest
import torch

import attnc
from attnc.ir.operators import OPERATORS
from tests.programs.run import outputs_on

FUNCTIONS = sorted(
    row.name
    for row in OPERATORS.values()
    if row.written and row.written.isidentifier() and row.arity == (1, 1) and row.name != "not"
)
SIDES = [
    1e-30,
    1e-8,
    1e-4,
    0.01,
    0.2,
    0.29,
    0.31,
    0.5,
    1.0,
    1.5,
    2.0,
    3.7,
    5.0,
    8.5,
    15.0,
    40.0,
    87.0,
    100.0,
    1e4,
    1e30,
]
VALUES = [0.0, math.inf, -math.inf, math.nan, *SIDES, *(-side for side in SIDES)]
ULPS = 8
SLACK = {"sin": 1e-6, "cos": 1e-6, "gelu": 1e-6, "silu": 1e-6}  # of the argument: range reduction, far tails


def kernel_values(name: str, target: str, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """The function in a kernel and in the oracle, at every value."""
    spec = f"attention p(A[m], B[n]) -> O:\n    O[m] = sum[n]({name}(A + B) * 1.0)\n"
    attention = attnc.compile(spec, strict=True)
    assert attention.program().streams, "the function would not run in a kernel"
    numbers = torch.tensor(VALUES, dtype=dtype)
    inputs = {"A": numbers, "B": torch.zeros(1, dtype=dtype)}
    return outputs_on(attention, inputs, target)["O"].double(), attention.reference(**inputs)


@pytest.mark.parametrize("target", ["cpu", "sm_90"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_right_over_their_range(name: str, target: str) -> None:
    found, right = kernel_values(name, target, torch.float32)
    wide = right.abs() > torch.finfo(torch.float32).max
    right = torch.where(wide, right.sign() * math.inf, right)
    for value, y, r in zip(VALUES, found.flatten().tolist(), right.flatten().tolist(), strict=True):
        if not math.isfinite(r):
            assert (y == r) or (math.isnan(y) and math.isnan(r)), f"{name}({value}) gives {y}, not {r}"
            continue
        ulps = (
            ULPS * max(1.0, min(abs(value), 128) / 16) if name == "exp2" else ULPS
        )  # its reference is held in natural base
        allowed = ulps * 2**-23 * abs(r) + SLACK.get(name, 0.0) + 1e-37
        assert abs(y - r) <= allowed, f"{name}({value}) gives {y}, not {r}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_right_in_float64(name: str) -> None:
    found, right = kernel_values(name, "cpu", torch.float64)
    assert torch.allclose(found, right.double(), rtol=1e-13, atol=1e-300, equal_nan=True), name
