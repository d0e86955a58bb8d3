"""An attention's `check` clauses, on the oracle and on the compiled kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from attnc.diagnostics import error
from attnc.ir import syntax
from attnc.ir.cascade import Cascade, Const, Input
from attnc.ir.interpret import run
from attnc.ir.sizes import evaluate
from attnc.library import Library, Spec, find, parse_source
from attnc.runtime.attention import Attention
from attnc.runtime.draw import draw

Inputs = dict[str, torch.Tensor]
Evaluate = Callable[[Attention, dict[str, Any], Inputs], dict[str, torch.Tensor]]
SHAPES: tuple[dict[str, int], ...] = (
    {},
    {"m": 1},
    {"m": 7, "n": 7},
    {"m": 3, "n": 10},
    {"b": 1, "h": 1, "m": 12, "n": 12},
)
EXTENT = 4
TOLERANCE = 1e-9
KERNEL_TOLERANCE = 2e-4  # worked numbers carry four digits or more; the contract judges kernels, this finds blunders


@dataclass(frozen=True)
class CheckResult:
    """One check on one backend: whether it holds, and what was found if not."""

    name: str
    backend: str
    passed: bool
    message: str = ""


def check_rows(spec: Spec, name: str, oracle_only: bool) -> list[dict[str, Any]]:
    """Every check of an attention as rows for the command line."""
    results = run_checks(spec, name, on_oracle, "oracle")
    if not oracle_only:
        results += run_checks(spec, name, on_kernels, "kernels")
    return [{"name": r.name, "backend": r.backend, "passed": r.passed, "message": r.message} for r in results]


def run_checks(spec: Spec, name: str, evaluate_on: Evaluate, backend: str) -> list[CheckResult]:
    """The results of an attention's checks on one backend, in their order."""
    file = parse_source(spec.source)
    attention = next(d for d in file.definitions if isinstance(d, syntax.Attention) and d.name == name)
    checks = [item for item in attention.body if isinstance(item, syntax.Check)]
    return [_Run(spec, name, check, evaluate_on, backend).result() for check in checks]


def on_oracle(attention: Attention, options: dict[str, Any], inputs: Inputs) -> dict[str, torch.Tensor]:
    """Every tensor of the program by the definition, in float64."""
    cascade = stated_of(attention, options)
    wide = {name: t.double() if t.is_floating_point() else t for name, t in inputs.items()}
    kept = [tensor.name for tensor in cascade.tensors]
    return run(cascade, wide, keep=kept).values


def stated_of(attention: Attention, options: Mapping[str, Any]) -> Cascade:
    """The attention's definition; the oracle needs no plan."""
    from attnc import compiler

    spec = Spec(attention.spec.source, attention.signature.name, attention.spec.folder)
    return compiler.stated(spec, options, Library(spec.folder))


def _completed(cascade: Cascade, inputs: Inputs) -> Inputs:
    """The inputs of a `gives` check with those that it leaves open drawn: its numbers must not depend on them."""
    sizes = {index: EXTENT for item in cascade.inputs if item.name not in inputs for index in item.indices}
    for item in cascade.inputs:
        if item.name in inputs:
            sizes |= dict(zip(item.indices, inputs[item.name].shape, strict=True))
    return draw(cascade, sizes, inputs, torch.float64, seed=11)


def on_kernels(attention: Attention, options: dict[str, Any], inputs: Inputs) -> dict[str, torch.Tensor]:
    """The outputs by the compiled program, in float32."""
    narrow = {name: t.float() if t.is_floating_point() else t for name, t in inputs.items()}
    with torch.no_grad():
        results = attention(**narrow, **options)
    names = attention.signature.outputs
    return dict(zip(names, results if len(names) > 1 else [results], strict=True))


