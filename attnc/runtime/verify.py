"""A call's outputs held against the oracle by the numerics contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from attnc.contract import judge, references
from attnc.runtime.program import Program


def verify(
    program: Program, inputs: Mapping[str, torch.Tensor], outputs: Mapping[str, torch.Tensor]
) -> list[dict[str, Any]]:
    """One row per output: whether it passes, its error and what was allowed."""
    at_home = {name: tensor.cpu() for name, tensor in inputs.items()}
    found = references(program.stated, at_home, {name: tensor.dtype for name, tensor in outputs.items()})
    rows = []
    for name, value in outputs.items():
        verdict = judge(name, value.cpu(), found[name])
        rows.append({"output": name, "passed": verdict.passed, "error": verdict.error, "allowed": verdict.allowed})
    return rows
