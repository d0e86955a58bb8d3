"""What a call returns: one tensor, or a named tuple that can be sent to another process."""

from __future__ import annotations

import copyreg
from collections import namedtuple
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch

from attnc.ir.cascade import Cascade


def packed(cascade: Cascade, outputs: Mapping[str, torch.Tensor]) -> Any:
    """The outputs as a call returns them: one tensor, or a named tuple."""
    values = [outputs[name] for name in cascade.outputs]
    return values[0] if len(values) == 1 else result_type(cascade.name, cascade.outputs)(*values)


@cache
def result_type(name: str, outputs: tuple[str, ...]) -> Any:
    """The named tuple of several outputs, in the declared order."""
    kind = namedtuple(name, outputs, rename=True)  # type: ignore[misc]
    copyreg.pickle(kind, lambda values: (_result, (name, outputs, tuple(values))))  # no module has it
    return kind


def _result(name: str, outputs: tuple[str, ...], values: tuple[torch.Tensor, ...]) -> Any:
    return result_type(name, outputs)(*values)
