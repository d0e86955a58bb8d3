"""A compiled attention in a folder: kernels, their binaries, the analysed program, a manifest, a launcher."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from attnc.diagnostics import error
from attnc.ir.cascade import Cascade
from attnc.ir.kernel import DType, Kernel
from attnc.ir.serial import dump, load
from attnc.ir.stage import Plan, Stream
from attnc.ir.target import find_target
from attnc.runtime.attention import packed
from attnc.runtime.bind import Bound, bind
from attnc.runtime.build import Built
from attnc.runtime.execute import execute
from attnc.runtime.kernels import GeneratedKernel
from attnc.runtime.program import Program

LAUNCHER = '''"""Runs the compiled attention of this folder: `from launch import attention; attention(Q, K, V)`."""

from pathlib import Path

from attnc.runtime.folder import CompiledAttention

attention = CompiledAttention(Path(__file__).parent)
'''


def write_folder(
    folder: Path,
    program: Program,
    kernels: Mapping[str, GeneratedKernel],
    binaries: Mapping[str, tuple[bytes, Any]],
    report: list[dict[str, Any]],
) -> None:
    """Write everything; the manifest comes last, so that a folder with one is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for row in report:
        kernel = kernels[row["role"]]
        binary = {"cpu": "so", "cuda": "cubin", "hip": "hsaco"}[kernel.target.kind]
        stem = row["role"].replace(".", "_")
        (folder / f"{stem}.{kernel.suffix}").write_text(kernel.source, encoding="utf-8")
        (folder / f"{stem}.{binary}").write_bytes(binaries[row["role"]][0])
        files = {"source": f"{stem}.{kernel.suffix}", "binary": f"{stem}.{binary}"}
        entries.append({**row, **files, "signature": dump(kernel.signature)})
    nodes = dump((program.stated, program.explicit, program.plan))
    (folder / "program.json").write_text(nodes, encoding="utf-8")
    (folder / "launch.py").write_text(LAUNCHER, encoding="utf-8")
    manifest = {"attention": program.stated.name, "kernels": entries}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")


class CompiledAttention:
    """The attention of a compiled folder; it serves the types and head dims it was compiled for."""

    def __init__(self, folder: Path) -> None:
        """Reads the manifest and the program; kernels are loaded when first called."""
        self.folder = folder
        self.manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        stated: Cascade
        explicit: Cascade
        plan: Plan
        stated, explicit, plan = load((folder / "program.json").read_text(encoding="utf-8"))
        self.program = Program("compiled", stated, explicit, plan)
        self._built: dict[str, Built] = {}

    def __call__(self, *args: object, **named: object) -> Any:
        """The outputs on these tensors: a tensor, or a named tuple in the declared order."""
        bound: Bound = bind(self.program.stated, args, named)
        with torch.no_grad():
            outputs, _ = execute(self.program, bound, self._build)
        return packed(self.program.stated, outputs)

    def _build(self, stage: Stream, dtypes: Mapping[str, DType], extents: Mapping[str, int]) -> Built:
        entry = next(item for item in self.manifest["kernels"] if item["stage"] == stage.name)
        signature: Kernel = load(entry["signature"])
        _check(signature, dtypes, extents)
        if stage.name not in self._built:
            self._built[stage.name] = self._load(entry, signature)
        return self._built[stage.name]

    def _load(self, entry: Mapping[str, Any], signature: Kernel) -> Built:
        source = (self.folder / entry["source"]).read_text(encoding="utf-8")
        if entry["target"] == "cpu":
            from attnc.runtime.cpu import launcher

            launch, backend = launcher(self.folder / entry["binary"], signature), "cpp"
        else:
            from attnc.runtime.gpu import launcher as gpu_launcher

            launch, backend = gpu_launcher(source, signature, find_target(entry["target"])), "triton"
        return Built(entry["role"], signature, source, launch, backend, False)


def _check(signature: Kernel, dtypes: Mapping[str, DType], extents: Mapping[str, int]) -> None:
    for param in signature.params:
        if dtypes[param.name] != param.dtype:
            found = f"`{param.name}` is {dtypes[param.name]}, but this kernel was compiled for {param.dtype}"
            raise error("A631", found, helps=("compile the spec again with `--dtype`",))
    for axis in signature.axes:
        extent = extents.get(axis.index)
        if axis.extent is not None and extent is not None and axis.extent != extent:
            found = f"index `{axis.index}` has extent {extent}, but this kernel was compiled for {axis.extent}"
            raise error("A631", found, helps=("compile the spec again with `--shape`",))
