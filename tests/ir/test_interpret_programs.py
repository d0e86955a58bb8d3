"""Derivatives of generated programs: of both forms, and along a random direction by differences."""

from __future__ import annotations

import pytest
import torch

from attnc.ir.cascade import Cascade
from attnc.ir.interpret import run
from attnc.passes.expand import expand
from attnc.runtime.draw import draw
from tests.ir.oracle import spec
from tests.programs.generate import program

Inputs = dict[str, torch.Tensor]
FEW, MANY = range(0, 200, 7), range(400)
STEP = 1e-6


def weighed(cascade: Cascade, inputs: Inputs) -> torch.Tensor:
    """A weighted sum of everything finite that a program gives."""
    weights = torch.Generator().manual_seed(1)
    total = torch.zeros((), dtype=torch.float64)
    for value in run(cascade, inputs).outputs.values():
        if value.is_floating_point():
            weight = torch.randn(value.shape, generator=weights, dtype=value.dtype)
            total = total + torch.where(torch.isfinite(value.detach()), value * weight, 0.0).sum()
    return total


def derivatives(cascade: Cascade, inputs: Inputs) -> Inputs:
    given = {name: value.clone().requires_grad_(value.is_floating_point()) for name, value in inputs.items()}
    asked = {name: value for name, value in given.items() if value.requires_grad}
    total = weighed(cascade, given)
    found = torch.autograd.grad(total, list(asked.values()), allow_unused=True) if total.requires_grad else ()
    return {name: value for name, value in zip(asked, found, strict=False) if value is not None}


def holds(seed: int) -> None:
    one = program(seed)
    cascade = spec(one.text)
    inputs = draw(cascade, {index: min(extent, 6) for index, extent in one.shape.items()}, {}, torch.float64, seed)
    found, again = derivatives(cascade, inputs), derivatives(expand(cascade), inputs)
    for name, value in found.items():
        torch.testing.assert_close(again.get(name, torch.zeros_like(value)), value, rtol=1e-8, atol=1e-8, msg=one.text)
    if "stop(" in one.text:
        return  # a difference goes through it
    chance = torch.Generator().manual_seed(seed)
    slope, shift = 0.0, {}
    for name, value in found.items():
        shift[name] = torch.randn(value.shape, generator=chance, dtype=torch.float64)
        slope += float((value * shift[name]).sum())
    there, here = ({**inputs, **{n: inputs[n] + h * d for n, d in shift.items()}} for h in (STEP, -STEP))
    difference = float(weighed(cascade, there) - weighed(cascade, here)) / (2 * STEP)
    assert difference == pytest.approx(slope, rel=1e-4, abs=1e-4), one.text


@pytest.mark.parametrize("seed", FEW)
def test_a_few_programs(seed: int) -> None:
    holds(seed)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", MANY)
def test_many_programs(seed: int) -> None:
    holds(seed)
