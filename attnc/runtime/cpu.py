"""Loading a built shared object and calling it on tensors."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from attnc.diagnostics import error
from attnc.ir.kernel import Kernel
from attnc.ir.sizes import whole
from attnc.runtime.build import Launch, Run
from attnc.runtime.threads import threads


def launcher(file: Path, kernel: Kernel) -> Launch:
    """The kernel of a shared object: for tensors of some layouts, in the order of its parameters, and for extents."""
    run = _library(file).attnc_run
    run.restype = None
    pointers, axes = ctypes.c_void_p * len(kernel.params), sum(len(param.base) for param in kernel.params)
    places, numbers = ctypes.c_int64 * axes, ctypes.c_int64 * len(kernel.sizes)

    def prepared(like: Sequence[torch.Tensor], sizes: Mapping[str, int]) -> Run:
        shapes = places(*(extent for tensor in like for extent in tensor.shape))
        strides = places(*(stride for tensor in like for stride in tensor.stride()))
        extents = numbers(*(whole(expr, sizes) for _, expr in kernel.sizes))

        def launch(tensors: Sequence[torch.Tensor]) -> int:
            own = pointers(*[tensor.data_ptr() for tensor in tensors])
            run(own, shapes, strides, extents, ctypes.c_int64(threads()))
            return 0  # what a C++ compiler spills is not known

        return launch

    return prepared


def _library(file: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(file))
    except OSError as reason:
        helps = ("set ATTNC_CACHE to a folder on a disk that lets programs run",)
        what = f"a kernel was built in `{file.parents[1]}` but cannot be loaded"
        raise error("A508", what, notes=(str(reason),), helps=helps) from None