@dataclass
class _Run:
    spec: Spec
    name: str
    check: syntax.Check
    evaluate_on: Evaluate
    backend: str

    def result(self) -> CheckResult:
        goal = self.check.goal
        attention = Attention(Spec(self.spec.source, self.name, self.spec.folder), lazy=True)
        found = self._gives(attention, goal) if isinstance(goal, syntax.Gives) else self._equals(attention, goal)
        return CheckResult(self.check.name, self.backend, not found, found)

    # ---- gives -----------------------------------------------------------------------------

    def _gives(self, attention: Attention, goal: syntax.Gives) -> str:
        options, bound = self._bindings(attention, {})
        cascade = stated_of(attention, options)
        inputs = _completed(cascade, _literals(cascade, bound, options))
        values = self.evaluate_on(attention, options, inputs)
        within = goal.within if goal.within is not None else TOLERANCE
        within = within if self.backend == "oracle" else max(within, KERNEL_TOLERANCE)
        for bind in goal.binds:
            name, at = _target(bind.target)
            if name not in values:
                continue  # an intermediate, which only the oracle has
            actual = values[name][at].double()
            wanted = _literal(bind.value).double()
            wanted = wanted.reshape((1,) * (actual.dim() - wanted.dim()) + tuple(wanted.shape))
            if wanted.shape != actual.shape:
                return f"{name} has shape {tuple(actual.shape)}, the check gives {tuple(wanted.shape)}"
            gap = float((actual - wanted).abs().max()) if actual.numel() else 0.0
            if not gap <= within:
                return f"{name} is off by {gap:.3g}, allowed {within:.3g}"
        return ""

    def _bindings(
        self, attention: Attention, sizes: Mapping[str, int]
    ) -> tuple[dict[str, Any], dict[str, syntax.Expr]]:
        """Options by value, inputs by expression; a length (`L = N`) is an option bound to a size."""
        options: dict[str, Any] = {}
        inputs: dict[str, syntax.Expr] = {}
        for bind in self.check.binds:
            name = bind.target.name if isinstance(bind.target, syntax.Name) else ""
            if name in attention.signature.options:
                options[name] = _number(bind.value, sizes)
            elif name in attention.signature.inputs:
                inputs[name] = bind.value
            else:
                raise error("A632", f"`{name}` is no input or option of `{self.name}`", bind.span, "bound here")
        return options, inputs

    # ---- equals ----------------------------------------------------------------------------

    def _equals(self, attention: Attention, goal: syntax.Equals) -> str:
        for shape in SHAPES:
            found = self._equal_at(attention, goal, shape)
            if found:
                return f"at {shape or 'the usual extents'}: {found}"
        return ""

    def _equal_at(self, attention: Attention, goal: syntax.Equals, shape: Mapping[str, int]) -> str:
        first = attention.signature
        everything = {
            index: shape.get(index, 2 if index in "bhg" else EXTENT) for index in _indices(self.spec, self.name)
        }
        options, bound = self._bindings(attention, everything)
        cascade = stated_of(attention, options)
        if not all(evaluate(need.test, everything) for need in cascade.requires):
            return ""
        given = _literals(cascade, bound, options, everything)
        inputs = draw(cascade, everything, given, torch.float64, seed=7)
        call = goal.call
        if not isinstance(call, syntax.Apply) or not isinstance(call.f, syntax.Name):
            raise error("A633", "`equals` wants a call", call.span, "here")
        other = self._other(call.f.name)
        arguments = {
            n: inputs[arg.name]
            for n, arg in zip(other.signature.inputs, call.args, strict=False)
            if isinstance(arg, syntax.Name) and arg.name in inputs
        }
        settings = {k.name: _number(k.value, everything) for k in call.extras if isinstance(k, syntax.Keyword)}
        left = self.evaluate_on(attention, options, inputs)
        right = on_oracle(other, settings, arguments)
        for name, its in zip(first.outputs, other.signature.outputs, strict=False):
            actual, wanted = left[name].double(), right[its].double()
            if actual.shape != wanted.shape:
                return f"{name} has shape {tuple(actual.shape)}, {its} has {tuple(wanted.shape)}"
            scale = max(1.0, float(wanted.abs().max())) if wanted.numel() else 1.0
            gap = float((actual - wanted).abs().max()) if wanted.numel() else 0.0
            if not gap <= scale * (TOLERANCE if self.backend == "oracle" else KERNEL_TOLERANCE):
                return f"{name} differs from {its} by {gap:.3g}"
        return ""

    def _other(self, name: str) -> Attention:
        own = [d.name for d in parse_source(self.spec.source).definitions if isinstance(d, syntax.Attention)]
        if name in own:
            return Attention(Spec(self.spec.source, name, self.spec.folder), lazy=True)
        return Attention(find(f"std:{name}"), lazy=True)


