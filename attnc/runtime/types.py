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

    The first output has the first real input's type, further real outputs are float32, or float64 if that input
    is. What lies between, and inputs that were not given, have the type of computation; integers are int64.
    """
    plain = {"real": compute_type(given), "int": torch.int64, "bool": torch.bool}
    types = {item.name: given.get(item.name, plain[item.type]) for item in cascade.inputs}
    types |= {tensor.name: plain[tensor.type] for tensor in cascade.tensors}
    reals = [given[item.name] for item in cascade.inputs if item.type == "real" and item.name in given]
    first = reals[0] if reals else torch.float32
    further = torch.float64 if first == torch.float64 else torch.float32
    for position, name in enumerate(cascade.outputs):
        tensor = cascade.tensor(name)
        if tensor is not None and tensor.type == "real":
            types[name] = further if position else first
    return types
