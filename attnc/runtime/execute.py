"""A bound call run stage by stage: kernels where the plan streams, PyTorch where it is host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from attnc.ir.cascade import Cascade, Input, Range, Read
from attnc.ir.interpret import run as interpret
from attnc.ir.kernel import DType
from attnc.ir.sizes import evaluate
from attnc.ir.stage import Host, Stage, Stream
from attnc.ir.walk import walk
from attnc.runtime.bind import Bound
from attnc.runtime.build import built, compiled_in, target_of
from attnc.runtime.program import Program


@dataclass(frozen=True)
class StageRun:
    """What a stage did: its plan, backend, the kernel's key, whether it was compiled now, a refusal's code."""

    name: str
    plan: str
    backend: str
    kernel: str | None = None
    compiled_now: bool = False
    refusal: str | None = None


DTYPES: dict[torch.dtype, DType] = {
    torch.float32: "float32",
    torch.float64: "float64",
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
    torch.int32: "int32",
    torch.int64: "int64",
    torch.bool: "bool",
}


def execute(program: Program, bound: Bound) -> tuple[dict[str, torch.Tensor], list[StageRun]]:
    """The values of the outputs, by name, and what ran."""
    cascade = program.explicit
    values = {name: _widened(tensor) for name, tensor in bound.tensors.items()}
    values |= _defaults(cascade, values, bound)
    runs = []
    for stage in program.plan.stages:
        runs.append(_run(stage, program, values, bound))
        _release(stage, program, values)
    return {name: values[name] for name in cascade.outputs}, runs


def _widened(tensor: torch.Tensor) -> torch.Tensor:
    """Kernels read 32- and 64-bit integers; narrower ones are widened here."""
    return tensor if tensor.dtype in DTYPES else tensor.to(torch.int64)


def _defaults(cascade: Cascade, values: Mapping[str, torch.Tensor], bound: Bound) -> dict[str, torch.Tensor]:
    """The optional inputs that were not given, as tensors."""
    missing = [item for item in cascade.inputs if item.name not in values]
    if not missing:
        return {}
    asked = Cascade("defaults", cascade.inputs, cascade.options, cascade.ranges, (), (), ())
    result = interpret(asked, values, dtype=bound.compute, sizes=bound.sizes, keep=[item.name for item in missing])
    return {item.name: result.values[item.name].to(bound.device) for item in missing}


def _run(stage: Stage, program: Program, values: dict[str, torch.Tensor], bound: Bound) -> StageRun:
    if isinstance(stage, Host):
        values.update(_host(stage, program.explicit, values, bound))
        return StageRun(stage.name, "host", "torch", refusal=stage.refusal.code if stage.refusal else None)
    return _stream(stage, program, values, bound)


def _host(stage: Host, cascade: Cascade, values: Mapping[str, torch.Tensor], bound: Bound) -> dict[str, torch.Tensor]:
    piece = carve(cascade, stage.tensors)
    given = {item.name: values[item.name] for item in piece.inputs}
    result = interpret(piece, given, dtype=bound.compute, sizes=bound.sizes)
    return {name: _typed(cascade, name, tensor, bound) for name, tensor in result.outputs.items()}


def _typed(cascade: Cascade, name: str, tensor: torch.Tensor, bound: Bound) -> torch.Tensor:
    return tensor.to(output_type(cascade, name, bound))


def output_type(cascade: Cascade, name: str, bound: Bound) -> torch.dtype:
    """The first output has the first real input's type; other reals are computed in float32 or float64."""
    tensor = cascade.tensor(name)
    kind = tensor.type if tensor is not None else "real"
    if kind != "real":
        return {"bool": torch.bool, "int": torch.int64}[kind]
    return bound.output if name == cascade.outputs[0] else bound.compute


def _stream(stage: Stream, program: Program, values: dict[str, torch.Tensor], bound: Bound) -> StageRun:
    cascade = program.explicit
    target = target_of(bound.device)
    names = stream_tensors(stage, cascade)
    outputs = dict.fromkeys(finish.tensor for finish in stage.monoid.finishes)
    for name in outputs:
        tensor = cascade.tensor(name)
        assert tensor is not None
        shape = [max(0, int(evaluate(hi, bound.sizes) - evaluate(lo, bound.sizes))) for lo, hi in tensor.axes]
        values[name] = torch.empty(shape, dtype=output_type(cascade, name, bound), device=bound.device)
    dtypes = {name: DTYPES[values[name].dtype] for name in names}
    extents = {index: bound.sizes[index] for index in compiled_in(stage, cascade)}
    kernel = built(program, stage, target, dtypes, extents)
    kernel.launch({name: values[name] for name in names}, bound.sizes)
    return StageRun(stage.name, "stream", "cpp" if target.kind == "cpu" else "triton", kernel.key, kernel.compiled_now)


def stream_tensors(stage: Stream, cascade: Cascade) -> tuple[str, ...]:
    """The tensors that a streamed stage reads and writes."""
    read = {node.tensor for node in walk(stage.monoid) if isinstance(node, Read)}
    return tuple(sorted(read | {finish.tensor for finish in stage.monoid.finishes}))


def _release(stage: Stage, program: Program, values: dict[str, torch.Tensor]) -> None:
    """Forget what no later stage reads, so that peak memory is what the plan says."""
    stages = program.plan.stages
    later = stages[stages.index(stage) + 1 :]
    needed = set(program.explicit.outputs)
    for item in later:
        needed |= set(_reads(item, program.explicit))
    for name in set(values) - needed:
        del values[name]


def _reads(stage: Stage, cascade: Cascade) -> tuple[str, ...]:
    if isinstance(stage, Stream):
        return stream_tensors(stage, cascade)
    return tuple(item.name for item in carve(cascade, stage.tensors).inputs)


def carve(cascade: Cascade, names: tuple[str, ...]) -> Cascade:
    """The cascade that computes just these tensors; everything else they read becomes an input."""
    tensors = tuple(tensor for tensor in cascade.tensors if tensor.name in names)
    read = {node.tensor for tensor in tensors for node in walk(tensor) if isinstance(node, Read)} - set(names)
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
    steps = tuple(step for step in cascade.steps if set(step.tensors) & set(names))
    return Cascade(cascade.name, tuple(inputs), cascade.options, tuple(ranges), tensors, steps, names)
