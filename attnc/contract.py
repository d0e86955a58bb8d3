"""The numerics contract: how far a result may lie from the definition. The only place that states it.

r is the float64 oracle on the inputs as given; t the definition evaluated statement by statement in the
output's type (in float32 and rounded where t is not finite or far off); eps the type's rounding unit; S the
largest magnitude among r and the operands of the additions in the output's own statement. A result y passes if

    max|y - r| <= c max|t - r| + a eps S

over the tensor, and the same per row (last axis) with 8 in place of c and of a. Points where r is not finite
must be equal in kind. c = 2 forward, 3 for gradients; a = 4 in float32 and float64, 1 in 16-bit types. For
gradients S is the largest magnitude of r alone; for one that cancels to nothing that of all gradients of the call;
for one with few elements, which sums up the terms of many, that times the root of how many.

A float64 result cannot be told from the oracle's own rounding: there |t - r| is that of float32, scaled by the
ratio of the rounding units.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from attnc.ir.cascade import Cascade, Expr, Map, Read
from attnc.ir.interpret import run

FORWARD, GRADIENT = 2.0, 3.0
ROW = 8.0
EPS = {torch.float64: 2.0**-52, torch.float32: 2.0**-23, torch.float16: 2.0**-10, torch.bfloat16: 2.0**-7}
FLOOR = {torch.float64: 4.0, torch.float32: 4.0, torch.float16: 1.0, torch.bfloat16: 1.0}
FAR = 1 / 16
MANY = 8
NOTHING = 2.0**-40


@dataclass(frozen=True)
class Verdict:
    """Whether an output passes, its largest error and what was allowed, over the tensor and in the worst row."""

    output: str
    passed: bool
    error: float
    allowed: float
    row_ratio: float
    same_kind: bool


@dataclass(frozen=True)
class Reference:
    """What an output is judged by: r, t and S."""

    exact: torch.Tensor
    plain: torch.Tensor
    scale: float


def references(
    cascade: Cascade, inputs: Mapping[str, torch.Tensor], types: Mapping[str, torch.dtype]
) -> dict[str, Reference]:
    """r, t and S of every output of a stated cascade on these inputs; `types` are the outputs' types."""
    operands = {name: _operands(cascade, name) for name in cascade.outputs}
    kept = sorted({tensor for names in operands.values() for tensor in names})
    exact = run(cascade, inputs, keep=kept)
    scales = {name: float(_largest(value)) for name, value in exact.values.items()}
    found, plain = {}, {}
    for name in cascade.outputs:
        dtype = torch.float32 if types[name] == torch.float64 else types[name]
        if dtype not in plain and dtype in EPS:
            plain[dtype] = run(cascade, inputs, dtype=dtype).outputs
        r = exact.outputs[name]
        t = plain[dtype][name].double() if dtype in EPS else r
        if dtype in EPS and says_nothing(t, r):
            t = run(cascade, inputs, dtype=torch.float32).outputs[name].to(dtype).double()
        t = r + (t - r) * (EPS[types[name]] / EPS[dtype]) if types[name] == torch.float64 else t
        found[name] = Reference(r, t, max([float(_largest(r)), *(scales[other] for other in operands[name])]))
    return found


def gradient_references(
    cascade: Cascade, inputs: Mapping[str, torch.Tensor], incoming: Mapping[str, torch.Tensor], wanted: Iterable[str]
) -> dict[str, Reference]:
    """r, t and S of the gradients of the `wanted` inputs, given what comes in at the outputs; S is that of r alone."""
    names = tuple(wanted)
    exact = _gradients(cascade, inputs, incoming, names, torch.float64)
    found: dict[str, Reference] = {}
    for name in names:
        dtype = inputs[name].dtype
        narrow = torch.float32 if dtype == torch.float64 else dtype
        r, t = exact[name], _gradients(cascade, inputs, incoming, names, narrow)[name].double()
        if says_nothing(t, r):
            t = _gradients(cascade, inputs, incoming, names, torch.float32)[name].to(narrow).double()
        t = r + (t - r) * (EPS[dtype] / EPS[narrow]) if dtype == torch.float64 else t
        slack, scale = float(_largest(t - r)), gradient_scale(exact, name)
        found[name] = Reference(
            r, t, scale if scale > slack else slack / EPS[dtype]
        )  # nothing but rounding: as a whole
    return found


