"""A bound call run stage by stage: kernels where the plan streams, PyTorch where it is host."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch

from attnc.ir.cascade import Cascade
from attnc.ir.interpret import run as interpret
from attnc.ir.kernel import DType
from attnc.ir.sizes import whole
from attnc.ir.stage import Host, Stage, Stream
from attnc.runtime.bind import Bound
from attnc.runtime.build import Built
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


def execute(
    program: Program,
    bound: Bound,
    build: Builder,
    held: Iterable[str] = (),
    types: Mapping[str, torch.dtype] | None = None,
) -> tuple[dict[str, torch.Tensor], list[StageRun]]:
    """The values of the outputs and of what else is to be `held`, by name, and what ran; `types` overrule the rules."""
    found = {**value_types(program.explicit, bound.types), **(types or {})}
    call = Execution(program, bound, build, found, widened(program.explicit, bound.tensors))
    call.values.update(_defaults(call))
    runs = []
    for position, stage in enumerate(program.plan.stages):
        runs.append(_host(call, stage) if isinstance(stage, Host) else _stream(call, stage))
        _release(call, program.plan.stages[position + 1 :], held)
    outputs = {name: call.values[name].to(call.types[name]) for name in program.explicit.outputs}
    outputs = owned(outputs, bound.tensors.values())
    return {name: call.values[name] for name in held} | outputs, runs


def again(program: Program, bound: Bound, build: Builder, names: Iterable[str]) -> dict[str, torch.Tensor]:
    """The tensors of a call, and those that these host stages compute from them."""
    call = Execution(program, bound, build, value_types(program.explicit, bound.types), dict(bound.tensors))
    for stage in program.plan.stages:
        if stage.name in names and isinstance(stage, Host):
            _host(call, stage)
    return call.values


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
    own = call.program.needs[stage.name].cascade
    assert own is not None, "a host stage has a cascade of its own"
    given = {item.name: call.values[item.name] for item in own.inputs}
    result = interpret(own, given, dtype=compute_type(call.bound.types), sizes=call.bound.sizes)
    call.values.update(result.outputs)  # in the type of computation: what reads an output reads it before it is rounded
    return StageRun(stage.name, "host", "torch", refusal=stage.refusal.code if stage.refusal else None)


def _stream(call: Execution, stage: Stream) -> StageRun:
    for finish in stage.monoid.finishes:
        if finish.tensor not in call.values:
            call.values[finish.tensor] = _allocate(call, finish.tensor)
    needs = call.program.needs[stage.name]
    dtypes = {name: DTYPES[call.values[name].dtype] for name in needs.tensors}
    extents = {index: call.bound.sizes[index] for index in needs.compiled_in}
    kernel = call.build(stage, dtypes, extents)
    kernel.launch({name: call.values[name] for name in needs.tensors}, call.bound.sizes)
    return StageRun(stage.name, "stream", kernel.backend, kernel.key, kernel.compiled_now)


def _allocate(call: Execution, name: str) -> torch.Tensor:
    tensor = call.cascade.tensor(name)
    assert tensor is not None
    sizes = call.bound.sizes
    shape = [max(0, whole(hi, sizes) - whole(lo, sizes)) for lo, hi in tensor.axes]
    return torch.empty(shape, dtype=call.types[name], device=call.bound.device)


def _release(call: Execution, later: tuple[Stage, ...], held: Iterable[str]) -> None:
    """Forget what no later stage reads, so that peak memory is what the plan says."""
    needed = {*call.cascade.outputs, *held}.union(*(call.program.needs[stage.name].tensors for stage in later))
    for name in set(call.values) - needed:
        del call.values[name]
