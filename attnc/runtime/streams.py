"""The streamed stages of a call under way: by one kernel, or cut into spans by two."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING

import torch

from attnc.compiler import rivals
from attnc.ir.cascade import Cascade
from attnc.ir.kernel import DType
from attnc.ir.sizes import Extents, whole
from attnc.ir.stage import Stream
from attnc.ir.target import Target
from attnc.runtime.bind import Bound
from attnc.runtime.build import Built, built, device_name
from attnc.runtime.packing import packing
from attnc.runtime.program import Program
from attnc.runtime.replay import Tape
from attnc.runtime.threads import threads
from attnc.runtime.tune import Job, bucket
from attnc.runtime.tune import run as tuned
from attnc.runtime.types import DTYPES

if TYPE_CHECKING:
    from attnc.passes.join import Joined
    from attnc.passes.pack import Packed

VECTOR = 16  # floats in the widest vector
Kernels = Callable[[Stream, Mapping[str, DType], Mapping[str, int]], Built]


@dataclass(frozen=True)
class StageRun:
    """What a stage did: its plan, backend, the kernel's key, whether it was compiled now, a refusal's code.

    Where a stream was cut into `spans`, `kernel` gave their states and `merge` the outputs; `packed` heads that share
    their keys were rows of one tile.
    """

    name: str
    plan: str
    backend: str
    kernel: str | None = None
    compiled_now: bool = False
    refusal: str | None = None
    spans: int = 1
    merge: str | None = None
    packed: int = 1


@dataclass(frozen=True)
class Execution:
    """One call under way: the program, its arguments, the types of all tensors, the values so far.

    Kernels are made for `place`, a target, as the call's extents ask; or they are a compiled folder's. What is done
    goes on the `tape`, if there is one.
    """

    program: Program
    bound: Bound
    place: Target | Kernels
    types: Mapping[str, torch.dtype]
    values: dict[str, torch.Tensor]
    tape: Tape | None = None

    @property
    def cascade(self) -> Cascade:
        """The explicit cascade."""
        return self.program.explicit


def stream(call: Execution, stage: Stream) -> StageRun:
    """A streamed stage run: its outputs are among the call's values."""
    pack = packing(call.program, stage, call.bound.sizes, call.place) if isinstance(call.place, Target) else None
    if pack is not None:
        return _packed(call, stage, *pack)
    spans = 1
    if isinstance(call.place, Target):
        spans = call.program.cuttings[stage.name].spans(call.bound.sizes, call.place)
    if spans > 1:
        return _split(call, stage, spans)
    kernel = _run(call, stage)
    return StageRun(stage.name, "stream", kernel.backend, kernel.key, kernel.compiled_now)


def _packed(call: Execution, stage: Stream, packed: Packed, program: Program, share: int) -> StageRun:
    """The stage with the heads that share their keys among its rows."""
    own = _around(call, stage, program)
    run = stream(own, packed.stream)
    call.values.update((item.tensor, own.values[item.tensor]) for item in stage.monoid.finishes)
    return replace(run, name=stage.name, packed=share)


def joint(call: Execution, stage: Stream) -> tuple[StageRun, ...]:
    """A stream run as one with the stage after it; nothing is run where they are not joined.

    Grid points are shared out among threads, so there have to be as many; sums go to rows of whole vectors.
    """
    pair = call.program.joints.get(stage.name) if isinstance(call.place, Target) else None
    if pair is None or not _worth_joining(call, stage, pair[0]):
        return ()
    joined, program = pair
    own = _around(call, stage, program)
    own.values.update((item.name, _allocate(own, item.name, zeroed=True)) for item in joined.sums)
    own.values.update(
        (output, own.values[name]) for output, name in joined.in_place if own.types[output] == own.types[name]
    )
    runs = []
    for part in (joined.stream, joined.ends):
        kernel = _run(own, part)
        call.values.update((item.tensor, own.values[item.tensor]) for item in part.monoid.finishes)
        runs.append(StageRun(part.name, "joint", kernel.backend, kernel.key, kernel.compiled_now))
    return tuple(runs)


def _worth_joining(call: Execution, stage: Stream, joined: Joined) -> bool:
    assert isinstance(call.place, Target)
    sizes, explicit = call.bound.sizes, call.program.explicit
    ranges = [explicit.range(index) for index in stage.grid]
    points = prod(max(0, whole(item.hi, sizes) - whole(item.lo, sizes)) for item in ranges)
    rows = [item.axes[len(stage.grid) + 1 :] for item in joined.sums]
    whole_vectors = all((whole(hi, sizes) - whole(lo, sizes)) % VECTOR == 0 for axes in rows for lo, hi in axes)
    return call.place.kind == "cpu" and points >= threads() and whole_vectors and all(len(axes) < 2 for axes in rows)