def gradient_scale(exact: Mapping[str, torch.Tensor], name: str) -> float:
    """S of a gradient: its own largest magnitude, unless it cancels to nothing or sums up many terms an element.

    What a slope or a table gets is a sum of terms as large as what the other inputs get; their roundings add up as the
    root of their number does. So is what a query gets that sees one key: nothing but rounding is left of it.
    """
    terms = max(item.numel() for item in exact.values()) / max(exact[name].numel(), 1)
    own, every = float(_largest(exact[name])), max(float(_largest(item)) for item in exact.values())
    if terms >= MANY:
        return max(own, math.sqrt(terms) * every)
    return own if own > NOTHING * every else every


def _gradients(
    cascade: Cascade,
    inputs: Mapping[str, torch.Tensor],
    incoming: Mapping[str, torch.Tensor],
    wanted: tuple[str, ...],
    dtype: torch.dtype,
) -> dict[str, torch.Tensor]:
    """The gradients by the definition, statement by statement in a type."""
    leaves = {name: inputs[name].detach().to(dtype).requires_grad_() for name in wanted}
    with torch.enable_grad():
        outputs = run(cascade, {**inputs, **leaves}, dtype=dtype).outputs
    names = [name for name in incoming if outputs[name].requires_grad]
    given = [incoming[name].to(outputs[name].dtype) for name in names]
    tensors = list(leaves.values())
    if not names:
        return {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    found = torch.autograd.grad([outputs[n] for n in names], tensors, given, materialize_grads=True)
    return dict(zip(wanted, found, strict=True))


def says_nothing(t: torch.Tensor, r: torch.Tensor) -> bool:
    """Whether t is not finite, or so far off that being as near to r would mean nothing."""
    finite = torch.isfinite(r)
    off = (t - r)[finite].abs().max() if bool(finite.any()) else torch.tensor(0.0)
    return not (bool(torch.isfinite(off)) and float(off) <= FAR * float(_largest(r)))


def _operands(cascade: Cascade, name: str) -> list[str]:
    """The tensors that the output's own statement adds."""
    tensor = cascade.tensor(name)
    names: list[str] = []

    def visit(expr: Expr) -> None:
        match expr:
            case Map("add" | "sub", (a, b)):
                for item in (a, b):
                    if isinstance(item, Read) and cascade.tensor(item.tensor) is not None:
                        names.append(item.tensor)
                    visit(item)
            case _:
                return

    for part in tensor.parts if tensor is not None else ():
        visit(part.value)
    return names


def _largest(value: torch.Tensor) -> torch.Tensor:
    finite = value[torch.isfinite(value)] if value.is_floating_point() else value.double()
    return finite.abs().max() if finite.numel() else torch.tensor(0.0, dtype=torch.float64)


def judge(name: str, y: torch.Tensor, reference: Reference, factor: float = FORWARD) -> Verdict:
    """Whether a result keeps the contract."""
    if not y.is_floating_point():
        equal = bool((y == reference.exact.to(y.dtype)).all())
        return Verdict(name, equal, float(not equal), 0.0, 0.0, equal)
    r, t, wide = reference.exact.double(), reference.plain.double(), y.double()
    finite = torch.isfinite(r)
    same = bool((torch.where(finite, 0.0, wide.nan_to_num(7.0)) == torch.where(finite, 0.0, r.nan_to_num(7.0))).all())
    error = torch.where(finite, (wide - r).abs(), 0.0)
    slack = torch.where(finite & torch.isfinite(t), (t - r).abs(), 0.0)
    unit = FLOOR[y.dtype] * EPS[y.dtype] * reference.scale
    allowed = factor * float(_most(slack)) + unit
    rows = ROW * (slack.amax(-1) if slack.dim() and slack.numel() else slack) + ROW * unit
    worst = error.amax(-1) if error.dim() and error.numel() else error
    ratio = float(_most(worst / rows.clamp_min(1e-300))) if error.numel() else 0.0
    passed = same and bool(torch.isfinite(wide[finite]).all()) and float(_most(error)) <= allowed and ratio <= 1.0
    return Verdict(name, passed, float(_most(error)), allowed, ratio, same)


def _most(value: torch.Tensor) -> torch.Tensor:
    return value.max() if value.numel() else torch.tensor(0.0, dtype=torch.float64)
