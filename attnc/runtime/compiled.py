"""A compiled folder called as an attention: no spec, no parser, no compiler."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from attnc.diagnostics import AttnError, error
from attnc.ir.kernel import DType, Kernel
from attnc.ir.serial import load
from attnc.ir.stage import Stream
from attnc.runtime.autograd import moving_inputs, wanted_inputs
from attnc.runtime.bind import Bound, bind
from attnc.runtime.build import Built
from attnc.runtime.execute import execute
from attnc.runtime.machine import features
from attnc.runtime.memory import enough_memory
from attnc.runtime.program import Program
from attnc.runtime.results import packed
from attnc.runtime.types import compute_type


class CompiledAttention:
    """The attention of a compiled folder; it serves the types and head dims it was compiled for."""

    def __init__(self, folder: Path) -> None:
        """Reads the manifest and the program; kernels are loaded when first called."""
        self.folder = folder
        try:
            self.manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            self.program = Program("compiled", *load((folder / "program.json").read_text(encoding="utf-8")))
            entries = {item["stage"]: item for item in self.manifest["kernels"]}
            self._entries = {stage.name: entries[stage.name] for stage in self.program.streams}
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as reason:
            helps = ("write it again with `attnc compile SPEC -o FOLDER`",)
            raise error("A635", f"`{folder}` is no compiled attention", notes=(str(reason),), helps=helps) from None
        self._built: dict[str, Built] = {}

    def __call__(self, *args: object, **named: object) -> Any:
        """The outputs on these tensors: a tensor, or a named tuple in the declared order."""
        bound = self._bind(args, named)
        with torch.no_grad(), enough_memory(f"to run `{self.program.stated.name}`"):
            outputs, _ = execute(self.program, bound, self._build)
        return packed(self.program.stated, outputs)

    def _bind(self, args: tuple[object, ...], named: Mapping[str, object]) -> Bound:
        bound = bind(self.program.stated, args, named)
        _refuse_gradient(bound)
        compute = compute_type(bound.types)
        kinds = {item.name: torch.int64 for item in self.program.stated.inputs if item.type == "int"}
        kinds |= {item.name: compute for item in self.program.stated.inputs if item.type == "real" and item.default}
        tensors = {name: tensor.to(kinds.get(name, tensor.dtype)) for name, tensor in bound.tensors.items()}
        return Bound(tensors, bound.sizes, bound.device)

    def _build(self, stage: Stream, dtypes: Mapping[str, DType], extents: Mapping[str, int]) -> Built:
        if stage.name not in self._built:
            entry = self._entries[stage.name]
            self._built[stage.name] = self._load(entry, load(entry["signature"]))
        built = self._built[stage.name]
        _check(built.kernel, dtypes, extents)
        return built

    def _load(self, entry: Mapping[str, Any], signature: Kernel) -> Built:
        source = (self.folder / entry["source"]).read_text(encoding="utf-8")
        missing = sorted(set(entry["needs"]) - features()) if features() else []
        if missing:
            what = f"this kernel was compiled for a processor with {', '.join(missing[:5])}, which this one lacks"
            raise error("A631", what, helps=("compile the spec again on this machine",))
        if entry["target"] == "cpu":
            from attnc.runtime.cpu import launcher

            launch, backend = launcher(self.folder / entry["binary"], signature), "cpp"
        else:
            from attnc.runtime.gpu import launcher as gpu_launcher

            launch, backend = gpu_launcher(source, signature), "triton"
        return Built(entry["role"], signature, source, launch, backend, False)


def _check(signature: Kernel, dtypes: Mapping[str, DType], extents: Mapping[str, int]) -> None:
    for param in signature.params:
        if dtypes[param.name] != param.dtype:
            raise _other(f"`{param.name}` is {dtypes[param.name]}", param.dtype, "--dtype")
    for axis in signature.axes:
        extent = extents.get(axis.index)
        if axis.extent is not None and extent is not None and axis.extent != extent:
            raise _other(f"index `{axis.index}` has extent {extent}", axis.extent, "--shape")


def _other(found: str, compiled_for: object, flag: str) -> AttnError:
    what = f"{found}, but this kernel was compiled for {compiled_for}"
    return error("A631", what, helps=(f"compile the spec again with `{flag}`",))


def _refuse_gradient(bound: Bound) -> None:
    """Error A401 where a gradient is asked for, or a tangent is given."""
    wanted, moving = (", ".join(f"`{name}`" for name in names(bound)) for names in (wanted_inputs, moving_inputs))
    load = "load the spec with `attnc.load`: its calls are differentiable"
    if wanted:
        helps = ("call it under `torch.no_grad()`", load)
        raise error("A401", f"gradients are asked for {wanted}, but a compiled folder holds no backward", helps=helps)
    if moving:
        raise error("A401", f"tangents are given for {moving}, but a compiled folder holds none", helps=(load,))
