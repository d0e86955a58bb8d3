"""The machines kernels are made for: one table of what the passes and the backends need to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attnc.diagnostics import error


@dataclass(frozen=True, slots=True)
class Target:
    """One machine. `onchip` is what a program's tiles may fill: L2 per core of a CPU, shared memory of a GPU.

    `tile` are the default rows and keys of a tile; `warps` and `stages` belong to GPUs.
    """

    name: str
    kind: Literal["cpu", "cuda", "hip"]
    onchip: int
    tile: tuple[int, int]
    warp: int = 1
    warps: int = 1
    stages: int = 1
    capability: int = 0
    bandwidth: float = 0.0  # bytes per second of main memory
    matrix: float = 0.0  # multiply-add operations per second, counted as two, bf16
    exponentials: float = 0.0  # per second


_TARGETS = (
    Target("cpu", "cpu", 1 << 20, (64, 64), bandwidth=30e9, matrix=0.3e12, exponentials=20e9),
    Target("sm_80", "cuda", 163 << 10, (128, 64), 32, 4, 3, 80, 2.04e12, 312e12, 108 * 16 * 1.41e9),
    Target("sm_90", "cuda", 227 << 10, (128, 64), 32, 4, 3, 90, 3.35e12, 989e12, 132 * 16 * 1.83e9),
    Target("sm_100", "cuda", 227 << 10, (128, 64), 32, 4, 3, 100, 7.7e12, 2250e12, 148 * 16 * 1.85e9),
    Target("gfx942", "hip", 64 << 10, (128, 64), 64, 4, 1, 0, 5.3e12, 1307e12, 304 * 16 * 2.1e9),
)
TARGETS = {target.name: target for target in _TARGETS}


def find_target(name: str) -> Target:
    """The target of this name; error A503 where there is none."""
    if name in TARGETS:
        return TARGETS[name]
    near = {"sm_86": "sm_80", "sm_89": "sm_80", "sm_103": "sm_100", "sm_120": "sm_80"}
    if name in near:
        return TARGETS[near[name]]
    known = ", ".join(f"`{target}`" for target in TARGETS)
    raise error("A503", f"there is no target `{name}`", helps=(f"targets are {known}",))
