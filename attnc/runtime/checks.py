"""An attention's `check` clauses, on the oracle and on the compiled kernels.

The oracle is held to a clause in float64. A kernel is held to it by the numerics contract, with what the clause
says in the place of the exact value, or by the clause's own `within` where that is wider.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import torch

from attnc.contract import judge, references
from attnc.ir import syntax
from attnc.ir.cascade import Cascade
from attnc.ir.interpret import run
from attnc.library import Library, Spec, parse_source
from attnc.runtime.attention import Attention
from attnc.runtime.bind import bind

Tensors: TypeAlias = dict[str, torch.Tensor]
Backend: TypeAlias = Literal["oracle", "kernels"]
TOLERANCE = 1e-9


@dataclass(frozen=True)
class CheckResult:
    """One check on one backend: whether it holds, and what was found if not."""

    name: str
    backend: Backend
    passed: bool
    message: str = ""


def run_checks(spec: Spec, name: str, backend: Backend) -> list[CheckResult]:
    """The results of an attention's checks on one backend, in their order."""
    attention = Attention(replace(spec, name=name), lazy=True)
    return [run_check(attention, check, backend) for check in checks_of(spec, name)]


def run_check(attention: Attention, check: syntax.Check, backend: Backend) -> CheckResult:
    """The result of one check on one backend."""
    from attnc.runtime.check_clauses import found_wrong

    found = found_wrong(attention, check, backend)
    return CheckResult(check.name, backend, not found, found)


def checks_of(spec: Spec, name: str) -> list[syntax.Check]:
    """The check clauses of an attention."""
    definitions = parse_source(spec.source).definitions
    own = next(item for item in definitions if isinstance(item, syntax.Attention) and item.name == name)
    return [item for item in own.body if isinstance(item, syntax.Check)]


def stated_of(attention: Attention, options: Mapping[str, Any]) -> Cascade:
    """The attention's definition; the oracle needs no plan."""
    from attnc import compiler

    spec = replace(attention.spec_for(options), name=attention.signature.name)
    return compiler.stated(spec, options, Library(spec.folder))


def on_oracle(attention: Attention, options: Mapping[str, Any], inputs: Tensors) -> Tensors:
    """Every tensor of the program by the definition, in float64."""
    cascade = stated_of(attention, options)
    bound = bind(cascade, (), {name: t.double() if t.is_floating_point() else t for name, t in inputs.items()})
    return run(cascade, bound.tensors, sizes=bound.sizes, keep=[tensor.name for tensor in cascade.tensors]).values


def on_kernels(attention: Attention, options: Mapping[str, Any], inputs: Tensors) -> Tensors:
    """The outputs by the compiled program."""
    with torch.no_grad():
        results = attention(**inputs, **options)
    names = attention.signature.outputs
    return dict(zip(names, results if len(names) > 1 else [results], strict=True))


@dataclass(frozen=True)
class Trial:
    """One evaluation of an attention for a check: on the oracle in float64, by kernels in float32."""

    attention: Attention
    backend: Backend
    options: Mapping[str, Any]
    given: Tensors

    @property
    def inputs(self) -> Tensors:
        """The inputs in the precision of the backend."""
        narrow = self.backend == "kernels"
        return {n: t.float() if narrow and t.is_floating_point() else t for n, t in self.given.items()}

    def values(self) -> Tensors:
        """The tensors that this backend has: all of them, or the outputs."""
        return (on_oracle if self.backend == "oracle" else on_kernels)(self.attention, self.options, self.inputs)

    def wrong(self, values: Tensors, name: str, wanted: torch.Tensor, within: float, at: tuple[Any, ...] = ()) -> str:
        """How a tensor, or a part of it, differs from what is wanted; empty if it does not."""
        actual = values[name][at]
        if wanted.dim() < actual.dim():
            wanted = wanted.reshape((1,) * (actual.dim() - wanted.dim()) + tuple(wanted.shape))
        if wanted.shape != actual.shape:
            return f"{name} has shape {list(actual.shape)}, and {list(wanted.shape)} is expected"
        gap = _largest(torch.where(actual.double() == wanted.double(), 0.0, actual.double() - wanted.double()))
        if gap <= within:
            return ""
        if self.backend == "oracle" or not actual.is_floating_point():
            return f"{name} is off by {gap:.3g}, allowed {within:.3g}"
        cascade = stated_of(self.attention, self.options)
        found = references(cascade, self.inputs, {output: tensor.dtype for output, tensor in values.items()})[name]
        plain = wanted + (found.plain - found.exact)[at]  # as far from it as the definition in float32 is
        verdict = judge(name, actual, replace(found, exact=wanted.double(), plain=plain))
        return "" if verdict.passed else f"{name} is off by {gap:.3g}, allowed {max(within, verdict.allowed):.3g}"


def _largest(value: torch.Tensor) -> float:
    """The largest magnitude; NaN counts as infinite."""
    return float(value.abs().nan_to_num(float("inf")).max()) if value.numel() else 0.0
