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


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_angles_of_a_million_positions_keep_their_last_bits(name: str) -> None:
    attention = attnc.compile(f"attention p(A[m], B[n]) -> O:\n    O[m] = sum[n]({name}(A + B) * 1.0)\n", strict=True)
    near = torch.arange(-2048, 2048) * (math.pi / 2)
    numbers = torch.cat([torch.linspace(-(2.0**20), 2.0**20, 4096), near, torch.linspace(-7, 7, 4096)]).float()
    found = outputs_on(attention, {"A": numbers, "B": torch.zeros(1)}, "cpu")["O"]
    right = getattr(torch, name)(numbers.double())
    assert float((found - right).abs().max()) <= 2**-23


POWERS = [(2, 3), (2, 40), (3, 30), (-3, 7), (-1, 9), (1, -4), (-1, -3), (2, -1), (0, 0), (0, 5), (7, 0), (-2, 63)]
REAL_POWERS = [(2.0, 0.5), (0.0, 0.0), (0.0, 2.5), (0.0, -1.0), (-2.0, 3.0), (-2.0, -2.0), (-2.0, 0.5), (9.5, -1.25)]


@pytest.mark.parametrize("target", ["cpu", "sm_90"])
@pytest.mark.parametrize(
    ("kind", "value", "pairs"),
    [("int", "A ** (B + C)", POWERS), ("int", "A ** (B + C) % 10007", POWERS), ("real", "A ** (B + C)", REAL_POWERS)],
)
def test_powers_are_those_of_their_type(kind: str, value: str, pairs: list[tuple[float, float]], target: str) -> None:
    spec = f"attention p(A[m]: {kind}, B[m]: {kind}, C[n]: {kind}) -> O:\n    O[m] = sum[n]({value} * 1.0)\n"
    a, b = (torch.tensor(side) for side in zip(*pairs, strict=True))
    attention, inputs = attnc.compile(spec, strict=True), {"A": a, "B": b, "C": torch.zeros_like(a[:1])}
    assert attention.program().streams
    found = outputs_on(attention, inputs, target)["O"].double()
    assert torch.allclose(found, attention.reference(**inputs).double(), rtol=1e-6, equal_nan=True)


@pytest.mark.parametrize("target", ["cpu", "sm_90"])
def test_a_constant_to_the_power_of_a_place_is_whole_in_64_bits(target: str) -> None:
    attention = attnc.compile(
        "attention p(C[n], D[m]) -> O:\n    O[m] = sum[n](C * (2 ** (m + 20 + n) // 2 ** (m + 18)))\n", strict=True
    )
    inputs = {"C": torch.randn(5), "D": torch.zeros(20)}
    found = outputs_on(attention, inputs, target)["O"]
    assert torch.allclose(found.double(), attention.reference(**inputs), rtol=1e-5)
