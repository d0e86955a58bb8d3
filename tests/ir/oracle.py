"""The oracle on a text: its two forms, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent
from typing import Any

import torch

from attnc.ir.cascade import Cascade
from attnc.ir.interpret import run
from attnc.library import Library, Spec
from attnc.passes.expand import expand
from attnc.source import Source

Given = Mapping[str, torch.Tensor | bool | int | float]


def spec(text: str, **options: Any) -> Cascade:
    """The last attention of a text as stated; `use std...` works."""
    from attnc import compiler

    source = Source("test.attn", dedent(text))
    return compiler.stated(Spec(source, None, None), options, Library(None))


def oracle(text: str, sizes: Mapping[str, int] | None = None, /, **inputs: Any) -> dict[str, torch.Tensor]:
    """The outputs on these inputs; the stated and the explicit form agree on them."""
    cascade = spec(text)
    found = run(cascade, inputs, sizes=sizes).outputs
    again = run(expand(cascade), inputs, sizes=sizes).outputs
    for name, value in found.items():
        torch.testing.assert_close(again[name], value, rtol=1e-12, atol=1e-12, equal_nan=True)
    return found


def one(text: str, sizes: Mapping[str, int] | None = None, /, **inputs: Any) -> torch.Tensor:
    """The only output on these inputs."""
    (value,) = oracle(text, sizes, **inputs).values()
    return value


def same(actual: torch.Tensor, wanted: torch.Tensor | list[Any] | float) -> None:
    """Equal to the last digits, NaN to NaN and infinity to infinity, of one shape and type."""
    wanted = wanted if isinstance(wanted, torch.Tensor) else torch.tensor(wanted, dtype=actual.dtype)
    torch.testing.assert_close(actual, wanted, rtol=1e-12, atol=1e-12, equal_nan=True)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    """Normal numbers in float64."""
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed + sum(shape)))


def gradients(text: str, **inputs: Any) -> dict[str, torch.Tensor]:
    """The derivatives of the sum of all outputs by every real input; the two forms agree."""
    cascade = spec(text)
    found = []
    for form in (cascade, expand(cascade)):
        given = {n: v.clone().requires_grad_() if v.is_floating_point() else v for n, v in inputs.items()}
        asked = {name: value for name, value in given.items() if value.is_floating_point()}
        outputs = [value for value in run(form, given).outputs.values() if value.is_floating_point()]
        total = sum((value.sum() for value in outputs), torch.zeros((), dtype=torch.float64, requires_grad=True))
        kept = torch.autograd.grad(total, list(asked.values()), allow_unused=True)
        pairs = zip(asked, kept, asked.values(), strict=True)
        found.append({name: torch.zeros_like(x) if g is None else g for name, g, x in pairs})
    for name, value in found[0].items():
        same(found[1][name], value)
    return found[0]
