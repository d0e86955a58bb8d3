"""A bound call run stage by stage: kernels where the plan streams, PyTorch where it is host."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch

from attnc.ir.cascade import Cascade, Input, Range, Read
from attnc.ir.dependence import piece
from attnc.ir.interpret import run as interpret
from attnc.ir.kernel import DType
from attnc.ir.sizes import whole
from attnc.ir.stage import Host, Stage, Stream
from attnc.ir.walk import walk
from attnc.runtime.bind import Bound
from attnc.runtime.build import Built, compiled_in
from attnc.runtime.convert import widened
from attnc.runtime.program import Program
from attnc.runtime.types import DTYPES, compute_type, value_types

Builder = Callable[[Stream, Mapping[str, DType], Mapping[str, int]], Built]


@dataclass(frozen=True)
class StageRun:
    """What a stage did: its plan, backend, the kernel's key, whether it was compiled now, a refusal's code."""

    name: str
    plan: str
    backend: str
    kernel: str | None = None
    compiled_now: bool = False
    refusal: str | None = None


@dataclass(frozen=True)
class Execution:
    """One call under way: the program, its arguments, the types of all tensors, the values so far."""

    program: Program
    bound: Bound
    build: Builder
    types: Mapping[str, torch.dtype]
    values: dict[str, torch.Tensor]

    @property
    def cascade(self) -> Cascade:
        """The explicit cascade."""
        return self.program.explicit


def execute(program: Program, bound: Bound, build: Builder) -> tuple[dict[str, torch.Tensor], list[StageRun]]:
    """The values of the outputs, by name, and what ran."""
    types = value_types(program.explicit, bound.types)
    call = Execution(program, bound, build, types, widened(program.explicit, bound.tensors))
    call.values.update(_defaults(call))
    runs = []
    for position, stage in enumerate(program.plan.stages):
        runs.append(_host(call, stage) if isinstance(stage, Host) else _stream(call, stage))
        _release(call, program.plan.stages[position + 1 :])
    return owned({name: call.values[name] for name in program.explicit.outputs}, bound.tensors.values()), runs


def owned(outputs: Mapping[str, torch.Tensor], given: Iterable[torch.Tensor]) -> dict[str, torch.Tensor]:
    """The outputs in memory of their own: writing to one changes no input, no other output and no other element."""
    taken = {tensor.untyped_storage().data_ptr() for tensor in given}
    found = {}
    for name, value in outputs.items():
        shared = any(extent > 1 and stride == 0 for extent, stride in zip(value.shape, value.stride(), strict=True))
        if shared or value.untyped_storage().data_ptr() in taken:
            value = value.clone(memory_format=torch.contiguous_format)
        taken.add(value.untyped_storage().data_ptr())
        found[name] = value
    return found


def _defaults(call: Execution) -> dict[str, torch.Tensor]:
    """The optional inputs that were not given, as tensors."""
    missing = [item.name for item in call.cascade.inputs if item.name not in call.values]
    if not missing:
        return {}
    asked = Cascade("defaults", call.cascade.inputs, call.cascade.options, call.cascade.ranges, (), (), ())
    compute = compute_type(call.bound.types)
    result = interpret(asked, call.values, dtype=compute, sizes=call.bound.sizes, keep=missing)
    return {name: result.values[name].to(call.bound.device) for name in missing}


def _host(call: Execution, stage: Host) -> StageRun:
    piece = carve(call.cascade, stage.tensors)
    given = {item.name: call.values[item.name] for item in piece.inputs}
    result = interpret(piece, given, dtype=compute_type(call.bound.types), sizes=call.bound.sizes)
    for name, tensor in result.outputs.items():
        call.values[name] = tensor.to(call.types[name])
    return StageRun(stage.name, "host", "torch", refusal=stage.refusal.code if stage.refusal else None)


def _stream(call: Execution, stage: Stream) -> StageRun:
    for finish in stage.monoid.finishes:
        if finish.tensor not in call.values:
            call.values[finish.tensor] = _allocate(call, finish.tensor)
    names = stream_tensors(stage)
    dtypes = {name: DTYPES[call.values[name].dtype] for name in names}
    extents = {index: call.bound.sizes[index] for index in compiled_in(stage, call.cascade)}
    kernel = call.build(stage, dtypes, extents)
    kernel.launch({name: call.values[name] for name in names}, call.bound.sizes)
    return StageRun(stage.name, "stream", kernel.backend, kernel.key, kernel.compiled_now)


def _allocate(call: Execution, name: str) -> torch.Tensor:
    tensor = call.cascade.tensor(name)
    assert tensor is not None
    sizes = call.bound.sizes
    shape = [max(0, whole(hi, sizes) - whole(lo, sizes)) for lo, hi in tensor.axes]
    return torch.empty(shape, dtype=call.types[name], device=call.bound.device)


def stream_tensors(stage: Stream) -> tuple[str, ...]:
    """The tensors that a streamed stage reads and writes."""
    read = {node.tensor for node in walk(stage.monoid) if isinstance(node, Read)}
    return tuple(sorted(read | {finish.tensor for finish in stage.monoid.finishes}))


def _release(call: Execution, later: tuple[Stage, ...]) -> None:
    """Forget what no later stage reads, so that peak memory is what the plan says."""
    needed = set(call.cascade.outputs).union(*(reads(stage, call.cascade) for stage in later))
    for name in set(call.values) - needed:
        del call.values[name]


def reads(stage: Stage, cascade: Cascade) -> tuple[str, ...]:
    """The tensors that a stage needs to have been computed or given."""
    if isinstance(stage, Stream):
        return stream_tensors(stage)
    return tuple(item.name for item in carve(cascade, stage.tensors).inputs)


def carve(cascade: Cascade, names: tuple[str, ...]) -> Cascade:
    """The cascade that computes just these tensors; everything else they read becomes an input.

    What lies between a value and what it is differentiated by is evaluated again: it has to be one piece.
    """
    evaluated = piece(cascade, names)
    tensors = tuple(tensor for tensor in cascade.tensors if tensor.name in evaluated)
    read = {node.tensor for tensor in tensors for node in walk(tensor) if isinstance(node, Read)} - evaluated
    inputs, ranges = [], list(cascade.ranges)
    for name in sorted(read):
        given = cascade.input(name)
        if given is not None:
            inputs.append(Input(name, given.indices, given.type))
            continue
        tensor = cascade.tensor(name)
        assert tensor is not None
        axes = tuple(f"{name}.{axis}" for axis in range(len(tensor.axes)))
        ranges += [Range(index, lo, hi) for index, (lo, hi) in zip(axes, tensor.axes, strict=True)]
        inputs.append(Input(name, axes, tensor.type))
    steps = tuple(step for step in cascade.steps if set(step.tensors) & evaluated)
    return Cascade(cascade.name, tuple(inputs), cascade.options, tuple(ranges), tensors, steps, names)
