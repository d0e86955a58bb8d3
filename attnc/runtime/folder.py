"""A compiled attention written to a folder: kernels, their binaries, the program, a manifest, a launcher."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from attnc.ir.serial import dump
from attnc.runtime.cache import package_version
from attnc.runtime.kernels import GeneratedKernel
from attnc.runtime.machine import features
from attnc.runtime.program import Program

BINARIES = {"cpu": "so", "cuda": "cubin", "hip": "hsaco"}
LAUNCHER = '''"""Runs the compiled attention of this folder: `from launch import attention; attention({inputs})`."""

from pathlib import Path

from attnc.runtime.compiled import CompiledAttention

attention = CompiledAttention(Path(__file__).parent)
'''


def entry(kernel: GeneratedKernel, resources: Any) -> dict[str, Any]:
    """What the manifest says of a kernel: its role, its files, its parameters, and what it takes of the target."""
    stem = kernel.role.replace(".", "_")
    return {
        "role": kernel.role,
        "stage": kernel.stage,
        "target": kernel.target.name,
        "source": f"{stem}.{kernel.suffix}",
        "binary": f"{stem}.{BINARIES[kernel.target.kind]}",
        "parameters": {param.name: param.dtype for param in kernel.signature.params},
        "extents": {axis.index: axis.extent for axis in kernel.signature.axes if axis.extent is not None},
        "resources": asdict(resources),
    }


def write_folder(
    folder: Path, program: Program, made: Iterable[tuple[GeneratedKernel, bytes, Any]], options: Mapping[str, Any]
) -> None:
    """Write everything; the manifest comes last, so that a folder with one is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").unlink(missing_ok=True)
    entries = []
    for kernel, binary, resources in made:
        row = entry(kernel, resources)
        (folder / row["source"]).write_text(kernel.source, encoding="utf-8")
        (folder / row["binary"]).write_bytes(binary)
        needs = sorted(features()) if kernel.target.kind == "cpu" else []
        entries.append({**row, "needs": needs, "signature": dump(kernel.signature)})
    nodes = dump((program.stated, program.explicit, program.plan))
    (folder / "program.json").write_text(nodes, encoding="utf-8")
    inputs = ", ".join(item.name for item in program.stated.inputs)
    (folder / "launch.py").write_text(LAUNCHER.format(inputs=inputs), encoding="utf-8")
    stated = program.stated
    manifest = {
        "attention": stated.name,
        "attnc": package_version(),
        "inputs": {item.name: list(item.indices) for item in stated.inputs},
        "outputs": list(stated.outputs),
        "options": dict(stated.options) | dict(options),
        "kernels": entries,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
