"""The object a user holds: an analysed attention that can be called, stepped, explained and compiled."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from attnc.ir.target import find_target
from attnc.library import Spec
from attnc.runtime.autograd import differentiable, moving_inputs, wanted_inputs
from attnc.runtime.bind import Bound, bind
from attnc.runtime.build import announce, target_of
from attnc.runtime.call import Call
from attnc.runtime.carry import NEXT
from attnc.runtime.convert import setting
from attnc.runtime.execute import execute, owned
from attnc.runtime.graphs import record, recorded, watched
from attnc.runtime.kinds import kind_of, tensors_of
from attnc.runtime.memory import enough_memory
from attnc.runtime.precision import autocast, exact, lowered
from attnc.runtime.program import Program, analyse
from attnc.runtime.reference import Reference, attention_of, register
from attnc.runtime.replay import Replay, Replays, Tape
from attnc.runtime.results import result_type
from attnc.runtime.shapes import checked_shape
from attnc.runtime.signature import Signature, signature
from attnc.runtime.site import carried
from attnc.runtime.slower import refuse_heavy, refuse_slow_backward, slower
from attnc.runtime.streams import StageRun

if TYPE_CHECKING:
    from attnc.runtime.explain import Explanation
    from attnc.runtime.kernels import GeneratedKernel


@dataclass(frozen=True)
class Run:
    """What the last call ran, stage by stage, its tangents, and its backward, once that has run."""

    stages: tuple[StageRun, ...]
    backward: list[StageRun] = field(default_factory=list)
    tangent: tuple[StageRun, ...] = ()

    def __str__(self) -> str:
        every = (*self.stages, *self.tangent, *self.backward)
        return "\n".join(f"{run.name}: {run.plan} on {run.backend}" for run in every)


class Attention:
    """One attention of a spec: call it with tensors in order or by name, and options by keyword.

    Tensors have the axes that the spec names, with any strides; one output is returned as a tensor, several
    as a named tuple. Under `strict` a heavy host stage is an error in place of a warning.
    """

    def __init__(self, spec: Spec, *, strict: bool = False, lazy: bool = False) -> None:
        """Analyses the spec with its options' defaults, if all have one; if `lazy`, only when first called."""
        self.spec = spec
        self.strict = strict
        self.signature: Signature = signature(spec)
        self.last_run: Run | None = None
        self._programs: dict[str, Program] = {}
        self._replays = Replays()
        self._result = result_type(self.signature.name, self.signature.outputs)
        self._reference = Reference(replace(spec, name=self.signature.name), strict).written()
        register(self._reference, self)
        if not (lazy or self.signature.needed):
            self.program()

    def __repr__(self) -> str:
        return f"<attention {self.signature.name} of {self.spec.source.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return attention_of, (self._reference,)

    def program(self, options: Mapping[str, object] | None = None, *, step: bool = False) -> Program:
        """The analysed program for these options; analysis runs once per set of values."""
        options = {name: setting(name, value) for name, value in sorted((options or {}).items())}
        key = repr((step, options))  # as text: 1, 1.0 and True are equal, and anything may be given
        if key not in self._programs:
            program = analyse(replace(self.spec_for(options), name=self.signature.name), options, step=step)
            if self._strict:
                refuse_heavy(program)
            self._programs[key] = program
        return self._programs[key]

    def spec_for(self, options: Mapping[str, object]) -> Spec:
        """The spec that is analysed for these options."""
        return self.spec

    @property
    def _strict(self) -> bool:
        return self.strict or os.environ.get("ATTNC_STRICT") == "1"

    def __call__(self, *args: object, **named: object) -> Any:
        """The outputs on these tensors: a tensor, or a named tuple in the declared order.

        In an autocast region real tensors other than float64 are cast to its type, as those of PyTorch's own
        attention are: so has the result. Arithmetic stays what it is.
        """
        if watched():
            return self._packed(record(self._reference, self.signature, args, named)[1])
        kind, given = kind_of(args, named), tensors_of(args, named)
        if known := self._replays.known(kind):
            return self._packed(self._again(*known, given))
        if recorded(given):
            return self._packed(record(self._reference, self.signature, args, named)[1])
        return self._packed(self._anew(args, named, kind, given))

    def _again(self, replay: Replay, run: Run, given: list[torch.Tensor]) -> list[torch.Tensor]:
        """The outputs of a plain call of a kind that is known."""
        try:
            outputs = replay(given)
        except (MemoryError, RuntimeError) as reason:
            with enough_memory(f"to run `{self.signature.name}`"):
                raise reason
        self.last_run = run
        return outputs

    def _anew(
        self, args: tuple[object, ...], named: Mapping[str, object], kind: Hashable, given: list[torch.Tensor]
    ) -> list[torch.Tensor]:
        """The outputs of a call of which nothing is known; what a plain one does is noted for the next."""
        tape = self._replays.tape(kind, given)
        program, bound = self._bind(*_lowered(args, named))
        found = self._execute(program, bound, tape)
        outputs = [found[name] for name in program.stated.outputs]
        if tape is not None:
            self._replays.keep(kind, tape, outputs, self.last_run)
        return outputs

    def step(self, *args: object, **named: object) -> tuple[Any, dict[str, torch.Tensor]]:
        """The outputs, and the carried inputs for the next call by name."""
        if recorded((*args, *named.values())):
            call, values = record(self._reference, self.signature, args, named, step=True)
            return self._packed(values), dict(zip(carried(call), values[len(self.signature.outputs) :], strict=False))
        program, bound = self._bind(*_lowered(args, named), step=True)
        outputs = self._execute(program, bound)
        following = program.stated.outputs[len(self.signature.outputs) :]
        state = {name.removesuffix(NEXT): outputs[name] for name in following}
        return self._packed([outputs[name] for name in self.signature.outputs]), state

    @exact
    def reference(self, *args: object, **named: object) -> Any:
        """The outputs by the definition itself, statement by statement in float64."""
        from attnc.ir.interpret import run

        program, bound = self._bind(args, named)
        with enough_memory(f"for the definition of `{self.signature.name}`, which keeps whole tensors"):
            result = run(program.stated, bound.tensors, sizes=bound.sizes)
        outputs = result.outputs
        if not torch._C._are_functorch_transforms_active():  # whose tensors have no memory to be shared
            outputs = owned(outputs, bound.tensors.values())
        return self._packed([outputs[name] for name in program.stated.outputs])

    def explain(
        self,
        *args: object,
        shape: Mapping[str, int] | None = None,
        dtype: str = "float32",
        target: str | None = None,
        **named: object,
    ) -> Explanation:
        """What the passes found, what would run, at the tensors' shapes or at `shape`, and what the last call ran."""
        from attnc.runtime.explain import Setting, explain
        from attnc.runtime.kernels import input_types, real_type

        options = {name: value for name, value in named.items() if name in self.signature.options}
        ran = self.last_run.stages if self.last_run else ()
        if args or set(named) - set(options):
            program, bound = self._bind(args, named)
            place = find_target(target) if target else target_of(bound.device)
            return explain(program, Setting(bound.sizes, bound.types, place, ran))
        program = self.program(options)
        types = input_types(program, real_type(dtype))
        extents = checked_shape(program.stated, shape or {})
        return explain(program, Setting(extents, types, find_target(target or "cpu"), ran))

    def kernels(
        self, target: str = "cpu", dtype: str = "float32", shape: Mapping[str, int] | None = None, **options: object
    ) -> dict[str, GeneratedKernel]:
        """The generated kernels by role, forward and backward, for a target that need not be present."""
        from attnc.runtime.kernels import backward_kernels, kernels

        program = self.program(options)
        extents = checked_shape(program.stated, shape or {})
        return kernels(program, target, dtype, extents) | backward_kernels(program, target, dtype, extents)

    def _bind(
        self, args: tuple[object, ...], named: Mapping[str, object], *, step: bool = False
    ) -> tuple[Program, Bound]:
        options = {name: value for name, value in named.items() if name in self.signature.options}
        program = self.program(options, step=step)
        bound = bind(program.stated, args, {name: value for name, value in named.items() if name not in options})
        return program, bound

    def _packed(self, values: list[torch.Tensor]) -> Any:
        """The first of the values as a call returns them."""
        names = self.signature.outputs
        return values[0] if len(names) == 1 else self._result(*values[: len(names)])

    def check(self, program: Program, wanted: tuple[str, ...]) -> None:
        """Announces slower paths; error A310 where there is one and `strict` allows none."""
        for refusal, names in slower(program).items():
            reason = f" ({refusal.code}: {refusal.reason})" if refusal else ""
            announce(f"attnc: {names} of `{self.signature.name}` by statements, a slower path{reason}")
        if wanted and self._strict:
            refuse_slow_backward(program, wanted)

    def ran(self, call: Call) -> None:
        """Notes what a call ran."""
        self.last_run = Run(tuple(call.forward), call.backward, tuple(call.tangent))

    def _execute(self, program: Program, bound: Bound, tape: Tape | None = None) -> dict[str, torch.Tensor]:
        target, wanted = target_of(bound.device), wanted_inputs(bound)
        with enough_memory(f"to run `{self.signature.name}`"):
            self.check(program, wanted)
            if wanted or moving_inputs(bound) or torch._C._are_functorch_transforms_active():
                outputs, call = differentiable(program, bound, wanted)
                self.ran(call)
                return outputs
            outputs, runs = execute(program, bound, target.for_plain_calls, (), None, tape)
        self.last_run = Run(tuple(runs))
        return outputs


def _lowered(args: tuple[object, ...], named: Mapping[str, object]) -> tuple[tuple[object, ...], Mapping[str, object]]:
    if not autocast():
        return args, named
    return tuple(map(lowered, args)), {name: lowered(value) for name, value in named.items()}
