"""The kernels of a program by role, for a target that need not be present.

The stage that produces the first output is `forward`; any other stage is `forward.<tensor>`. A stage of the backward
is `backward_<input>`, by the first input whose gradient it gives, else `backward_<tensor>`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any

import torch

from attnc.compiler import rivals
from attnc.diagnostics import error
from attnc.ir.kernel import Kernel
from attnc.ir.stage import Stream
from attnc.ir.target import Target, find_target
from attnc.runtime.build import source_of
from attnc.runtime.explain_backward import whole_backward
from attnc.runtime.program import Program
from attnc.runtime.types import DTYPES, compute_type, value_types

NAMES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "fp64": torch.float64}
NAMES |= {str(dtype).removeprefix("torch."): dtype for dtype in NAMES.values()}


@dataclass(frozen=True)
class GeneratedKernel:
    """One generated kernel: its role, the stage it serves, its source, and what it needs of the target."""

    role: str
    stage: str
    target: Target
    source: str
    signature: Kernel
    rivals: Callable[[], Iterator[GeneratedKernel]] = field(default=lambda: iter(()), compare=False, repr=False)
    """The same with the next best tiles."""

    @cached_property
    def compiled(self) -> tuple[bytes, Any]:
        """The binary for the target, and the resources that it takes."""
        return _compiled(self)

    @property
    def resources(self) -> Any:
        """Registers per thread, spilled bytes, shared bytes, occupancy; compiles the kernel for the target."""
        return self.compiled[1]

    @property
    def suffix(self) -> str:
        """The source file's ending."""
        return "cpp" if self.target.kind == "cpu" else "py"


def _compiled(kernel: GeneratedKernel) -> tuple[bytes, Any]:
    if kernel.target.kind == "cpu":
        from attnc.codegen.cpp_build import compile_source, resources

        binary = compile_source(kernel.source)
        return binary, resources(kernel.signature)
    from attnc.codegen.offline import compile_offline

    return compile_offline(kernel.source, kernel.signature, kernel.target)


def settled(kernel: GeneratedKernel) -> tuple[GeneratedKernel, bytes, Any]:
    """The kernel that a call would settle on, compiled."""
    if kernel.target.kind != "cpu":
        kernel = chosen(kernel, lambda item: over(item, item.resources))
    return kernel, *kernel.compiled


def over(kernel: GeneratedKernel, resources: Any) -> int:
    """The bytes by which a kernel for a GPU misses registers and shared memory; one that cannot be launched is last."""
    return int(resources.spills) + (1 << 30 if resources.shared > kernel.target.onchip else 0)


def chosen(kernel: GeneratedKernel, over: Callable[[GeneratedKernel], int]) -> GeneratedKernel:
    """The first of a kernel and its rivals that fits, else the one that misses the least."""
    found: list[tuple[int, GeneratedKernel]] = []
    for rival in chain((kernel,), kernel.rivals()):
        found.append((over(rival), rival))
        if not found[-1][0]:
            break
    return min(found, key=lambda item: item[0])[1]


def report(kernel: GeneratedKernel) -> dict[str, Any]:
    """The tile, the model's cycles a score, and on a GPU the kinds of matrix instructions and what a turn is made of.

    A turn is one of the loop over whole tiles, its instructions by what they do; `per_score` counts those of all
    threads together, for one score. Of a kernel for a CPU no instructions are counted.
    """
    return told(kernel, {} if kernel.target.kind == "cpu" else instructions(kernel))


def told(kernel: GeneratedKernel, counted: Mapping[str, Any]) -> dict[str, Any]:
    """The report of a kernel whose instructions have been counted."""
    signature = kernel.signature
    rows = signature.parallel.tile if signature.parallel else 1
    along = signature.columns or next((axis for axis in signature.axes if axis.extent is None), None)
    keys = along.tile if along else 1
    found = {"tile": [rows, keys], "warps": signature.warps, "stages": signature.stages, "cycles": signature.cycles}
    if "loop" not in counted:
        return {**found, **counted}
    each = sum(counted["loop"].values()) * signature.warps * kernel.target.warp / (rows * keys)
    return {**found, **counted, "per_score": round(each, 2)}


def instructions(kernel: GeneratedKernel) -> dict[str, Any]:
    """The kinds of matrix instructions of a kernel for a GPU, and what a turn of its loop is made of if it has one."""
    from attnc.codegen.disassembly import main_loop, matrix_opcodes
    from attnc.codegen.offline import disassembly

    text = disassembly(kernel.source, kernel.signature, kernel.target)
    loop = main_loop(text)
    return {"matrix": matrix_opcodes(text)} | ({"loop": loop} if loop is not None else {})


