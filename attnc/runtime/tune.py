"""Which tiles a stage has on a GPU: those of the model, or those that were the fastest of the model's best few.

They are measured once where $ATTNC_TUNE is 1, on a call's own tensors, for a kernel, a device and lengths of about
that size; what was found is kept on disk and used by every later call, with the variable or without it. Other tiles
add up in another order, so that a tuned kernel's last bits may differ from an untuned one's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

import torch

from attnc.diagnostics import error
from attnc.ir.target import Target
from attnc.runtime import cache
from attnc.runtime.build import Built

WARM, ROUNDS = 2, 7
Name = tuple[object, ...]


@dataclass(frozen=True)
class Job:
    """A stage to be run: its name with all that its tiles depend on, where, with which tiles, and how."""

    name: Name
    place: Target
    rivals: Callable[[], Sequence[Target]]
    launch: Callable[[Target], Built]


def run(job: Job) -> Built:
    """The stage's kernel, launched; error A512 where no tiles fit the device, whatever the model said."""
    from triton.runtime.errors import OutOfResources

    place = _found(job)
    try:
        return job.launch(place)
    except OutOfResources as reason:
        short = reason
    for smaller in job.rivals():
        try:
            kernel = job.launch(smaller)
        except OutOfResources as reason:
            short = reason
            continue
        _keep(job.name, smaller)
        return kernel
    what = f"a kernel needs {short.required} of {short.name}, and the device has {short.limit}"
    raise error("A512", what, helps=("make the head dims smaller", "run it on the CPU"))


def bucket(sizes: Sequence[int]) -> tuple[int, ...]:
    """Lengths by their order of magnitude, within a factor of four."""
    return tuple(size.bit_length() // 2 for size in sizes)


_KNOWN: dict[Name, Target | None] = {}


def _found(job: Job) -> Target:
    """The tiles that are kept, or measured now if that is asked for, else the model's."""
    asked = os.environ.get("ATTNC_TUNE") == "1"
    if job.name not in _KNOWN:
        _KNOWN[job.name] = _kept(job)
    if _KNOWN[job.name] is None and asked:
        _keep(job.name, _fastest(job))
    return _KNOWN[job.name] or job.place


def _kept(job: Job) -> Target | None:
    entry = cache.get(cache.key("tiles", job.name), "tiles")
    if entry is None:
        return None
    rows, keys, warps, stages = json.loads(entry)
    return replace(job.place, rows=(rows,), keys=(keys,), warps=(warps,), stages=stages)


def _keep(name: Name, place: Target) -> None:
    _KNOWN[name] = place
    numbers = (place.rows[0], place.keys[0], place.warps[0], place.stages)
    cache.put(cache.key("tiles", name), "tiles", json.dumps(numbers).encode())


def _fastest(job: Job) -> Target:
    """The rival of the least time; one that does not fit the device takes no part."""
    from triton.runtime.errors import OutOfResources

    times: dict[Target, float] = {}
    for place in job.rivals():
        try:
            times[place] = seconds(partial(job.launch, place))
        except OutOfResources:
            continue
    return min(times, key=lambda place: times[place], default=job.place)


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
