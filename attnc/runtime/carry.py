"""The state that a call hands to the next one: the spec's `carry` clauses."""

from __future__ import annotations

import torch

from attnc.ir.interpret import run
from attnc.runtime.bind import Bound
from attnc.runtime.program import Program


def carried(program: Program, bound: Bound) -> dict[str, torch.Tensor]:
    """The carried inputs of the next call by name, in the type of the inputs as given (else float32).

    They are computed by the definition in the call's precision: a carry may read what no stage keeps.
    """
    if not program.stated.carries:
        return {}
    result = run(program.stated, bound.tensors, dtype=bound.compute, sizes=bound.sizes)
    return {name: _like(name, value, bound) for name, value in result.carries.items()}


def _like(name: str, value: torch.Tensor, bound: Bound) -> torch.Tensor:
    given = bound.tensors.get(name)
    return value.to(given.dtype) if given is not None else value