def _indices(spec: Spec, name: str) -> list[str]:
    file = parse_source(spec.source)
    attention = next(d for d in file.definitions if isinstance(d, syntax.Attention) and d.name == name)
    return list(dict.fromkeys(index for param in attention.params for index in param.indices or ()))


def _literals(
    cascade: Cascade,
    bound: Mapping[str, syntax.Expr],
    options: Mapping[str, Any],
    sizes: Mapping[str, int] | None = None,
) -> Inputs:
    """The bound inputs as tensors: literals with missing leading axes of length 1, scalars and expressions filled."""
    extents = dict(sizes or {})
    tensors: Inputs = {}
    later: dict[str, Input] = {}
    for name, value in bound.items():
        item = cascade.input(name)
        assert item is not None
        if isinstance(value, syntax.List):
            tensor = _literal(value)
            tensor = tensor.reshape((1,) * (len(item.indices) - tensor.dim()) + tuple(tensor.shape))
            tensors[name] = tensor if item.type != "real" else tensor.double()
            for index, extent in zip(item.indices, tensor.shape, strict=True):
                extents.setdefault(index, extent)
        else:
            later[name] = item
    for name, item in later.items():
        tensors[name] = _filled(cascade, item, bound[name], extents)
    return tensors


def _filled(cascade: Cascade, item: Input, value: syntax.Expr, extents: Mapping[str, int]) -> torch.Tensor:
    """An expression over an input's own indices and sizes, evaluated at every point."""
    from attnc.ir.cascade import Coord, Part, Step, Tensor
    from attnc.passes.names.expressions import Resolver
    from attnc.passes.names.scope import Scope

    scope = Scope({}, ranges={r.index: r for r in cascade.ranges}, constants={n: Const(v) for n, v in cascade.options})
    resolved = Resolver(scope).of(value)
    left = tuple(Coord(index) for index in item.indices)
    ranges = [cascade.range(index) for index in item.indices]
    tensor = Tensor(
        item.name, tuple((r.lo, r.hi) for r in ranges), item.type, (Part(item.name, left, item.indices, resolved),)
    )
    asked = Cascade("fill", (), cascade.options, cascade.ranges, (tensor,), (Step((item.name,)),), (item.name,))
    sizes = {index: extents.get(index, 1) for index in (r.index for r in cascade.ranges)}
    return run(asked, {}, sizes=sizes).outputs[item.name]


def _target(target: syntax.Expr) -> tuple[str, tuple[Any, ...]]:
    """A named tensor, or a part of it: `W[0,0,4,:]`."""
    if isinstance(target, syntax.At) and isinstance(target.x, syntax.Name):
        return target.x.name, tuple(slice(None) if isinstance(s, syntax.All) else _number(s, {}) for s in target.subs)  # type: ignore[arg-type]
    assert isinstance(target, syntax.Name)
    return target.name, ()


def _literal(value: syntax.Expr) -> torch.Tensor:
    numbers = _nested(value)
    tensor = torch.tensor(numbers)
    return torch.tensor(numbers, dtype=torch.float64) if tensor.is_floating_point() else tensor


def _nested(value: syntax.Expr) -> Any:
    return [_nested(item) for item in value.items] if isinstance(value, syntax.List) else _number(value, {})


def _number(value: syntax.Expr, sizes: Mapping[str, int]) -> Any:
    """A constant, or an expression of the extents of the check's inputs."""
    from attnc.ir.cascade import Range, Size
    from attnc.passes.names.expressions import Resolver
    from attnc.passes.names.scope import Scope

    ranges = {index: Range(index, Const(0), Size(index)) for index in sizes}
    return evaluate(Resolver(Scope({}, ranges=ranges)).of(value), sizes)
