"""The backward of a program: derived once, kept on disk as programs are, run stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch

from attnc.ir.adjoint import Adjoint, Backward, Kept
from attnc.ir.cascade import Cascade, Coord, Tensor
from attnc.ir.interpret import run as interpret
from attnc.ir.serial import dump, load
from attnc.ir.stage import Finish, Plan, Stage, Stream
from attnc.ir.target import Target
from attnc.ir.types import types_of
from attnc.runtime import cache
from attnc.runtime.bind import Bound
from attnc.runtime.build import announce
from attnc.runtime.convert import in_memory
from attnc.runtime.execute import execute
from attnc.runtime.needs import carve
from attnc.runtime.precision import exact
from attnc.runtime.program import Program
from attnc.runtime.streams import StageRun
from attnc.runtime.types import compute_type

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Gradients:
    """A program that emits what its backward reads, and that backward: `key` names both in the cache."""

    key: str
    program: Program
    backward: Backward

    @cached_property
    def reached(self) -> frozenset[str]:
        """The inputs whose gradients are computed."""
        inputs = {item.name for item in self.program.explicit.inputs}
        return frozenset(name for step in self.backward.steps for name, _ in step.gradients if name in inputs)

    def types(self, step: Adjoint, program: Program, forward: Mapping[str, torch.dtype]) -> dict[str, torch.dtype]:
        """The types of what a step gives: a gradient that is whole has its input's, all else that of computation."""
        compute = compute_type(forward)
        names = [name for step in self.backward.steps for name, _ in step.gradients]
        whole = {name for name in self.reached if names.count(name) == 1}
        own = {own: forward[name] if name in whole else compute for name, own in step.gradients}
        return dict.fromkeys(program.explicit.outputs, compute) | own

    @cached_property
    def steps(self) -> tuple[tuple[Adjoint, Program | None], ...]:
        """Each step with the program that computes it, if it is one."""
        return tuple((step, self._program(step)) for step in self.backward.steps)

    def _program(self, step: Adjoint) -> Program | None:
        if step.cascade is None or step.plan is None:
            return None
        return Program(cache.key(self.key, step.stage), step.cascade, step.cascade, step.plan)


def gradients_of(
    program: Program, wanted: tuple[str, ...], given: tuple[str, ...], *, precise: bool = False
) -> Gradients:
    """The backward for these inputs from these outputs, from memory or disk where it is known.

    Where a gradient is to be `precise` it is not made of the first output, which is rounded as it is given out.
    """
    key = cache.key(program.key, "backward", wanted, given, *(("precise",) if precise else ()))
    if key not in _KNOWN:
        kept = cache.get(key, "backward")
        backward = load(kept.decode()) if kept else _derived(program, wanted, given, key, precise=precise)
        _KNOWN[key] = Gradients(key, _emitting(program, key, backward), backward)
    return _KNOWN[key]


def backward_for(program: Program, wanted: tuple[str, ...], *, precise: bool = False) -> Gradients:
    """The backward for these inputs from every real output."""
    types = types_of(program.explicit)
    given = tuple(name for name in dict.fromkeys(program.explicit.outputs) if types[name] == "real")
    return gradients_of(program, wanted, given, precise=precise)


_KNOWN: dict[str, Gradients] = {}


def _derived(program: Program, wanted: tuple[str, ...], given: tuple[str, ...], key: str, *, precise: bool) -> Backward:
    from attnc import compiler

    backward = compiler.differentiated(program.explicit, program.plan, wanted, given, precise=precise)
    cache.put(key, "backward", dump(backward).encode())
    return backward


# ---- the forward -------------------------------------------------------------------------------


