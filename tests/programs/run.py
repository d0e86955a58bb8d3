"""Running a generated program on the compiled kernels and holding it against the oracle."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch

import attnc
from attnc.contract import judge, references
from attnc.runtime.draw import draw
from tests.programs.generate import Program


@dataclass(frozen=True)
class Outcome:
    """How a program fared: whether every heavy stage was streamed, and what failed."""

    program: Program
    streamed: bool
    failures: tuple[str, ...]


def run_program(program: Program, dtype: torch.dtype = torch.float32) -> Outcome:
    """The program called once on drawn inputs, outputs judged by the contract."""
    attention = attnc.compile(program.text)
    analysed = attention.program()
    inputs = draw(analysed.stated, program.shape, {}, dtype, program.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = attention(**inputs)
    names = analysed.stated.outputs
    outputs = dict(zip(names, results if len(names) > 1 else [results], strict=True))
    judged = references(analysed.stated, inputs, {name: value.dtype for name, value in outputs.items()})
    verdicts = [judge(name, value, judged[name]) for name, value in outputs.items()]
    failures = tuple(f"{v.output}: error {v.error:.3g}, allowed {v.allowed:.3g}" for v in verdicts if not v.passed)
    return Outcome(program, not analysed.heavy, failures)
