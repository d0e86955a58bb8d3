"""The machines kernels are made for: one table of what the passes and the backends need to know."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from attnc.diagnostics import error


@dataclass(frozen=True, slots=True)
class Target:
    """One machine. `onchip` is what a program's tiles may fill: L2 per core of a CPU, shared memory of a GPU.

    Rates are per cycle and core or multiprocessor: `matrix` operations of 16-bit products (a multiply-add is two),
    `real` of float32 ones, `functions` exponentials and the like, `vector` other operations, `chip` bytes from the
    cache that all share. `rows` and `keys` are the tile sides to choose from. `warps` and `stages` belong to GPUs.
    """

    name: str
    kind: Literal["cpu", "cuda", "hip"]
    onchip: int
    matrix: float
    real: float
    functions: float
    vector: float
    chip: float
    rows: tuple[int, ...]
    keys: tuple[int, ...]
    warp: int = 1
    warps: int = 1
    stages: int = 1
    registers: int = 0
    capability: int = 0

    @property
    def threads(self) -> int:
        """The threads of a program."""
        return self.warp * self.warps

    @property
    def few(self) -> int:
        """Rows that the smallest tile holds."""
        return self.rows[-1]

    def for_rows(self, rows: int) -> Target:
        """The machine for calls of so many rows: of few it makes one small tile, of more what is best for long ones."""
        return _with_few_rows(self) if rows <= self.few else self


@cache
def _with_few_rows(target: Target) -> Target:
    return replace(target, rows=target.rows[-1:])


_GPU = ((128, 64, 32, 16), (128, 64, 32, 16))
# A CPU's rates are those of a core with AVX-512; the 16-bit rate is float32's, since operands are widened.
_TARGETS = (
    Target("cpu", "cpu", 1 << 20, 55, 55, 1.2, 24, 24, (64, 32, 16), (64, 32, 16)),
    Target("sm_80", "cuda", 163 << 10, 2048, 256, 16, 128, 30, *_GPU, 32, 4, 3, 255, 80),
    Target("sm_86", "cuda", 99 << 10, 1024, 256, 16, 128, 15, *_GPU, 32, 4, 2, 255, 86),
    Target("sm_89", "cuda", 99 << 10, 1024, 256, 16, 128, 20, *_GPU, 32, 4, 2, 255, 89),
    Target("sm_90", "cuda", 227 << 10, 4096, 256, 16, 128, 25, *_GPU, 32, 4, 3, 255, 90),
    Target("sm_100", "cuda", 227 << 10, 8192, 256, 16, 128, 44, *_GPU, 32, 4, 3, 255, 100),
    Target("sm_120", "cuda", 99 << 10, 1024, 256, 16, 128, 20, *_GPU, 32, 4, 2, 255, 120),
    Target("gfx942", "hip", 64 << 10, 2048, 256, 16, 128, 27, *_GPU, 64, 4, 1, 512),
)
TARGETS = {target.name: target for target in _TARGETS}


def find_target(name: str) -> Target:
    """The target of this name; error A503 where there is none."""
    if name in TARGETS:
        return TARGETS[name]
    near = {"sm_87": "sm_86", "sm_103": "sm_100", "sm_121": "sm_120"}
    if name in near:
        return TARGETS[near[name]]
    known = ", ".join(f"`{target}`" for target in TARGETS)
    raise error("A503", f"there is no target `{name}`", helps=(f"targets are {known}",))
