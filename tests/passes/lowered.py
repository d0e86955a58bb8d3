"""Stages run through lowering and the interpreter of kernels, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from attnc.ir.cascade import Cascade
from attnc.ir.interpret import run
from attnc.ir.kernel import DType, Kernel
from attnc.ir.run_kernel import run_kernel
from attnc.ir.sizes import evaluate
from attnc.ir.stage import Stream
from attnc.ir.target import Target, find_target
from attnc.ir.types import types_of
from attnc.passes.lower import lower
from attnc.passes.plan import plan
from attnc.runtime.needs import compiled_in
from tests.passes.written import explicit

Tensors = dict[str, torch.Tensor]
SMALL_CPU = replace(find_target("cpu"), rows=(16,), keys=(16,))
SMALL_GPU = replace(find_target("sm_90"), rows=(32,), keys=(16,))
SHAPES = ((40, 70, 40, 24), (37, 19, 16, 16), (1, 33, 8, 17), (17, 17, 64, 32), (50, 3, 16, 16), (5, 0, 8, 8))


def sizes_of(m: int, n: int, e: int, f: int) -> dict[str, int]:
    """The extents of a shape, with two heads of one key head."""
    return {"b": 1, "h": 2, "g": 1, "m": m, "n": n, "e": e, "f": f}


def only_stream(text: str) -> tuple[Stream, Cascade]:
    """The one streamed stage of a text whose plan has no other."""
    cascade = explicit(text)
    (stage,) = plan(cascade).stages
    assert isinstance(stage, Stream)
    return stage, cascade


def kernel_for(
    stream: Stream, cascade: Cascade, target: Target, sizes: Mapping[str, int], dtype: DType = "float64"
) -> Kernel:
    """The kernel of a stage for inner extents from `sizes`."""
    plain: dict[str, DType] = {"real": dtype, "int": "int64", "bool": "bool"}
    dtypes = {name: plain[kind] for name, kind in types_of(cascade).items()}
    return lower(stream, cascade, target, dtypes, {index: sizes[index] for index in compiled_in(stream, cascade)})


def outputs_of(stream: Stream, cascade: Cascade, kernel: Kernel, inputs: Tensors, sizes: Mapping[str, int]) -> Tensors:
    """What a kernel stores, into outputs that hold NaN (or -7) before."""
    made = {}
    for finish in stream.monoid.finishes:
        tensor = cascade.tensor(finish.tensor)
        assert tensor is not None
        shape = [max(0, int(evaluate(hi, sizes)) - int(evaluate(lo, sizes))) for lo, hi in tensor.axes]
        dtype = {"real": torch.float64, "int": torch.int64, "bool": torch.bool}[tensor.type]
        made[finish.tensor] = torch.full(shape, torch.nan if tensor.type == "real" else -7).to(dtype)
    run_kernel(kernel, inputs | made, sizes)
    return made


def drawn(cascade: Cascade, sizes: Mapping[str, int], seed: int, scale: float = 1.0) -> Tensors:
    """Normal reals, integers from 0 to 2, coins."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for item in cascade.inputs:
        shape = [sizes[index] for index in item.indices]
        if item.type == "real":
            found[item.name] = torch.randn(shape, generator=generator, dtype=torch.float64) * scale
        elif item.type == "int":
            found[item.name] = torch.randint(0, 3, shape, generator=generator)
        else:
            found[item.name] = torch.rand(shape, generator=generator) < 0.7
    return found


def largest_error(text: str, target: Target, sizes: Mapping[str, int], given: Tensors | None = None) -> float:
    """The largest difference between the kernel's outputs and the oracle's; infinite where the kinds differ."""
    stream, cascade = only_stream(text)
    inputs = drawn(cascade, sizes, seed=sizes["m"]) | (given or {})
    found = outputs_of(stream, cascade, kernel_for(stream, cascade, target, sizes), inputs, sizes)
    return max(difference(found[name], value) for name, value in run(cascade, inputs, sizes=sizes).outputs.items())


def difference(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """The largest absolute difference, equal infinities and NaN counting as 0."""
    if not found.is_floating_point():
        return float((found != wanted).sum())
    same = (found == wanted) | (found.isnan() & wanted.isnan())
    away = torch.where(same, 0.0, (found - wanted).abs()).nan_to_num(torch.inf)
    return float(away.max()) if away.numel() else 0.0
