"""The two kinds of check clause: `gives` compares with literals, `equals` with another attention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from attnc.diagnostics import AttnError, error
from attnc.ir import syntax
from attnc.ir.cascade import Cascade
from attnc.ir.print_expression import capital
from attnc.ir.sizes import whole
from attnc.library import find, parse_source
from attnc.runtime.attention import Attention
from attnc.runtime.check_shapes import EXTENT, shapes
from attnc.runtime.check_values import filled, literal, literal_for, number, place
from attnc.runtime.checks import TOLERANCE, Backend, Tensors, Trial, on_oracle, stated_of
from attnc.runtime.draw import draw

Bound = dict[str, syntax.Expr]


def found_wrong(attention: Attention, check: syntax.Check, backend: Backend) -> str:
    """What a check finds wrong on a backend; empty if it holds."""
    match check.goal:
        case syntax.Gives() as goal:
            return _gives(attention, check, goal, backend)
        case syntax.Equals(call):
            return _equals(attention, check, call, backend)


def bindings(attention: Attention, check: syntax.Check, sizes: Mapping[str, int]) -> tuple[dict[str, Any], Bound]:
    """Options by value, inputs by expression; a length (`L = N`) is an option bound to a size."""
    options: dict[str, Any] = {}
    inputs: Bound = {}
    for item in check.binds:
        name = item.target.name if isinstance(item.target, syntax.Name) else item.target.span.text
        if name in attention.signature.options:
            options[name] = number(item.value, _extents(sizes))
        elif name in attention.signature.inputs:
            inputs[name] = item.value
        else:
            what = f"`{name}` is no input or option of `{attention.signature.name}`"
            raise error("A632", what, item.span, "bound here")
    return options, inputs


def _extents(sizes: Mapping[str, int]) -> dict[str, int]:
    return {capital(index): extent for index, extent in sizes.items()}


def given(cascade: Cascade, bound: Bound, sizes: Mapping[str, int]) -> Tensors:
    """The bound inputs as tensors: literals fix extents, scalars and expressions fill what is fixed."""
    extents, tensors = dict(sizes), Tensors()
    for item in cascade.inputs:
        if isinstance(bound.get(item.name), syntax.List):
            tensors[item.name] = literal_for(item, bound[item.name])
            for index, extent in zip(item.indices, tensors[item.name].shape, strict=True):
                extents.setdefault(index, extent)
    every = {item.index: extents.get(item.index, 1) for item in cascade.ranges}
    for item in cascade.inputs:
        if item.name in bound and item.name not in tensors:
            axes = [cascade.range(index) for index in item.indices]
            spans = [range(whole(axis.lo, every), whole(axis.lo, every) + every[axis.index]) for axis in axes]
            tensors[item.name] = filled(item, bound[item.name], spans, every, dict(cascade.options))
    return tensors


# ---- gives -----------------------------------------------------------------------------------


def _gives(attention: Attention, check: syntax.Check, goal: syntax.Gives, backend: Backend) -> str:
    options, bound = bindings(attention, check, _literal_extents(attention, check))
    cascade = stated_of(attention, options)
    trial = Trial(attention, backend, options, _completed(cascade, given(cascade, bound, {})))
    values = trial.values()
    within = TOLERANCE if goal.within is None else goal.within
    for item in goal.binds:
        name, at = place(item.target)
        tensor = cascade.tensor(name)
        if tensor is None or len(at) > len(tensor.axes):
            what = f"`{name}` is no tensor of `{cascade.name}`" if tensor is None else f"`{name}` has fewer axes"
            raise error("A632", what, item.span, "given here")
        if name not in values:
            continue  # an intermediate, which only the oracle has
        if any(isinstance(i, int) and not 0 <= i < n for i, n in zip(at, values[name].shape, strict=False)):
            return f"{name} has shape {list(values[name].shape)}, and {item.target.span.text} lies outside"
        found = trial.wrong(values, name, literal(item.value), within, at)
        if found:
            return found
    return ""


def _completed(cascade: Cascade, inputs: Tensors) -> Tensors:
    """The inputs with those that a clause leaves open drawn: its numbers must not depend on them."""
    sizes = {index: EXTENT for item in cascade.inputs if item.name not in inputs for index in item.indices}
    for item in cascade.inputs:
        if item.name in inputs:
            sizes |= dict(zip(item.indices, inputs[item.name].shape, strict=True))
    return draw(cascade, sizes, inputs, torch.float64, seed=11)


# ---- equals ----------------------------------------------------------------------------------


def _equals(attention: Attention, check: syntax.Check, call: syntax.Expr, backend: Backend) -> str:
    other, arguments, settings = _called(attention, call)
    tried = False
    for sizes, cascade in shapes(
        _indices(attention), lambda at: stated_of(attention, bindings(attention, check, at)[0])
    ):
        tried = True
        options, bound = bindings(attention, check, sizes)
        inputs = draw(cascade, sizes, given(cascade, bound, sizes), torch.float64, seed=7, also=arguments.values())
        trial = Trial(attention, backend, options, inputs)
        theirs = {name: number(value, _extents(sizes)) for name, value in settings.items()}
        right = on_oracle(other, theirs, {name: trial.inputs[own] for name, own in arguments.items()})
        found = _differ(trial, right, other)
        if found:
            return f"at {', '.join(f'{capital(i)} = {n}' for i, n in sizes.items())}: {found}"
    return "" if tried else "no extents were found at which what the spec requires holds"


def _differ(trial: Trial, right: Tensors, other: Attention) -> str:
    values = trial.values()
    for name, its in zip(trial.attention.signature.outputs, other.signature.outputs, strict=False):
        scale = float(right[its].double().abs().nan_to_num(0.0, 0.0).max()) if right[its].numel() else 0.0
        found = trial.wrong(values, name, right[its], TOLERANCE * max(1.0, scale))
        if found:
            return f"{found}, compared with `{other.signature.name}`"
    return ""


def _called(attention: Attention, call: syntax.Expr) -> tuple[Attention, dict[str, str], dict[str, syntax.Expr]]:
    """The attention that a clause calls, which of our inputs each of its inputs is, and its options."""
    if not isinstance(call, syntax.Apply) or not isinstance(call.f, syntax.Name):
        raise error("A633", "`equals` wants a call of an attention", call.span, "this is none")
    other = _other(attention, call.f)
    if len(call.args) > len(other.signature.inputs):
        raise _wrong_call(call, f"`{call.f.name}` takes {len(other.signature.inputs)} inputs")
    named = dict(zip(other.signature.inputs, call.args, strict=False))
    settings: dict[str, syntax.Expr] = {}
    for item in call.extras:
        if isinstance(item, syntax.Keyword) and item.name in other.signature.options:
            settings[item.name] = item.value
        elif isinstance(item, syntax.Keyword) and item.name in other.signature.inputs:
            named[item.name] = item.value
        else:
            raise _wrong_call(item, f"`{call.f.name}` has no such input or option")
    own = attention.signature.inputs
    for value in named.values():
        if not isinstance(value, syntax.Name) or value.name not in own:
            raise _wrong_call(value, f"this is no input of `{attention.signature.name}`")
    return other, {name: value.name for name, value in named.items() if isinstance(value, syntax.Name)}, settings


def _wrong_call(at: Any, what: str) -> AttnError:
    notes = ("`equals` calls an attention of this file or of `std.attention` with inputs by their names",)
    return error("A633", what, at.span, "here", notes=notes)


def _other(attention: Attention, name: syntax.Name) -> Attention:
    own = [item.name for item in parse_source(attention.spec.source).definitions if isinstance(item, syntax.Attention)]
    try:
        spec = replace(attention.spec, name=name.name) if name.name in own else find(f"std:{name.name}")
        return Attention(spec, lazy=True)
    except AttnError as mistake:
        raise _wrong_call(name, mistake.diagnostics[0].message) from None


def _params(attention: Attention) -> tuple[syntax.Param, ...]:
    definitions = parse_source(attention.spec.source).definitions
    own = attention.signature.name
    return next(d.params for d in definitions if isinstance(d, syntax.Attention) and d.name == own)


def _indices(attention: Attention) -> list[str]:
    return list(dict.fromkeys(index for param in _params(attention) for index in param.indices or ()))


def _literal_extents(attention: Attention, check: syntax.Check) -> dict[str, int]:
    """The extents that the literal inputs of a check fix; missing leading axes have length 1."""
    literals = {item.target.span.text: item.value for item in check.binds if isinstance(item.value, syntax.List)}
    extents: dict[str, int] = {}
    for param in _params(attention):
        if param.name in literals and param.indices:
            shape = tuple(literal(literals[param.name]).shape)
            full = (1,) * (len(param.indices) - len(shape)) + shape
            extents |= dict(zip(param.indices, full, strict=False))
    return extents
