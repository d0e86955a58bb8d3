"""One differentiable call: what of it does not change while PyTorch takes its derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch

from attnc.ir.target import Target
from attnc.ir.types import types_of
from attnc.runtime.build import target_of
from attnc.runtime.definition import Definition
from attnc.runtime.gradients import Gradients, backward_for
from attnc.runtime.program import Program
from attnc.runtime.streams import StageRun
from attnc.runtime.types import compute_type

Tensors = dict[str, torch.Tensor]


@dataclass
class Call:
    """Its program and extents, the inputs that have gradients, the outputs' types where not by rule, and what ran.

    Its gradients are `precise` where one would show how the first output was rounded: they are not made of that. It
    holds no tensor: those are PyTorch's to keep, which notices when one is changed in between.
    """

    program: Program
    sizes: dict[str, int]
    device: torch.device
    names: tuple[str, ...]
    wanted: tuple[str, ...]
    types: Mapping[str, torch.dtype] = field(default_factory=dict)
    forward: list[StageRun] = field(default_factory=list)
    tangent: list[StageRun] = field(default_factory=list)
    backward: list[StageRun] = field(default_factory=list)
    precise: bool = False

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """The outputs, each once."""
        return tuple(dict.fromkeys(self.program.explicit.outputs))

    @cached_property
    def real_outputs(self) -> tuple[str, ...]:
        """The outputs that can have a derivative."""
        types = types_of(self.program.explicit)
        return tuple(name for name in self.outputs if types[name] == "real")

    @cached_property
    def gradients(self) -> Gradients:
        """The whole backward, for every output that can have one: it decides what is held."""
        return backward_for(self.program, self.wanted, precise=self.precise)

    @cached_property
    def saved(self) -> tuple[str, ...]:
        """What is held from the forward to the backward besides the inputs."""
        return tuple(name for name in self.gradients.backward.saved if name not in self.names) if self.wanted else ()

    @cached_property
    def further(self) -> tuple[str, ...]:
        """What of that is no output."""
        return tuple(name for name in self.saved if name not in self.outputs)

    @property
    def target(self) -> Target:
        """The machine that kernels are made for."""
        return target_of(self.device)

    def zeros(self, shape: torch.Size, dtype: torch.dtype) -> torch.Tensor:
        """Zeros where the call runs."""
        return torch.zeros(shape, dtype=dtype, device=self.device)

    def definition(self, tensors: Tensors) -> Definition:
        """The statements of this call, of which the inputs that are no reals stay fixed."""
        fixed = {name: tensor for name, tensor in tensors.items() if not tensor.is_floating_point()}
        compute = compute_type({name: tensor.dtype for name, tensor in tensors.items()})
        return Definition(self.program.stated, self.sizes, compute, fixed)
