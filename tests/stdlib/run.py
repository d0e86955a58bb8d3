"""A case run by the definition, by kernels and backward, and held to the formula or the contract."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import torch

from attnc.contract import GRADIENT, gradient_references, judge, references
from attnc.ir.interpret import run
from attnc.ir.target import find_target
from attnc.runtime.bind import Bound, bind
from attnc.runtime.execute import again, execute
from attnc.runtime.gradients import backward_for, run_backward
from tests.gradients.run import cotangents
from tests.programs.run import fresh_memory_is_nan
from tests.stdlib.cases import Case, Tensors

CLOSE = 1e-9


def by_definition(case: Case, inputs: Tensors) -> Tensors:
    """The outputs by the oracle, as the call would give them but in float64."""
    stated = case.loaded().program(case.options).stated
    bound = bind(stated, (), inputs)
    return run(stated, bound.tensors, sizes=bound.sizes).outputs


def by_kernels(case: Case, inputs: Tensors, target: str = "cpu") -> Tensors:
    """The outputs of a call; a GPU target runs in Triton's interpreter."""
    attention = case.loaded()
    program = attention.program(case.options)
    with warnings.catch_warnings(), fresh_memory_is_nan():
        warnings.simplefilter("ignore")
        if target != "cpu":
            return execute(program, bind(program.stated, (), inputs), find_target(target))[0]
        found = attention(**inputs, **case.options)
    return dict(zip(program.stated.outputs, found if isinstance(found, tuple) else [found], strict=True))


def broken(case: Case, inputs: Tensors, found: Tensors) -> list[str]:
    """Where outputs break the numerics contract."""
    stated = case.loaded().program(case.options).stated
    tensors = bind(stated, (), inputs).tensors
    wanted = references(stated, tensors, {name: value.dtype for name, value in found.items()})
    verdicts = [judge(name, value, wanted[name]) for name, value in found.items()]
    return [f"{v.output}: error {v.error:.3g}, allowed {v.allowed:.3g}" for v in verdicts if not v.passed]


def apart(found: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], close: float = CLOSE) -> list[str]:
    """Where two sets of outputs differ, by more than `close` of the largest magnitude."""
    assert found.keys() == wanted.keys()
    return [message for name in found if (message := _differs(name, found[name], wanted[name], close))]


def _differs(name: str, found: torch.Tensor, wanted: torch.Tensor, close: float) -> str:
    if found.shape != wanted.shape:
        return f"{name} has shape {list(found.shape)}, and {list(wanted.shape)} is expected"
    if not found.is_floating_point():
        return "" if torch.equal(found, wanted.to(found.dtype)) else f"{name} differs"
    if not found.numel():
        return ""
    wide = wanted.to(found.dtype)
    gap = torch.where(found == wide, 0.0, found - wide).abs().max()
    scale = max(1.0, float(torch.where(wide.isfinite(), wide, 0.0).detach().abs().max()))
    return "" if bool(gap <= close * scale) else f"{name} is off by {float(gap):.3g}"


def wanted_of(case: Case, inputs: Tensors) -> tuple[str, ...]:
    """The given inputs with a gradient."""
    program = case.loaded().program(case.options)
    real = tuple(sorted(item.name for item in program.explicit.inputs if item.type == "real" and item.name in inputs))
    return tuple(sorted(backward_for(program, real).reached & set(real)))


def gradients_broken(case: Case, inputs: Tensors, target: str = "cpu") -> list[str]:
    """Where the gradients of every input by kernels break the contract."""
    wanted = wanted_of(case, inputs)
    if not wanted:
        return []
    with warnings.catch_warnings(), fresh_memory_is_nan():
        warnings.simplefilter("ignore")
        found, incoming = (_by_autograd if target == "cpu" else _interpreted)(case, inputs, wanted, target)
    stated = case.loaded().program(case.options).stated
    judged = gradient_references(stated, bind(stated, (), inputs).tensors, incoming, wanted)
    verdicts = [judge(f"d{name}", found[name], judged[name], GRADIENT) for name in wanted]
    return [f"{v.output}: error {v.error:.3g}, allowed {v.allowed:.3g}" for v in verdicts if not v.passed]


def _by_autograd(case: Case, inputs: Tensors, wanted: tuple[str, ...], target: str) -> tuple[Tensors, Tensors]:
    leaves = {name: value.detach().requires_grad_(name in wanted) for name, value in inputs.items()}
    outputs = by_kernels(case, leaves)
    incoming = {name: c for name, c in cotangents(outputs, 4).items() if outputs[name].requires_grad}
    given = [outputs[name] for name in incoming], [leaves[name] for name in wanted], list(incoming.values())
    return dict(zip(wanted, torch.autograd.grad(*given, materialize_grads=True), strict=True)), incoming


def _interpreted(case: Case, inputs: Tensors, wanted: tuple[str, ...], target: str) -> tuple[Tensors, Tensors]:
    program, place = case.loaded().program(case.options), find_target(target)
    gradients, bound = backward_for(program, wanted), bind(program.stated, (), inputs)
    held = [name for name in gradients.backward.saved if name not in bound.tensors]
    values, _ = execute(gradients.program, bound, place, held)
    incoming = cotangents({name: values[name] for name in program.explicit.outputs}, 4)
    kept = Bound({**bound.tensors, **{name: values[name] for name in held}}, bound.sizes, bound.device)
    every = again(gradients.program, kept, place, gradients.backward.again)
    found, _ = run_backward(gradients, Bound(every, bound.sizes, bound.device), incoming, place)
    return {name: found[name] for name in wanted}, incoming


def slopes(outputs: Tensors, leaves: Tensors) -> Tensors:
    """The gradients of a weighted sum of the outputs."""
    weights = cotangents({name: value.detach() for name, value in outputs.items()}, 4)
    total = sum(((outputs[name] * weight).sum() for name, weight in weights.items()), torch.zeros(()).double())
    if not total.requires_grad:  # an output of nothing
        return {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    found = torch.autograd.grad(total, list(leaves.values()), materialize_grads=True)
    return dict(zip(leaves, found, strict=True))
