"""Which tiles a stage has on a GPU: those of the model, unless they do not fit the device, or others are faster there.

The model of registers and shared memory may err a little. Where a kernel spills registers, or a device has less memory
than it needs, the model's next best tiles are tried, once. Where $ATTNC_TUNE is 1, the best few are timed, once, on a
call's own tensors, for a kernel, a device and lengths of about that size; the fastest then under the other schedules
that give the same bits. What was found is kept on disk and used by every later call, with the variable or without it.
Other tiles add up in another order, so that a tuned kernel's last bits may differ from an untuned one's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

import torch

from attnc.diagnostics import AttnError, error
from attnc.ir.target import Target
from attnc.runtime import cache
from attnc.runtime.build import Built

WARM, ROUNDS = 2, 7
SPECIALISED = "specialised"  # takes minutes to compile: never tried unasked
Name = tuple[object, ...]


@dataclass(frozen=True)
class Job:
    """A stage to be run: its name with all that its tiles depend on, where, with which tiles, and how.

    `launch` runs it with some tiles and tells its kernel, and how many registers that spills; `outputs` are what that
    wrote. The first of the rivals are the model's tiles.
    """

    name: Name
    place: Target
    rivals: Callable[[], Sequence[Target]]
    launch: Callable[[Target], tuple[Built, int]]
    outputs: Callable[[], Sequence[torch.Tensor]] = tuple


def run(job: Job) -> Built:
    """The stage's kernel, launched; error A512 where no tiles fit the device, whatever the model said."""
    if job.name not in _KNOWN:
        _KNOWN[job.name] = _kept(job)
    place = _KNOWN[job.name]
    if place is None and os.environ.get("ATTNC_TUNE") == "1":
        place = _keep(job.name, _fastest(job))
    return job.launch(place)[0] if place is not None else _fitting(job)


def bucket(sizes: Sequence[int]) -> tuple[int, ...]:
    """Lengths by their order of magnitude, within a factor of four."""
    return tuple(size.bit_length() // 2 for size in sizes)


# ---- what is known ------------------------------------------------------------------------------

_KNOWN: dict[Name, Target | None] = {}


def _kept(job: Job) -> Target | None:
    entry = cache.get(cache.key("tiles", job.name), "tiles")
    if entry is None:
        return None
    rows, keys, warps, stages, schedule = json.loads(entry)
    return replace(job.place, rows=(rows,), keys=(keys,), warps=(warps,), stages=stages, schedule=tuple(schedule))


def _keep(name: Name, place: Target) -> Target:
    _KNOWN[name] = place
    numbers = (place.rows[0], place.keys[0], place.warps[0], place.stages, place.schedule)
    cache.put(cache.key("tiles", name), "tiles", json.dumps(numbers).encode())
    return place


# ---- what fits ----------------------------------------------------------------------------------


def _fitting(job: Job) -> Built:
    """The kernel with the model's tiles, or with the first of its rivals' that spill nothing."""
    kernel, spills = _launched(job, job.place)
    if kernel is not None and spills == 0:
        return kernel
    model, *others = job.rivals()
    found = {model: spills} if kernel is not None else {}
    for place in others:
        kernel, spills = _launched(job, place)
        if kernel is not None:
            found[place] = spills
            if spills == 0:
                break
    if not found:
        raise _no_room(job)
    return job.launch(_keep(job.name, min(found, key=lambda place: found[place])))[0]  # whose bits later calls have


def _launched(job: Job, place: Target) -> tuple[Built | None, int]:
    """A kernel that was launched, and what it spills; none where the device has too little memory for it."""
    from triton.runtime.errors import OutOfResources

    try:
        return job.launch(place)
    except OutOfResources:
        return None, 0


def _no_room(job: Job) -> AttnError:
    from triton.runtime.errors import OutOfResources

    try:
        job.launch(job.place)
    except OutOfResources as reason:
        what = f"a kernel needs {reason.required} of {reason.name}, and the device has {reason.limit}"
        return error("A512", what, helps=("make the head dims smaller", "run it on the CPU"))
    raise AssertionError("it did not fit before")


# ---- what is fast -------------------------------------------------------------------------------


def _fastest(job: Job) -> Target:
    """The rival of the least time, under the schedule of the least time unless one is asked for."""
    tiles = _quickest(job, job.rivals())
    if job.place.schedule:
        return tiles
    return _quickest(job, (tiles, *(place for place in tiles.schedules() if _alike(job, tiles, place))))


def _quickest(job: Job, places: Sequence[Target]) -> Target:
    """Of several the one of the least time; one that does not fit the device takes no part."""
    times = {}
    for place in places if len(places) > 1 else ():
        if _launched(job, place)[0] is not None:
            times[place] = seconds(partial(job.launch, place))
    return min(times, key=lambda place: times[place], default=places[0])


def _alike(job: Job, tiles: Target, place: Target) -> bool:
    """Whether a schedule can be compiled and gives the bits of the plain one."""
    if SPECIALISED in place.schedule:
        return False
    if _launched(job, tiles)[0] is None:
        return False
    plain = [output.clone() for output in job.outputs()]
    try:
        if _launched(job, place)[0] is None:
            return False
    except RuntimeError:  # of Triton's compiler
        return False
    return all(_bits(one).equal(_bits(other)) for one, other in zip(plain, job.outputs(), strict=True))


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor's bytes, so that one NaN equals another."""
    return tensor.contiguous().view(-1).view(torch.uint8)


def seconds(call: Callable[[], object]) -> float:
    """The median of a call's times on the current device, once it is warm."""
    for _ in range(WARM):
        call()
    events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(ROUNDS)]  # type: ignore[no-untyped-call]
    for start, end in events:
        start.record()
        call()
        end.record()
    torch.cuda.synchronize()
    return 1e-3 * float(median(start.elapsed_time(end) for start, end in events))
