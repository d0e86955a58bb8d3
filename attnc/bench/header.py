"""What a table was measured on and with: machine, versions, date, command, and the peak of its matrix products."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch

from attnc.codegen import cpp_build
from attnc.runtime.cache import package_version
from attnc.runtime.machine import features

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
ISA = (
    *("avx2", "fma", "f16c", "avx512f", "avx512_bf16", "avx512_fp16", "avx512_vnni", "avx_vnni"),
    *("amx_tile", "amx_bf16", "amx_fp16", "amx_int8", "asimd", "sve", "sve2", "bf16", "i8mm"),
)


@dataclass(frozen=True)
class Header:
    """The head of a table; `peaks` are operations a second of PyTorch's matrix products by type."""

    processor: str
    cores: int
    threads: int
    features: tuple[str, ...]
    caches: tuple[str, ...]
    versions: Mapping[str, str]
    date: str
    command: str
    peaks: Mapping[str, float]

    def lines(self) -> Iterator[str]:
        """The head as lines of text."""
        yield f"{self.processor}, {self.cores} cores, {self.threads} threads used; {', '.join(self.caches)}"
        yield " ".join(self.features) or "no vector features known"
        yield ", ".join(f"{name} {version}" for name, version in self.versions.items())
        yield f"{self.date}: `{self.command}`"
        peaks = ", ".join(f"{name} {peak / 1e9:.0f} GF/s" for name, peak in self.peaks.items())
        yield f"best matrix product of PyTorch: {peaks}"


def header(command: str, peaks: Mapping[str, float]) -> Header:
    """The head for this machine, here and now."""
    found = features()
    return Header(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        features=tuple(name for name in ISA if name in found),
        caches=tuple(_caches()),
        versions=_versions(),
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z"),
        command=command,
        peaks=peaks,
    )


def _versions() -> dict[str, str]:
    compiler = cpp_build.command()[1].partition("\n")[0].strip()
    name, _, version = compiler.partition(" ")
    return {"attnc": package_version(), "torch": torch.__version__, "python": platform.python_version(), name: version}


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _caches() -> Iterator[str]:
    """The caches of the first core, as the system lists them."""
    for folder in sorted(CACHES.glob("index*")):
        try:
            level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if kind != "Instruction":
            yield f"L{level}{'d' if kind == 'Data' else ''} {size}"
