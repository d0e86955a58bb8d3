"""Kernels built for a stage, a target, types and compiled-in extents: found in memory, on disk, or made."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache as memo

import torch

from attnc.ir.kernel import DType, Kernel
from attnc.ir.serial import dump, load
from attnc.ir.stage import Stream
from attnc.ir.target import Target, find_target, with_tiles
from attnc.runtime import cache
from attnc.runtime.machine import check_instructions, level_two, multiplies_tiles
from attnc.runtime.program import Program

Run = Callable[[Sequence[torch.Tensor]], int]
"""Runs a kernel on tensors in the order of its parameters; it tells how many registers of a thread are spilled."""

Launch = Callable[[Sequence[torch.Tensor], Mapping[str, int]], Run]
"""A kernel for all tensors that have the layouts of these, and for these extents."""


@dataclass(frozen=True)
class Built:
    """A kernel ready to be launched. `kernel` is its signature: without statements when it came from disk."""

    key: str
    kernel: Kernel
    source: str
    launch: Launch
    backend: str
    compiled_now: bool


def target_of(device: torch.device) -> Target:
    """The target that serves tensors on this device; a CPU's tiles may fill the cache that it has."""
    if device.type == "cpu":
        return _processor(level_two(), multiplies_tiles())
    properties = torch.cuda.get_device_properties(device)
    arch = getattr(properties, "gcnArchName", "").split(":")[0]
    schedule = os.environ.get("ATTNC_SCHEDULE", "")
    return find_target("+".join(filter(None, (arch or f"sm_{properties.major}{properties.minor}", schedule))))


@memo
def _processor(cache: int | None, tiles: bool) -> Target:
    target = find_target("cpu")
    target = replace(target, onchip=cache) if cache else target
    return with_tiles(target) if tiles else target


@memo
def device_name(device: torch.device) -> str:
    """What tells one model of a GPU from another."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _place(target: Target) -> tuple[object, ...]:
    """What a kernel depends on of where it runs."""
    isa = os.environ.get("ATTNC_CPU_ISA") if target.kind == "cpu" else None
    tiles = (target.onchip, target.rows, target.long, target.keys, target.warps, target.stages)
    return (target.name, *tiles, target.schedule, isa)


def source_of(
    program: Program, target: Target, stream: Stream, dtypes: Mapping[str, DType], extents: Mapping[str, int]
) -> tuple[str, Kernel, str]:
    """The key, the kernel's signature and its source."""
    place = _place(target)
    key = cache.key(program.key, stream.name, place, sorted(dtypes.items()), sorted(extents.items()))
    kept = cache.get(key, "kernel")
    if kept is not None:
        entry = json.loads(kept)
        return key, load(entry["kernel"]), entry["source"]
    from attnc import compiler

    kernel = compiler.lowered(stream, program.explicit, target, dtypes, extents)
    source = compiler.rendered(kernel, target)
    signature = replace(kernel, setup=(), loops=(), finish=())
    cache.put(key, "kernel", json.dumps({"kernel": dump(signature), "source": source}).encode())
    return key, signature, source


_BUILT: dict[tuple[object, ...], Built] = {}


def built(
    program: Program, target: Target, stream: Stream, dtypes: Mapping[str, DType], extents: Mapping[str, int]
) -> Built:
    """The kernel, ready to launch; one build per process and key."""
    place = _place(target)
    name = (program.key, stream.name, place, tuple(sorted(dtypes.items())), tuple(sorted(extents.items())))
    if name not in _BUILT:
        key, kernel, source = source_of(program, target, stream, dtypes, extents)
        launch, fresh = _cpu(kernel, source) if target.kind == "cpu" else _gpu(kernel, source)
        cache.COUNTS["compilations"] += fresh
        backend = "cpp" if target.kind == "cpu" else "triton"
        _BUILT[name] = Built(key, kernel, source, launch, backend, False)
        return replace(_BUILT[name], compiled_now=fresh)
    return _BUILT[name]


def _cpu(kernel: Kernel, source: str) -> tuple[Launch, bool]:
    from attnc.codegen.cpp_build import command, compile_source
    from attnc.runtime.cpu import launcher

    check_instructions()
    key = cache.key_of(source, command())
    kept = cache.shared_object(key)
    file = kept or cache.shared_object(key, compile_source(source, _instance))
    assert file is not None, "what has just been written is there"
    return launcher(file, kernel), kept is None


def _instance(source: str, make: Callable[[], bytes]) -> bytes:
    """What kernels have in common, compiled once."""
    from attnc.codegen.cpp_build import command

    key = cache.key_of(source, command())
    binary = cache.get(key, "o")
    if binary is None:
        cache.put(key, "o", binary := make())
    return binary


def _gpu(kernel: Kernel, source: str) -> tuple[Launch, bool]:
    from attnc.runtime.gpu import launcher

    return launcher(source, kernel), True


@memo
def _announced(text: str) -> None:
    import warnings

    warnings.warn(text, stacklevel=2)


def announce(text: str) -> None:
    """Warn once per process and text."""
    _announced(text)
