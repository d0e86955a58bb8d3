"""A bound call run stage by stage: kernels where the plan streams, PyTorch where it is host."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import torch

from attnc.ir.cascade import Cascade
from attnc.ir.interpret import run as interpret
from attnc.ir.stage import Host, Stage
from attnc.ir.target import Target
from attnc.runtime.bind import Bound
from attnc.runtime.convert import widened
from attnc.runtime.kinds import kind_of_run
from attnc.runtime.precision import exact
from attnc.runtime.program import Program
from attnc.runtime.replay import Tape
from attnc.runtime.streams import Execution, Kernels, StageRun, joint, stream
from attnc.runtime.types import compute_type, value_types


def execute(
    program: Program,
    bound: Bound,
    place: Target | Kernels,
    held: Collection[str] = (),
    types: Mapping[str, torch.dtype] | None = None,
    tape: Tape | None = None,
) -> tuple[dict[str, torch.Tensor], list[StageRun]]:
    """The values of the outputs and of what else is to be `held`, by name, and what ran.

    `types` overrule the rules. What is done goes on the `tape`; without one, a run of a known kind is replayed.
    """
    if tape is not None:
        return _executed(program, bound, place, held, types or {}, tape)
    replays, given = program.replays, list(bound.tensors.values())
    kind = kind_of_run(bound.tensors, bound.sizes, place, held, types or {})
    known = replays.known(kind)
    if known:
        replay, (names, runs) = known
        return dict(zip(names, replay(given), strict=True)), list(runs)
    own = replays.tape(kind, given)
    values, runs = _executed(program, bound, place, held, types or {}, own)
    if own is not None:
        replays.keep(kind, own, list(values.values()), (tuple(values), tuple(runs)))
    return values, runs


def _executed(
    program: Program,
    bound: Bound,
    place: Target | Kernels,
    held: Collection[str],
    types: Mapping[str, torch.dtype],
    tape: Tape | None,
) -> tuple[dict[str, torch.Tensor], list[StageRun]]:
    found = {**value_types(program, bound.types), **types}
    call = Execution(program, bound, place, found, widened(program.explicit, bound.tensors), tape)
    call.values.update(_defaults(call))
    runs: list[StageRun] = []
    left = program.plan.stages
    while left:
        stage, *_ = left
        both = () if isinstance(stage, Host) else joint(call, stage)
        runs += both or (_host(call, stage) if isinstance(stage, Host) else stream(call, stage),)
        left = left[len(both) or 1 :]
        _release(call, left, held)
    outputs = {name: call.values[name].to(call.types[name]) for name in program.explicit.outputs}
    outputs = owned(outputs, bound.tensors.values())
    return {name: call.values[name] for name in held} | outputs, runs


def again(program: Program, bound: Bound, place: Target, names: Collection[str]) -> dict[str, torch.Tensor]:
    """The tensors of a call, and those that these host stages compute from them."""
    if not names:
        return dict(bound.tensors)
    call = Execution(program, bound, place, value_types(program, bound.types), dict(bound.tensors))
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
    result = exact(interpret)(asked, call.values, dtype=compute, sizes=call.bound.sizes, keep=missing)
    return {name: result.values[name].to(call.bound.device) for name in missing}


@exact
def _host(call: Execution, stage: Host) -> StageRun:
    if call.tape is not None:
        call.tape.whole = False  # a statement is no kernel
    own = call.program.needs[stage.name].cascade
    assert own is not None, "a host stage has a cascade of its own"
    given = {item.name: call.values[item.name] for item in own.inputs}
    result = interpret(own, given, dtype=compute_type(call.bound.types), sizes=call.bound.sizes)
    call.values.update(result.outputs)  # in the type of computation: what reads an output reads it before it is rounded
    return StageRun(stage.name, "host", "torch", refusal=stage.refusal.code if stage.refusal else None)


def _release(call: Execution, later: tuple[Stage, ...], held: Iterable[str]) -> None:
    """Forget what no later stage reads, so that peak memory is what the plan says."""
    needed = {*call.cascade.outputs, *held}.union(*(call.program.needs[stage.name].tensors for stage in later))
    for name in set(call.values) - needed:
        del call.values[name]