def _split(call: Execution, stage: Stream, spans: int) -> StageRun:
    """A stream cut into spans: first their states, then the outputs from these."""
    cut, own = call.program.splits[stage.name], _around(call, stage, call.program.pairs[stage.name])
    states = _kernel(own, cut.spans, _place(own, cut.spans))
    tile = max(axis.tile for axis in states.kernel.axes if axis.extent is None)
    spans, reach = call.program.cuttings[stage.name].lengths(call.bound.sizes, spans, tile)
    sizes = Extents({**call.bound.sizes, cut.span: spans, cut.reach: reach})
    own = replace(own, bound=replace(call.bound, sizes=sizes))
    _launch(own, cut.spans, states)
    merge = _run(own, cut.merge)
    call.values.update((item.tensor, own.values[item.tensor]) for item in stage.monoid.finishes)
    fresh = states.compiled_now or merge.compiled_now
    return StageRun(stage.name, "split", states.backend, states.key, fresh, spans=spans, merge=merge.key)


def _around(call: Execution, stage: Stream, pair: Program) -> Execution:
    """The call with what two kernels share among its tensors, in the type of the stage's arithmetic."""
    kinds = {_type(call, name) for name in call.program.needs[stage.name].tensors}
    plain = {"real": torch.float64 if torch.float64 in kinds else torch.float32, "int": torch.int64, "bool": torch.bool}
    types = {item.name: plain[item.type] for item in pair.explicit.tensors} | dict(call.types)
    return replace(call, program=pair, types=types, values=dict(call.values))


def _type(call: Execution, name: str) -> torch.dtype:
    return call.values[name].dtype if name in call.values else call.types[name]


def _run(call: Execution, stage: Stream) -> Built:
    """A stage's kernel, launched."""
    place = _place(call, stage)

    tries = 0

    def launch(place: Target | Kernels) -> tuple[Built, int]:
        nonlocal tries
        tries += 1
        if tries > 1 and call.tape is not None:
            call.tape.whole = False  # what was tried for its time is no part of the next call
        kernel = _kernel(call, stage, place)
        return kernel, _launch(call, stage, kernel)

    if not isinstance(place, Target) or place.kind == "cpu":
        return launch(place)[0]
    dtypes, extents = _asked(call, stage)
    lengths = bucket([size for index, size in sorted(call.bound.sizes.items()) if index not in extents])
    own = (
        place.name,
        place.rows,
        place.schedule,
        tuple(sorted(dtypes.items())),
        tuple(sorted(extents.items())),
        lengths,
    )
    name = (call.program.key, stage.name, *own, device_name(call.bound.device))
    outputs = [finish.tensor for finish in stage.monoid.finishes]
    best_few = partial(rivals, stage, call.cascade, place, dtypes, extents)
    return tuned(Job(name, place, best_few, launch, lambda: [call.values[output] for output in outputs]))


def _place(call: Execution, stage: Stream) -> Target | Kernels:
    """Where a stage runs, as its number of rows asks."""
    if not isinstance(call.place, Target):
        return call.place
    return call.program.cuttings[stage.name].place(call.bound.sizes, call.place)


def _asked(call: Execution, stage: Stream) -> tuple[dict[str, DType], dict[str, int]]:
    """The types and the compiled-in extents that a stage's kernel is made for."""
    needs = call.program.needs[stage.name]
    dtypes = {name: DTYPES[_type(call, name)] for name in needs.tensors}
    return dtypes, {index: call.bound.sizes[index] for index in needs.compiled_in}


def _kernel(call: Execution, stage: Stream, place: Target | Kernels) -> Built:
    """The kernel of a stage for the call's types and compiled-in extents."""
    dtypes, extents = _asked(call, stage)
    if not isinstance(place, Target):
        return place(stage, dtypes, extents)
    return built(call.program, place, stage, dtypes, extents)


def _launch(call: Execution, stage: Stream, kernel: Built) -> int:
    for finish in stage.monoid.finishes:
        if finish.tensor not in call.values:
            call.values[finish.tensor] = _allocate(call, finish.tensor)
    ordered = [call.values[param.name] for param in kernel.kernel.params]
    launch = kernel.launch(ordered, call.bound.sizes)
    if call.tape is not None:
        call.tape.launched(launch, ordered, where=kernel.backend == "cpp")
    return launch(ordered)


def _allocate(call: Execution, name: str, *, zeroed: bool = False) -> torch.Tensor:
    tensor = call.cascade.tensor(name)
    assert tensor is not None
    sizes = call.bound.sizes
    shape = [max(0, whole(hi, sizes) - whole(lo, sizes)) for lo, hi in tensor.axes]
    new = torch.zeros if zeroed else torch.empty
    made = new(shape, dtype=call.types[name], device=call.bound.device)
    return call.tape.made(made, zeroed=zeroed) if call.tape is not None else made
