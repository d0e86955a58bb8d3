"""Generated Triton compiled for a target that need not be present, and what the binary takes."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnc.codegen.disassembly import disassemble, tool
from attnc.codegen.spills import spilled
from attnc.diagnostics import error
from attnc.ir.kernel import Kernel
from attnc.ir.target import Target

POINTERS = {
    "float32": "*fp32",
    "float16": "*fp16",
    "bfloat16": "*bf16",
    "float64": "*fp64",
    "int32": "*i32",
    "int64": "*i64",
    "bool": "*i1",
}


@dataclass(frozen=True)
class Resources:
    """What a compiled kernel takes: registers per thread, spilled bytes, shared bytes, occupancy of a processor."""

    registers: int
    spills: int
    shared: int
    occupancy: float


def compile_offline(source: str, kernel: Kernel, target: Target) -> tuple[bytes, Resources]:
    """The binary and the resources of a kernel for a GPU target."""
    built = _built(source, kernel, target)
    return built.asm["cubin" if target.kind == "cuda" else "hsaco"], resources_of(built, target, kernel.warps)


def disassembly(source: str, kernel: Kernel, target: Target) -> str:
    """The machine code of a kernel as text."""
    built = _built(source, kernel, target)
    return disassemble(built.asm["cubin"]) if target.kind == "cuda" else str(built.asm["amdgcn"])


def identity(source: str, kernel: Kernel, target: Target) -> str:
    """A digest of all that the machine code of a kernel is made from; comments in its source are no part of that."""
    plain = ast.parse(source)
    (function,) = (item for item in plain.body if isinstance(item, ast.FunctionDef) and item.name == kernel.name)
    arguments = _signature(kernel, [item.arg for item in function.args.args])
    made = (ast.unparse(plain), arguments, _options(kernel), target.kind, target.name, target.capability)
    return hashlib.sha256(repr((*made, importlib.metadata.version("triton"))).encode()).hexdigest()


def _options(kernel: Kernel) -> dict[str, Any]:
    return {"num_warps": kernel.warps, "num_stages": kernel.stages, "enable_fp_fusion": True}


def _built(source: str, kernel: Kernel, target: Target) -> Any:
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
    from triton.compiler import compile as compile_triton

    with tempfile.TemporaryDirectory(prefix="attnc-") as folder:
        function = _function(source, kernel.name, Path(folder, "kernel.py"))
        place = GPUTarget("cuda", target.capability, 32) if target.kind == "cuda" else GPUTarget("hip", target.name, 64)
        signature, constants, aligned = _signature(kernel, list(function.arg_names))
        program = ASTSource(fn=function, signature=signature, constexprs=constants, attrs=aligned)
        return compile_triton(program, target=place, options=_options(kernel))


def _function(source: str, name: str, file: Path) -> Any:
    import importlib.util
    import os

    if os.environ.get("TRITON_INTERPRET") == "1":
        raise error(
            "A505",
            "kernels cannot be compiled while TRITON_INTERPRET=1 is set",
            helps=("unset it for `attnc compile`",),
        )
    file.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("attnc_offline", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


Paths = dict[tuple[int, ...], Any]


def _signature(kernel: Kernel, names: list[str]) -> tuple[dict[str, str], Paths, Paths]:
    """The arguments' types, the constants, and what is aligned: contiguous tensors whose rows start at 16 bytes."""
    import triton.language as tl

    pointers = {f"p_{param.name}": POINTERS[param.dtype] for param in kernel.params}
    strides = {f"{param.name}_s{axis}" for param in kernel.params for axis in range(len(param.base))}
    inner = {f"{param.name}_s{len(param.base) - 1}" for param in kernel.params}
    signature = {name: pointers.get(name, "i32") for name in names}
    constants: Paths = {}
    for name in (name for name in names if name in inner):  # in their order: what is kept is found by it
        signature[name] = "constexpr"
        constants[(names.index(name),)] = 1
    if "DOT" in signature:
        signature["DOT"] = "constexpr"
        bf16 = any(param.dtype == "bfloat16" for param in kernel.params)
        constants[(names.index("DOT"),)] = tl.bfloat16 if bf16 else tl.float16
    if "OFFSET" in signature:
        signature["OFFSET"] = "constexpr"
        constants[(names.index("OFFSET"),)] = tl.int32
    if "DESCRIBED" in signature:
        signature["DESCRIBED"] = "constexpr"
        constants[(names.index("DESCRIBED"),)] = True
    aligned = [name for name in names if name in pointers or (name in strides and name not in inner)]
    return signature, constants, {(names.index(name),): [["tt.divisibility", 16]] for name in aligned}


def resources_of(built: Any, target: Target, warps: int) -> Resources:
    """What a kernel that Triton has compiled takes."""
    shared = int(built.metadata.shared)
    if target.kind == "hip":
        text = built.asm["amdgcn"]
        registers = int(_number(text, r"\.vgpr_count:\s*(\d+)"))
        spills = int(_number(text, r"\.vgpr_spill_count:\s*(\d+)")) * 4
    else:
        usage = _cuobjdump(built.asm["cubin"])
        registers = int(_number(usage, r"REG:(\d+)"))
        spills = spilled(built.asm["ptx"], int(_number(usage, r"STACK:(\d+)")))
    return Resources(registers, spills, shared, target.occupancy(registers, shared, warps))


def _number(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else "0"


def _cuobjdump(binary: bytes) -> str:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary)
        file.flush()
        command = [str(tool("cuobjdump")), "--dump-resource-usage", file.name]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
