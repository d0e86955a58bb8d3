"""Running a generated program on the compiled kernels and holding it against the oracle."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

import attnc
from attnc.contract import judge, references
from attnc.ir.target import find_target
from attnc.runtime.attention import Attention
from attnc.runtime.bind import bind
from attnc.runtime.draw import draw
from attnc.runtime.execute import execute
from tests.programs.generate import Program


@dataclass(frozen=True)
class Outcome:
    """How a program fared: whether every heavy stage was streamed, and what failed."""

    program: Program
    streamed: bool
    failures: tuple[str, ...]


def strided(tensor: torch.Tensor, kind: int) -> torch.Tensor:
    """The same values: as they are, every second element of a tensor, axes reversed, or inside a larger one."""
    if tensor.dim() == 0 or kind % 4 == 0:
        return tensor
    if kind % 4 == 1:
        return torch.stack([tensor, torch.ones_like(tensor)], -1)[..., 0]
    if kind % 4 == 2:
        turned = tensor.permute(tuple(reversed(range(tensor.dim())))).contiguous()
        return turned.permute(tuple(reversed(range(tensor.dim()))))
    wide = torch.zeros([extent + 3 for extent in tensor.shape], dtype=tensor.dtype)
    inner = wide[tuple(slice(2, extent + 2) for extent in tensor.shape)]
    return inner.copy_(tensor)


@contextmanager
def fresh_memory_is_nan() -> Iterator[None]:
    """New tensors hold NaN until something is written to them."""
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def outputs_on(attention: Attention, inputs: dict[str, torch.Tensor], target: str) -> dict[str, torch.Tensor]:
    """The outputs by name; a GPU target runs in Triton's interpreter where the tensors lie on a CPU."""
    program = attention.program()
    if target == "cpu":
        results = attention(**inputs)
        names = program.stated.outputs
        return dict(zip(names, results if len(names) > 1 else [results], strict=True))
    place = find_target(target)
    return execute(program, bind(program.stated, (), inputs), place)[0]


def run_program(program: Program, dtype: torch.dtype = torch.float32, target: str = "cpu") -> Outcome:
    """The program called once on drawn inputs with odd strides, outputs judged by the contract."""
    attention = attnc.compile(program.text)
    analysed = attention.program()
    inputs = draw(analysed.stated, program.shape, {}, dtype, program.seed)
    inputs = {name: strided(tensor, program.seed + place) for place, (name, tensor) in enumerate(inputs.items())}
    with warnings.catch_warnings(), fresh_memory_is_nan():
        warnings.simplefilter("ignore")
        outputs = outputs_on(attention, inputs, target)
    judged = references(analysed.stated, inputs, {name: value.dtype for name, value in outputs.items()})
    verdicts = [judge(name, value, judged[name]) for name, value in outputs.items()]
    failures = tuple(f"{v.output}: error {v.error:.3g}, allowed {v.allowed:.3g}" for v in verdicts if not v.passed)
    return Outcome(program, not analysed.heavy, failures)
