"""What this machine's processor can do, so that a binary made on another one is not run blindly."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from attnc.diagnostics import error

PROCESSORS = Path("/sys/devices/system/cpu")
NAMES = ("avx", "fma", "f16c", "amx", "bmi", "sse", "asimd", "sve", "bf16", "fp16", "i8mm")


@cache
def features() -> frozenset[str]:
    """The vector and matrix features of the processor; empty where the system does not list them."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    lines = (line.partition(":")[2] for line in text.split("\n") if line.startswith(("flags", "Features")))
    return frozenset(word for word in next(lines, "").split() if word.startswith(NAMES))


@cache
def level_two() -> int | None:
    """The bytes of the second-level cache of a core, the least of all; None where the system does not tell."""
    found = []
    for file in PROCESSORS.glob("cpu[0-9]*/cache/index*"):
        try:
            level, size = ((file / name).read_text(encoding="utf-8").strip() for name in ("level", "size"))
        except OSError:
            continue
        if level == "2" and size.removesuffix("K").isdecimal():
            found.append(int(size.removesuffix("K")) << 10)
    return min(found, default=None)


AMX = frozenset(("amx_tile", "amx_bf16", "avx512_bf16", "avx512vl"))
NEEDED = {"amx": AMX, "avx512": frozenset(("avx512vl",)), "avx2": frozenset(("avx2",))}
NEEDED |= {"amx-emulated": frozenset(("avx512_bf16", "avx512vl"))}


def check_instructions() -> None:
    """Error A511 where $ATTNC_CPU_ISA asks for instructions that this processor does not have."""
    name = os.environ.get("ATTNC_CPU_ISA", "")
    if features() and not NEEDED.get(name, frozenset()) <= features():
        raise error(
            "A511", f"ATTNC_CPU_ISA is `{name}`, and this processor has no such instructions", helps=("unset it",)
        )


def multiplies_tiles() -> bool:
    """Whether kernels multiply bfloat16 a tile at a time, by the processor's registers for it or as tests do."""
    name = os.environ.get("ATTNC_CPU_ISA") or "native"
    return name.startswith("amx") or (name == "native" and features() >= AMX)