def real_type(name: str) -> torch.dtype:
    """The type that `bf16`, `float32`, .. names."""
    if name not in NAMES:
        raise error("A603", f"there is no real type `{name}`", helps=(f"one of {', '.join(sorted(NAMES))}",))
    return NAMES[name]


def input_types(program: Program, dtype: torch.dtype) -> dict[str, torch.dtype]:
    """The inputs' types where every real one has `dtype`; an optional one is left to the type of computation."""
    plain = {"real": dtype, "int": torch.int64, "bool": torch.bool}
    return {item.name: plain[item.type] for item in program.stated.inputs if item.default is None}


def kernels(program: Program, target: str, dtype: str, shape: Mapping[str, int]) -> dict[str, GeneratedKernel]:
    """Every streamed stage's kernel of the forward, by role."""
    types = value_types(program, input_types(program, real_type(dtype)))
    place = find_target(target)
    return {(role := role_of(program, s)): _generated(role, program, s, types, place, shape) for s in program.streams}


def backward_kernels(program: Program, target: str, dtype: str, shape: Mapping[str, int]) -> dict[str, GeneratedKernel]:
    """Every streamed stage's kernel of the backward: `backward_<input>` by the first gradient that it gives."""
    place, given = find_target(target), input_types(program, real_type(dtype))
    gradients = whole_backward(program, given)
    forward = value_types(gradients.program, given)
    made: dict[str, GeneratedKernel] = {}
    for step, own in gradients.steps:
        if own is None:
            continue
        cotangents = {given: _cotangent(gradients.program, name, forward) for name, given in step.incoming}
        inputs = {item.name: cotangents.get(item.name) or forward[item.name] for item in own.explicit.inputs}
        types = value_types(own, inputs) | gradients.types(step, own, forward)
        for stage in own.streams:
            role = _backward_role(stage, {own: name for name, own in step.gradients})
            role = f"{role}.{stage.name}" if role in made else role
            made[role] = _generated(role, own, stage, types, place, shape)
    return made


def _cotangent(program: Program, name: str, forward: Mapping[str, torch.dtype]) -> torch.dtype:
    """What comes in at an output has its type, and what another step hands on that of computation."""
    return forward[name] if name in program.explicit.outputs else compute_type(forward)


def _backward_role(stage: Stream, inputs: Mapping[str, str]) -> str:
    gives = [finish.tensor for finish in stage.monoid.finishes]
    return f"backward_{next((inputs[name] for name in gives if name in inputs), gives[0])}"


def _generated(
    role: str,
    program: Program,
    stage: Stream,
    types: Mapping[str, torch.dtype],
    place: Target,
    shape: Mapping[str, int],
) -> GeneratedKernel:
    dtypes = {name: DTYPES[types[name]] for name in program.needs[stage.name].tensors}
    extents = _extents(program, stage, shape)

    def made(place: Target) -> GeneratedKernel:
        _, signature, source = source_of(program, place, stage, dtypes, extents)
        return GeneratedKernel(role, stage.name, place, source, signature)

    def others() -> Iterator[GeneratedKernel]:
        yield from (made(rival) for rival in rivals(stage, program.explicit, place, dtypes, extents)[1:])

    return replace(made(place), rivals=others)


def role_of(program: Program, stage: Stream) -> str:
    """`forward` for the stage of the first output, else `forward.<tensor>`."""
    first = program.explicit.outputs[0]
    makers = [item for item in program.streams if first in {finish.tensor for finish in item.monoid.finishes}]
    if (makers and makers[0] is stage) or (not makers and stage is program.streams[-1]):
        return "forward"
    return f"forward.{stage.monoid.finishes[0].tensor}"


def _extents(program: Program, stage: Stream, shape: Mapping[str, int]) -> dict[str, int]:
    needed = program.needs[stage.name].compiled_in
    missing = [index for index in needed if index not in shape]
    if missing:
        example = ",".join(f"{index}=64" for index in needed)
        raise error(
            "A630",
            f"the kernel of `{stage.name}` is compiled for the extents of {', '.join(f'`{i}`' for i in missing)}",
            helps=(f"give them: `--shape {example}`, or `shape=` in Python",),
        )
    return {index: shape[index] for index in needed}
