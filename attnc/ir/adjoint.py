"""The backward of a program: for each stage that is differentiated a cascade of its own, in order of execution."""

from __future__ import annotations

from dataclasses import dataclass

from attnc.ir.cascade import Cascade, Expr, Type
from attnc.ir.node import Node
from attnc.ir.stage import Plan

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Kept(Node):
    """A tensor that a streamed stage emits for its backward: `value` over Var(accumulator) and Var(gauge)."""

    tensor: str
    indices: tuple[str, ...]
    type: Type
    value: Expr


@dataclass(frozen=True, slots=True)
class Adjoint(Node):
    """The backward of one stage.

    `gradients` name, for each tensor that the stage reads, the tensor of its gradient; `incoming`, for each that it
    emits, the input that holds what comes in. Where there is no cascade PyTorch differentiates the statements of
    `tensors`: those of a host stage, or of a stream that hides a derivative.
    """

    stage: str
    gradients: Pairs
    incoming: Pairs
    cascade: Cascade | None = None
    plan: Plan | None = None
    tensors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Backward(Node):
    """What runs from the outputs to the inputs.

    `kept` are the tensors that forward stages emit besides, by stage; `saved` is all that is held from the forward
    to the backward; `again` are the host stages that are run again in place of being held.
    """

    steps: tuple[Adjoint, ...]
    kept: tuple[tuple[str, tuple[Kept, ...]], ...]
    saved: tuple[str, ...]
    again: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tangent(Node):
    """The tangent of a program as a cascade of its own.

    `inputs` name, for each input that has a tangent which is read, the input that holds it; `outputs`, for each
    output that changes, the tensor of its tangent.
    """

    inputs: Pairs
    outputs: Pairs
    cascade: Cascade
    plan: Plan
