"""Generated Triton modules: imported from a private file, launched on a device or in Triton's interpreter."""

from __future__ import annotations

import importlib.util
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from functools import partial
from typing import Any

import torch

from attnc.codegen.spills import spilled
from attnc.ir.kernel import Axis, Kernel, Value
from attnc.ir.kernel import Const as KernelConst
from attnc.ir.kernel import Map as KernelMap
from attnc.ir.kernel import Size as KernelSize
from attnc.ir.sizes import SCALAR, whole
from attnc.runtime import cache
from attnc.runtime.build import Launch, Run

UNIT = 16  # bytes


def load_function(source: str, name: str) -> Any:
    """The jitted function of a generated module; Triton reads its text from the file it lies in."""
    key = cache.key("module", source)
    file = cache.written_file(key, "py", source.encode())
    spec = importlib.util.spec_from_file_location(f"attnc_generated_{key}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def launcher(source: str, kernel: Kernel) -> Launch:
    """The kernel: for tensors of some layouts, in the order of its parameters, and for extents."""
    function, places, described = load_function(source, kernel.name), offset_places(source), described_tensors(source)
    names = [param.name for param in kernel.params]
    options = {"num_warps": kernel.warps, "num_stages": kernel.stages, "enable_fp_fusion": True}

    def prepared(like: Sequence[torch.Tensor], sizes: Mapping[str, int]) -> Run:
        numbers = {name: whole(expr, sizes) for name, expr in kernel.sizes}
        given: dict[str, Any] = {f"{name}_size": number for name, number in numbers.items()}
        for name, tensor in zip(names, like, strict=True):
            given |= {f"{name}_n{axis}": extent for axis, extent in enumerate(tensor.shape)}
            given |= {f"{name}_s{axis}": stride for axis, stride in enumerate(tensor.stride())}
        given["DOT"] = dot_type(kernel)
        given["OFFSET"] = offset_type(places, dict(zip(names, like, strict=True)))
        programs = math.prod(_tiles(axis, numbers) for axis in kernel.tiled) * _points(kernel.grid, numbers)
        if "persistent" in kernel.schedule:
            programs = min(programs, programs_at_once(kernel, like[0].device))
        by_name = dict(zip(names, like, strict=True))
        laid_out = all(_in_units(by_name[name], axis) for name, axis in described.items())

        def launch(tensors: Sequence[torch.Tensor]) -> int:
            if programs == 0:
                return 0
            every = given | {f"p_{name}": tensor for name, tensor in zip(names, tensors, strict=True)}
            every["DESCRIBED"] = laid_out and all(every[f"p_{name}"].data_ptr() % UNIT == 0 for name in described)
            arguments = [every[name] for name in function.arg_names]
            run = partial(function[(programs,)], *arguments, **options)
            compiled = copy_context().run(_with_workspace, run) if every["DESCRIBED"] and described else run()
            return _spills(compiled)

        return launch

    return prepared


_SPILLS: dict[str, int] = {}


def _spills(compiled: Any) -> int:
    """What a compiled kernel spills, as the driver tells, but for tables; the interpreter compiles nothing."""
    told = int(getattr(compiled, "n_spills", 0))
    if not told or "ptx" not in compiled.asm:
        return told
    if compiled.hash not in _SPILLS:
        _SPILLS[compiled.hash] = spilled(compiled.asm["ptx"], told)
    return _SPILLS[compiled.hash]


def programs_at_once(kernel: Kernel, device: torch.device) -> int:
    """The programs that a device holds at once by the model; what interprets kernels counts as two multiprocessors."""
    on_gpu = device.type == "cuda"
    return kernel.resident * int(torch.cuda.get_device_properties(device).multi_processor_count if on_gpu else 2)


def _with_workspace(run: Callable[[], Any]) -> Any:
    """A launch of a kernel that makes descriptors, in memory that PyTorch gives; what others set stays as it is."""
    import triton

    triton.set_allocator(lambda size, _align, _stream: torch.empty(size, dtype=torch.int8, device="cuda"))
    return run()


def described_tensors(source: str) -> dict[str, int]:
    """The tensors of which a generated kernel may read whole tiles by descriptors, and along which axis."""
    return {name: int(axis) for name, axis in re.findall(r"make_tensor_descriptor\(.*\[(\w+)_s(\d+), 1\]", source)}


def _in_units(tensor: torch.Tensor, axis: int) -> bool:
    """Whether rows along an axis lie one after another in memory, and all begin at multiples of 16 bytes."""
    *others, last = tensor.stride()
    return last == 1 and others[axis] > 0 and all(stride * tensor.element_size() % UNIT == 0 for stride in others)


def dot_type(kernel: Kernel) -> Any:
    """The operand type of 16-bit products: float32 in the interpreter, which multiplies bfloat16 as raw bits."""
    import triton.language as tl

    if os.environ.get("TRITON_INTERPRET") == "1":
        return tl.float32
    kinds = {param.dtype for param in kernel.params}
    return tl.bfloat16 if "bfloat16" in kinds else tl.float16


def offset_places(source: str) -> tuple[tuple[str, int], ...]:
    """The axes of tensors along which a generated kernel computes offsets in a type of the launcher's choice."""
    found = re.findall(r"OFFSET\)+ \* (\w+)_s(\d+)", source)
    return tuple(sorted({(name, int(axis)) for name, axis in found}))


def offset_type(places: tuple[tuple[str, int], ...], tensors: Mapping[str, torch.Tensor]) -> Any:
    """The type of offsets along these axes: 32 bits where none spans 2^31 elements."""
    import triton.language as tl

    spans = (tensors[name].shape[axis] * tensors[name].stride()[axis] for name, axis in places)
    return tl.int32 if max(spans, default=0) < 1 << 31 else tl.int64


def _tiles(axis: Axis, numbers: Mapping[str, int]) -> int:
    return -(-max(0, _value(axis.hi, numbers) - _value(axis.lo, numbers)) // axis.tile)


def _points(axes: tuple[Axis, ...], numbers: Mapping[str, int]) -> int:
    total = 1
    for axis in axes:
        total *= max(0, _value(axis.hi, numbers) - _value(axis.lo, numbers))
    return total


def _value(value: Value, numbers: Mapping[str, int]) -> int:
    """A kernel value over sizes as a number."""
    match value:
        case KernelConst(number):
            return int(number)
        case KernelSize(name):
            return numbers[name]
        case KernelMap(op, args):
            return int(SCALAR[op](*(_value(arg, numbers) for arg in args)))
        case _:
            raise AssertionError(f"not a size: {value}")