def _emitting(program: Program, key: str, backward: Backward) -> Program:
    """The program with its stages emitting what is kept for the backward."""
    kept = dict(backward.kept)
    if not kept:
        return program
    tensors = tuple(_declared(program.explicit, item) for items in kept.values() for item in items)
    explicit = replace(program.explicit, tensors=(*program.explicit.tensors, *tensors))
    stages = tuple(_with(stage, kept.get(stage.name, ())) for stage in program.plan.stages)
    return Program(key, program.stated, explicit, Plan(stages, program.plan.refusals))


def _declared(cascade: Cascade, item: Kept) -> Tensor:
    axes = tuple((cascade.range(index).lo, cascade.range(index).hi) for index in item.indices)
    return Tensor(item.tensor, axes, item.type, ())


def _with(stage: Stage, kept: tuple[Kept, ...]) -> Stage:
    if not isinstance(stage, Stream) or not kept:
        return stage
    further = tuple(Finish(k.tensor, tuple(map(Coord, k.indices)), k.indices, k.value, span=stage.span) for k in kept)
    return replace(stage, monoid=replace(stage.monoid, finishes=(*stage.monoid.finishes, *further)))


# ---- the backward ------------------------------------------------------------------------------


@exact
def run_backward(
    gradients: Gradients, values: Bound, incoming: Mapping[str, torch.Tensor], target: Target
) -> tuple[Tensors, list[StageRun]]:
    """The gradients of the inputs by name, and what ran.

    `values` are the inputs and the tensors of the forward that the backward reads, `incoming` what comes in at the
    outputs.
    """
    run = _Run(gradients, values, target, {name: in_memory(value) for name, value in incoming.items()})
    for step, program in gradients.steps:
        for name, value in (run.by_torch(step) if program is None else run.by_kernels(step, program)).items():
            run.found[name] = run.found[name] + value if name in run.found else value
    return {name: run.found[name].to(values.types[name]) for name in gradients.reached}, run.runs


@dataclass
class _Run:
    """A backward under way: `found` is what comes in at each tensor so far."""

    gradients: Gradients
    values: Bound
    target: Target
    found: Tensors
    runs: list[StageRun] = field(default_factory=list)

    def by_kernels(self, step: Adjoint, program: Program) -> Tensors:
        """What a step hands on, by its own plan."""
        given = {own: self.found[name] for name, own in step.incoming}
        names = {item.name for item in program.explicit.inputs} - set(given)
        tensors = {name: self.values.tensors[name] for name in names} | given
        bound = Bound(tensors, self.values.sizes, self.values.device)
        for stage in program.heavy:
            reason = f" ({stage.refusal.code}: {stage.refusal.reason})" if stage.refusal else ""
            announce(f"attnc: `{stage.name}` of `{program.explicit.name}` by statements, a slower path{reason}")
        types = self.gradients.types(step, program, self.values.types)
        outputs, ran = execute(program, bound, self.target, types=types)
        self.runs += ran
        return {name: outputs[own] for name, own in step.gradients}

    def by_torch(self, step: Adjoint) -> Tensors:
        """What statements hand on: PyTorch differentiates them."""
        own = carve(self.gradients.program.explicit, step.tensors)
        compute = compute_type(self.values.types)
        given = {item.name: self.values.tensors[item.name] for item in own.inputs}
        leaves = {name: given[name].detach().to(compute).requires_grad_() for name, _ in step.gradients}
        with torch.enable_grad():
            result = interpret(own, given | leaves, dtype=compute, sizes=self.values.sizes)
        names = [name for name, _ in step.incoming if result.outputs[name].requires_grad]
        outputs, incoming = [result.outputs[n] for n in names], [self.found[n].to(compute) for n in names]
        found = torch.autograd.grad(outputs, list(leaves.values()), incoming, materialize_grads=True)
        if any(stage.name == step.stage for stage in self.gradients.program.streams):
            announce(f"attnc: the gradients of `{step.stage}` by statements, a slower path (`stop` of a folded value)")
        self.runs.append(StageRun(f"d{step.stage}", "host", "torch"))
        return dict(zip(leaves, found, strict=True))
