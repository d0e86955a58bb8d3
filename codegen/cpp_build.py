"""Generated C++ as a shared object, by the system's compiler."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from attnc.diagnostics import AttnError, error
from attnc.ir.kernel import Kernel

HEADERS = Path(__file__).parent / "templates" / "cpp"
# Left to itself the compiler joins a product and a sum in one loop and not in another: then equal expressions differ.
FLAGS: tuple[str, ...] = ("-O2", "-std=c++17", "-fopenmp", "-fPIC", "-ffp-contract=off")
FLAGS += ("-fno-math-errno", "-fno-trapping-math", "-fno-exceptions")
# The instructions that kernels may use, by the name in $ATTNC_CPU_ISA; `generic` is what every such processor has.
AVX512 = ("-march=x86-64-v4",)
X86 = {
    "amx": (*AVX512, "-mavx512bf16", "-mamx-tile", "-mamx-bf16"),
    "avx512": AVX512,
    "avx2": ("-march=x86-64-v3",),
    "generic": ("-march=x86-64",),
    "amx-emulated": (*AVX512, "-mavx512bf16", "-DATTNC_AMX_EMULATED"),  # for tests alone: a tile's registers in memory
}
ARM = {"generic": ("-march=armv8-a",)}
ISAS = {"native": ("-march=native",), **(ARM if platform.machine() in ("aarch64", "arm64") else X86)}
WARNINGS = (  # errors where kernels are tested; a compiler of tomorrow may warn of what is well today
    "-Wall",
    "-Werror",
    "-Wno-unknown-warning-option",
    "-Wno-unknown-pragmas",
    "-Wno-psabi",
    "-Wno-aggressive-loop-optimizations",
)
USES = re.compile(r"^ATTNC_USES\((.*)\)$", re.MULTILINE)
PROBE = '#include <cmath>\n#include <cstdint>\nextern "C" int64_t attnc_probe(int64_t n) { return n + 1; }\n'

Kept = Callable[[str, Callable[[], bytes]], bytes]
"""What a source was compiled to at an earlier time, or is now."""


class _RefusedError(Exception):
    """The compiler has failed."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.done = done


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


def instructions() -> tuple[str, ...]:
    """The compiler's flags for the instructions of $ATTNC_CPU_ISA; error A511 where that names none."""
    name = os.environ.get("ATTNC_CPU_ISA") or "native"
    if name not in ISAS:
        known = ", ".join(f"`{isa}`" for isa in ISAS)
        raise error("A511", f"ATTNC_CPU_ISA is `{name}`, which names no instructions", helps=(f"it may be {known}",))
    return ISAS[name]


def flags() -> tuple[str, ...]:
    """The compiler's flags; GCC would otherwise ask half its time if one write hides another, and find little."""
    return (*FLAGS, *instructions(), *(("--param=sccvn-max-alias-queries-per-access=30",) if _is_gcc() else ()))


def command() -> tuple[str, ...]:
    """The compiler, its version, the flags and the headers: what a binary depends on besides its source."""
    return (compiler(), *_told(compiler(), instructions()), *flags(), *_warnings(), *_libraries(), _headers())


def _warnings() -> tuple[str, ...]:
    return WARNINGS if os.environ.get("ATTNC_WARNINGS") == "1" else ()


def _libraries() -> tuple[str, ...]:
    """What kernels are linked to: they do without the C++ library, which GCC takes longer to link than they do."""
    return ("-nodefaultlibs", "-lgomp", "-lm", "-lc", "-lgcc") if _is_gcc() else ()


def _is_gcc() -> bool:
    return "Free Software Foundation" in _told(compiler(), instructions())[0]


@cache
def _headers() -> str:
    digest = hashlib.sha256()
    for file in sorted(HEADERS.glob("*.h")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


@cache
def _told(name: str, target: tuple[str, ...]) -> tuple[str, str]:
    """The compiler's version, and what it makes of the name of a processor."""
    return _run([name, "--version"]).stdout, _run([name, *target, "-Q", "--help=target"]).stdout


def compile_source(source: str, kept: Kept = lambda _, make: make()) -> bytes:
    """The shared object of a source; error A504 if the compiler does not work, A901 if it refuses this source.

    What kernels have in common is compiled apart, all of it at once, unless it is `kept` from an earlier time.
    """
    shared = [f'#include "attnc.h"\nATTNC_MAKES({instance})\n' for instance in USES.findall(source)]
    try:
        with ThreadPoolExecutor() as pool:
            kernel = pool.submit(_compiled, source, "-DATTNC_APART")
            parts = [pool.submit(kept, part, partial(_compiled, part)) for part in shared]
            return _linked([made.result() for made in (kernel, *parts)])
    except _RefusedError as refused:
        raise _explained(refused.done) from None


def _explained(done: subprocess.CompletedProcess[str]) -> AttnError:
    words = done.stderr[:4000].rstrip()
    if done.returncode < 0 or "Killed signal" in words:
        return _does_not_work("was killed while it compiled a kernel", words, "free some memory and try again")
    try:
        _linked([_compiled(PROBE)])
    except _RefusedError:
        needs = "kernels need C++17 with OpenMP: g++ 9 or newer, or clang++ with libomp; CXX names another compiler"
        return _does_not_work("cannot compile a program of one line", words, needs)
    return error(
        "A901",
        "the compiler refused a generated kernel; this is a bug in attnc",
        notes=(words, f"the flags were {' '.join((*flags(), *_warnings()))}"),
        helps=("please report it with the spec and the shapes",),
    )


def _compiled(source: str, *more: str) -> bytes:
    """The object of a source."""
    return _made({"kernel.cpp": source.encode()}, "-c", *_warnings(), *more, f"-I{HEADERS}")


def _linked(objects: Sequence[bytes]) -> bytes:
    """The shared object of objects."""
    return _made({f"{place}.o": binary for place, binary in enumerate(objects)}, "-shared", after=_libraries())


def _made(files: Mapping[str, bytes], *arguments: str, after: Sequence[str] = ()) -> bytes:
    """What the compiler makes of files in a folder of their own, which its words leave out."""
    try:
        with tempfile.TemporaryDirectory(prefix="attnc-") as folder:
            for name, content in files.items():
                Path(folder, name).write_bytes(content)
            result = Path(folder, "result")
            places = [f"{folder}/{name}" for name in files]
            done = _run([compiler(), *flags(), *arguments, *places, *after, "-o", str(result)])
            done.stderr = done.stderr.replace(f"{folder}/", "")
            if done.returncode != 0:
                raise _RefusedError(done)
            return result.read_bytes()
    except OSError as reason:
        raise _does_not_work("has no place to work", str(reason), "free some space, or set TMPDIR") from None


def _run(call: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(call, capture_output=True, text=True, errors="replace", check=False)
    except OSError as reason:
        help = "set CXX to a C++ compiler, or unset it"
        raise _does_not_work("cannot be run", str(reason), help) from None


def _does_not_work(what: str, words: str, help: str) -> AttnError:
    return error("A504", f"the C++ compiler `{compiler()}` {what}", notes=(words,) if words else (), helps=(help,))


def resources(kernel: Kernel) -> Resources:
    """The bytes of a kernel's named tiles."""
    widths = {axis.index: axis.extent or axis.tile for axis in kernel.axes}
    widths |= {axis.index: axis.tile for axis in kernel.tiled}
    total = 0
    for _, kind in kernel.types:
        size = 8 if kind.dtype in ("int64", "float64") else 4
        for axis in kind.axes:
            size *= max(1, widths.get(axis, 1))
        total += size
    return Resources(total)
