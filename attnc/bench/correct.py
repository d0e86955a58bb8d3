"""An attention of the library or of a file on a device, forward and backward, by the numerics contract."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from attnc.bench.judge import ratio, worst
from attnc.bench.suite import TYPES
from attnc.contract import GRADIENT, Verdict, gradient_references, judge, references
from attnc.diagnostics import AttnError
from attnc.library import Spec, find, parse_source, standard_attentions
from attnc.runtime.attention import Attention
from attnc.runtime.check_shapes import mended, shapes
from attnc.runtime.draw import draw

SIZES = {"b": 2, "h": 4, "g": 2, "m": 150, "n": 250, "e": 64, "f": 64}
OTHER = 16
"""Ragged lengths of more than a tile, and a small extent for an index that is none of these."""


@dataclass(frozen=True)
class Task:
    """One attention in one type."""

    reference: str
    dtype: str
    device: str = "cuda"


@dataclass(frozen=True)
class Outcome:
    """What came of a task: error over allowance in each direction, what ran, and what is wrong or was not done."""

    task: Task
    forward: float | None = None
    backward: float | None = None
    plans: tuple[str, ...] = ()
    remark: str = ""

    @property
    def passed(self) -> bool:
        """Whether everything that was computed keeps the contract; nothing computed does not pass."""
        return self.forward is not None and self.forward <= 1 and (self.backward is None or self.backward <= 1)


def tasks(files: Iterable[Path], dtypes: Iterable[str], device: str) -> list[Task]:
    """Each attention of the library and of these files in each type."""
    named = [f"std:{name}" for name in sorted(standard_attentions())]
    named += [f"{file}#{name}" for file in files for name in _names(find(str(file)))]
    return [Task(reference, dtype, device) for reference in named for dtype in dtypes]


def _names(spec: Spec) -> list[str]:
    from attnc.ir import syntax

    return [item.name for item in parse_source(spec.source).definitions if isinstance(item, syntax.Attention)]


def outcome(task: Task) -> Outcome:
    """The verdicts on a call and on its gradients; whatever fails is told, not raised."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _outcome(task)
    except AttnError as mistake:
        return Outcome(task, remark=str(mistake.diagnostics[0].message))
    except Exception as failure:  # a compiler and a device stand behind it
        return Outcome(task, remark=f"{type(failure).__name__}: {failure}".strip().partition("\n")[0][:200])


def _outcome(task: Task) -> Outcome:
    attention = Attention(find(task.reference), lazy=True)
    options = dict.fromkeys(attention.signature.needed, 2)
    inputs = _inputs(attention, options, TYPES[task.dtype])
    if inputs is None:
        return Outcome(task, remark="no extents were found that it allows")
    with torch.no_grad():
        outputs = _named(attention, attention(**_moved(inputs, task.device), **options))
    assert attention.last_run is not None
    plans = tuple(dict.fromkeys(f"{run.plan} on {run.backend}" for run in attention.last_run.stages))
    stated = attention.program(options).stated
    right = references(stated, inputs, {name: value.dtype for name, value in outputs.items()})
    forward = worst(judge(name, value.cpu(), right[name]) for name, value in outputs.items())
    found = Outcome(task, ratio(forward), None, plans, _told(forward))
    try:
        backward = _backward(attention, options, inputs, task.device)
    except AttnError as mistake:  # no path carries a gradient
        return replace(found, remark=found.remark or mistake.diagnostics[0].message)
    if backward is None:
        return found
    return replace(found, backward=ratio(backward), remark=found.remark or _told(backward))


def _told(verdict: Verdict) -> str:
    return "" if verdict.passed else f"{verdict.output} is off by {verdict.error:.3g}, allowed {verdict.allowed:.3g}"


def _inputs(attention: Attention, options: Mapping[str, Any], dtype: torch.dtype) -> dict[str, torch.Tensor] | None:
    """Drawn inputs at lengths of more than a tile, or at some that the attention allows; None where none are found."""
    program = attention.program(options)
    indices = list(dict.fromkeys(index for item in program.stated.inputs for index in item.indices))
    usual = {index: SIZES.get(index, OTHER) for index in indices}
    stated = partial(lambda cascade, _: cascade, program.stated)
    found = mended(usual, stated) or next(shapes(indices, stated), None)
    return None if found is None else draw(program.stated, found[0], {}, dtype, seed=3)


def _moved(inputs: Mapping[str, torch.Tensor], device: str) -> dict[str, torch.Tensor]:
    return {name: tensor.to(device) for name, tensor in inputs.items()}


def _named(attention: Attention, results: Any) -> dict[str, torch.Tensor]:
    names = attention.signature.outputs
    return dict(zip(names, results if len(names) > 1 else [results], strict=True))


def _backward(
    attention: Attention, options: Mapping[str, Any], inputs: Mapping[str, torch.Tensor], device: str
) -> Verdict | None:
    """The worst verdict on the gradients of all real inputs; None where no output depends on one."""
    given = {name: t.requires_grad_(t.is_floating_point()) for name, t in _moved(inputs, device).items()}
    outputs = _named(attention, attention(**given, **options))
    moving = {name: value for name, value in outputs.items() if value.requires_grad}
    wanted = [name for name, tensor in given.items() if tensor.requires_grad]
    if not moving or not wanted:
        return None
    generator = torch.Generator().manual_seed(5)
    incoming = {name: torch.randn(value.shape, generator=generator).to(value.dtype) for name, value in moving.items()}
    sent = [incoming[name].to(device) for name in moving]
    leaves = [given[name] for name in wanted]
    found = torch.autograd.grad(list(moving.values()), leaves, sent, materialize_grads=True)
    right = gradient_references(attention.program(options).stated, inputs, incoming, wanted)
    pairs = zip(wanted, found, strict=True)
    return worst(judge(name, value.cpu(), right[name], GRADIENT) for name, value in pairs)
