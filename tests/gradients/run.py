"""Gradients of a program by its kernels, held against those of the definition."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from attnc.contract import GRADIENT, gradient_references, judge
from attnc.ir.target import find_target
from attnc.ir.types import types_of
from attnc.runtime.attention import Attention
from attnc.runtime.bind import Bound, bind
from attnc.runtime.draw import draw
from attnc.runtime.execute import again, execute
from attnc.runtime.gradients import Gradients, gradients_of, run_backward
from attnc.runtime.streams import StageRun
from attnc.runtime.types import rounding_shows
from tests.programs.run import fresh_memory_is_nan, strided

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Outcome:
    """How the gradients of a program fared: what ran backward, what failed, and how near the rest came to it."""

    runs: tuple[StageRun, ...]
    failures: tuple[str, ...]
    worst: float  # the largest error over what is allowed


def backward_of(attention: Attention, *, precise: bool = False) -> Gradients:
    """The whole backward of an attention: every real input from every real output."""
    explicit = attention.program().explicit
    types = types_of(explicit)
    wanted = tuple(sorted(item.name for item in explicit.inputs if item.type == "real"))
    given = tuple(name for name in explicit.outputs if types[name] == "real")
    return gradients_of(attention.program(), wanted, given, precise=precise)


def run_gradients(
    attention: Attention,
    shape: Mapping[str, int],
    seed: int,
    dtype: torch.dtype = torch.float32,
    target: str = "cpu",
    types: Mapping[str, torch.dtype] | None = None,
) -> Outcome:
    """The gradients on drawn inputs with odd strides and random cotangents, judged by the contract.

    `types` are those of inputs that have another.
    """
    stated = attention.program().stated
    used = {index for item in stated.inputs for index in item.indices}
    inputs = draw(stated, {index: extent for index, extent in shape.items() if index in used}, {}, dtype, seed)
    inputs = {name: tensor.to((types or {}).get(name, tensor.dtype)) for name, tensor in inputs.items()}
    inputs = {name: strided(tensor, seed + place) for place, (name, tensor) in enumerate(inputs.items())}
    wanted = tuple(sorted(backward_of(attention).reached & inputs.keys()))
    by = _by_autograd if target == "cpu" else _in_the_interpreter
    with warnings.catch_warnings(), fresh_memory_is_nan():
        warnings.simplefilter("ignore")
        found, incoming, runs = by(attention, inputs, wanted, seed, target)
    judged = gradient_references(stated, inputs, incoming, wanted)
    verdicts = [judge(f"d{name}", found[name], judged[name], GRADIENT) for name in wanted]
    failures = [f"{v.output}: error {v.error:.3g}, allowed {v.allowed:.3g}" for v in verdicts if not v.passed]
    failures += [f"d{name}: {found[name].dtype}" for name in wanted if found[name].dtype != inputs[name].dtype]
    worst = max((v.error / v.allowed if v.allowed else float(v.error > 0) for v in verdicts), default=0.0)
    return Outcome(tuple(runs), tuple(failures), worst)


def cotangents(outputs: Tensors, seed: int) -> Tensors:
    """What comes in at the real outputs, with odd strides."""
    dice = torch.Generator().manual_seed(seed)
    found = {}
    for place, (name, value) in enumerate(outputs.items()):
        if value.is_floating_point():
            drawn = torch.randn(value.shape, generator=dice, dtype=torch.float64).to(value.dtype)
            found[name] = strided(drawn, seed + place + 1)
    return found


def _by_autograd(
    attention: Attention, inputs: Tensors, wanted: tuple[str, ...], seed: int, target: str
) -> tuple[Tensors, Tensors, list[StageRun]]:
    leaves = {name: tensor.detach().requires_grad_(name in wanted) for name, tensor in inputs.items()}
    results = attention(**leaves)
    names = attention.program().stated.outputs
    outputs = dict(zip(names, results if len(names) > 1 else [results], strict=True))
    incoming = cotangents(outputs, seed)
    incoming = {name: value for name, value in incoming.items() if outputs[name].requires_grad}
    given = [outputs[name] for name in incoming], [leaves[name] for name in wanted], list(incoming.values())
    gradients = torch.autograd.grad(*given) if wanted else ()
    assert attention.last_run is not None
    return dict(zip(wanted, gradients, strict=True)), incoming, attention.last_run.backward


def _in_the_interpreter(
    attention: Attention, inputs: Tensors, wanted: tuple[str, ...], seed: int, target: str
) -> tuple[Tensors, Tensors, list[StageRun]]:
    bound, place = bind(attention.program().stated, (), inputs), find_target(target)
    precise = rounding_shows(attention.program(), bound.types, wanted)
    gradients = backward_of(attention, precise=precise)
    held = [name for name in gradients.backward.saved if name not in bound.tensors]
    program = gradients.program
    values, _ = execute(program, bound, place, held)
    incoming = cotangents({name: values[name] for name in program.explicit.outputs}, seed)
    kept = Bound({**bound.tensors, **{name: values[name] for name in held}}, bound.sizes, bound.device)
    every = again(program, kept, place, gradients.backward.again)
    found, runs = run_backward(gradients, Bound(every, bound.sizes, bound.device), incoming, place)
    return {name: found[name] for name in wanted}, incoming, runs
