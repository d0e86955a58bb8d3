"""Generated C++ as a shared object, by the system's compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from attnc.diagnostics import error
from attnc.ir.kernel import Kernel

HEADERS = Path(__file__).parent / "templates" / "cpp"
FLAGS = ("-O3", "-march=native", "-std=c++17", "-fopenmp", "-shared", "-fPIC", "-fno-math-errno", "-fno-trapping-math")
WARNINGS = ("-Wall", "-Werror", "-Wno-unknown-pragmas", "-Wno-psabi", "-Wno-aggressive-loop-optimizations")


@dataclass(frozen=True)
class Resources:
    """What a kernel keeps per thread: bytes of tiles and states."""

    tile_bytes: int
    registers: int | None = None
    spills: int | None = None
    shared: int | None = None
    occupancy: float | None = None


@cache
def compiler() -> str:
    """The path of the C++ compiler: $CXX, else g++, c++ or clang++; error A501 where there is none."""
    for name in (os.environ.get("CXX"), "g++", "c++", "clang++"):
        found = shutil.which(name) if name else None
        if found:
            return found
    raise error(
        "A501",
        "no C++ compiler was found: CPU kernels are compiled where they run",
        notes=("looked for $CXX, g++, c++ and clang++ on the path",),
        helps=("install one, for example `apt install g++`, or set CXX to its path",),
    )


@cache
def command() -> tuple[str, ...]:
    """The compiler, its version and the flags: what a binary depends on besides its source."""
    version = subprocess.run([compiler(), "--version"], capture_output=True, text=True, check=False).stdout
    target = subprocess.run(
        [compiler(), "-march=native", "-Q", "--help=target"], capture_output=True, text=True, check=False
    ).stdout
    return (compiler(), version, target, *FLAGS, *WARNINGS)


def compile_source(source: str) -> bytes:
    """The shared object of a source; error A901 with the compiler's words where it is refused."""
    with tempfile.TemporaryDirectory(prefix="attnc-") as folder:
        file, binary = Path(folder, "kernel.cpp"), Path(folder, "kernel.so")
        file.write_text(source, encoding="utf-8")
        call = [compiler(), *FLAGS, *WARNINGS, f"-I{HEADERS}", str(file), "-o", str(binary)]
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        if done.returncode:
            raise error(
                "A901",
                "the compiler refused a generated kernel; this is a bug in attnc",
                notes=(done.stderr[:4000],),
                helps=("please report it with the spec", f"the command was {' '.join(call)}"),
            )
        return binary.read_bytes()


def resources(kernel: Kernel) -> Resources:
    """The bytes of a kernel's named tiles."""
    widths = {axis.index: axis.extent or axis.tile for axis in kernel.axes}
    if kernel.parallel:
        widths[kernel.parallel.index] = kernel.parallel.tile
    total = 0
    for _, kind in kernel.types:
        size = 8 if kind.dtype in ("int64", "float64") else 4
        for axis in kind.axes:
            size *= max(1, widths.get(axis, 1))
        total += size
    return Resources(total)
