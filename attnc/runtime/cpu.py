"""Loading a built shared object and calling it on tensors."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from attnc.diagnostics import error
from attnc.ir.kernel import Kernel
from attnc.ir.sizes import whole
from attnc.runtime.threads import threads


def launcher(file: Path, kernel: Kernel) -> Callable[[Mapping[str, torch.Tensor], Mapping[str, int]], int]:
    """A function that runs the kernel on tensors by name, with the call's extents."""
    run = _library(file).attnc_run
    run.restype = None
    axes = sum(len(param.base) for param in kernel.params)

    def launch(tensors: Mapping[str, torch.Tensor], sizes: Mapping[str, int]) -> int:
        ordered = [tensors[param.name] for param in kernel.params]
        pointers = (ctypes.c_void_p * len(ordered))(*(tensor.data_ptr() for tensor in ordered))
        shapes = (ctypes.c_int64 * axes)(*(extent for tensor in ordered for extent in tensor.shape))
        strides = (ctypes.c_int64 * axes)(*(stride for tensor in ordered for stride in tensor.stride()))
        numbers = (ctypes.c_int64 * len(kernel.sizes))(*(whole(expr, sizes) for _, expr in kernel.sizes))
        run(pointers, shapes, strides, numbers, ctypes.c_int64(threads()))
        return 0  # what a C++ compiler spills is not known

    return launch


def _library(file: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(file))
    except OSError as reason:
        helps = ("set ATTNC_CACHE to a folder on a disk that lets programs run",)
        what = f"a kernel was built in `{file.parents[1]}` but cannot be loaded"
        raise error("A508", what, notes=(str(reason),), helps=helps) from None
