"""The element types of every tensor of a program, from those of the inputs."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from attnc.ir.cascade import Cascade
from attnc.ir.kernel import DType

DTYPES: dict[torch.dtype, DType] = {
    torch.float32: "float32",
    torch.float64: "float64",
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
    torch.int32: "int32",
    torch.int64: "int64",
    torch.bool: "bool",
}


def compute_type(given: Mapping[str, torch.dtype]) -> torch.dtype:
    """float64 where a real input is, float32 otherwise."""
    return torch.float64 if torch.float64 in given.values() else torch.float32


def value_types(cascade: Cascade, given: Mapping[str, torch.dtype]) -> dict[str, torch.dtype]:
    """The type of each input and tensor.

    The first output has the first real input's type; every other computed real is float32, or float64 if an
    input is; integers are int64. Inputs that were not given take the type of computation.
    """
    compute = compute_type(given)
    plain = {"real": compute, "int": torch.int64, "bool": torch.bool}
    types = {item.name: given.get(item.name, plain[item.type]) for item in cascade.inputs}
    types |= {tensor.name: plain[tensor.type] for tensor in cascade.tensors}
    reals = [given[item.name] for item in cascade.inputs if item.type == "real" and item.name in given]
    first = cascade.tensor(cascade.outputs[0]) if cascade.outputs else None
    if reals and first is not None and first.type == "real":
        types[first.name] = reals[0]
    return types
