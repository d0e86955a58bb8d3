"""What a table was measured on and with: processor or GPU, versions, date, command, the peak of matrix products."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from attnc.bench.timing import clock
from attnc.codegen import cpp_build
from attnc.diagnostics import AttnError
from attnc.runtime.cache import package_version
from attnc.runtime.machine import features

DISTRIBUTIONS = {"flash_attn": "flash-attn", "fla": "flash-linear-attention"}
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
ISA = (
    *("avx2", "fma", "f16c", "avx512f", "avx512_bf16", "avx512_fp16", "avx512_vnni", "avx_vnni"),
    *("amx_tile", "amx_bf16", "amx_fp16", "amx_int8", "asimd", "sve", "sve2", "bf16", "i8mm"),
)


@dataclass(frozen=True)
class Header:
    """The head of a table.

    `peaks` are operations a second of PyTorch's matrix products by type; `device` says what is known of the GPU,
    and is empty where the processor itself is measured.
    """

    processor: str
    cores: int
    threads: int
    features: tuple[str, ...]
    caches: tuple[str, ...]
    versions: Mapping[str, str]
    date: str
    command: str
    peaks: Mapping[str, float]
    device: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """What was measured, in a few words."""
        return self.device[0] if self.device else f"{self.processor}, {self.threads} threads"

    def lines(self) -> Iterator[str]:
        """The head as lines of text."""
        yield from self.device
        yield f"{self.processor}, {self.cores} cores, {self.threads} threads used; {', '.join(self.caches)}"
        yield " ".join(self.features) or "no vector features known"
        yield ", ".join(f"{name} {version}" for name, version in self.versions.items())
        yield f"{self.date}: `{self.command}`"
        peaks = ", ".join(f"{name} {_rate(peak)}" for name, peak in self.peaks.items())
        yield f"best matrix product of PyTorch: {peaks}"


def header(command: str, peaks: Mapping[str, float], device: str = "cpu") -> Header:
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
        device=tuple(_gpu()) if device == "cuda" else (),
    )


def _rate(peak: float) -> str:
    return f"{peak / 1e12:.0f} TF/s" if peak >= 1e13 else f"{peak / 1e9:.0f} GF/s"


def _gpu() -> Iterator[str]:
    """The current GPU, what its driver says of it, and how fast it copies."""
    found = torch.cuda.get_device_properties(torch.cuda.current_device())
    memory, cache = found.total_memory / 2**30, getattr(found, "L2_cache_size", 0) / 2**20
    yield f"{found.name}, {found.multi_processor_count} multiprocessors, {memory:.0f} GiB, L2 {cache:.0f} MiB"
    yield f"CUDA {torch.version.cuda}, {_driver()}" if torch.version.cuda else f"ROCm {torch.version.hip}"
    yield f"a copy in its memory moves {copy_rate() / 1e12:.2f} TB/s, read and written"


def _driver() -> str:
    """The driver and the clocks, as its own tool tells them."""
    query = ["nvidia-smi", "--query-gpu=driver_version,clocks.sm,clocks.max.sm,clocks.mem", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return "driver unknown"
    driver, now, most, memory = (word.strip() for word in told.splitlines()[0].split(","))
    return f"driver {driver}, clocks {now} of {most}, memory {memory}"


def copy_rate(size: int = 1 << 31) -> float:
    """Bytes a second, read and written, of a large copy on the current GPU."""
    a, b = (torch.empty(size, dtype=torch.uint8, device="cuda") for _ in range(2))
    watch = clock("cuda")
    return 2 * size / min(watch.once(lambda: b.copy_(a))[0] for _ in range(5))


def _versions() -> dict[str, str]:
    own = {"attnc": package_version(), "torch": torch.__version__, "python": platform.python_version()}
    others = {name: version for name in ("triton", "flash_attn", "fla") if (version := _installed(name))}
    return own | others | _compiler()


def _installed(package: str) -> str | None:
    try:
        return version(DISTRIBUTIONS.get(package, package))
    except PackageNotFoundError:
        return None


def _compiler() -> dict[str, str]:
    try:
        name, _, text = cpp_build.command()[1].partition("\n")[0].strip().partition(" ")
    except AttnError:  # a machine whose GPU is measured needs none
        return {}
    return {name: text}


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
