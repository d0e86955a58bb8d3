"""Recurrences: whether a state exists is itself a recurrence, a boolean one beside the values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from attnc.ir.cascade import Part, Read, Step, Tensor
from attnc.ir.indices import free_indices
from attnc.passes.expand.site import Expansion
from attnc.passes.simplify import conjunction


def expand_recurrence(state: Expansion, step: Step, expanded: Callable[[Expansion, str], Tensor]) -> None:
    """The tensors of one recurrence; where one of them can be absent, a witness tells at which points.

    Before   T[0] = a;  T[i+1] = g[i] * T[i], g existing when p(i)
    After    T_exists[0] = true;  T_exists[i+1] = p(i) and T_exists[i];  T when T_exists
    Holds    because an absent operand makes a product absent. Existence is well-founded as the values are;
             so if no condition is left once all of T is taken to exist, all of T exists.
    """
    state.cycle = frozenset(step.tensors)
    tensors = {name: expanded(state, name) for name in step.tensors}
    while _witnesses_grow(state, step, tensors):
        tensors = {name: expanded(state, name) for name in step.tensors}
    made, axes, lags = [], [], []
    for name, position, lag in zip(step.tensors, step.axes, step.lags, strict=True):
        if name in state.witnesses:
            witness, tensors[name] = _witnessed(state, tensors[name])
            made.append(witness)
            axes.append(state.witnesses[name][1].index(position))
            lags.append(lag)
        made.append(tensors[name])
        axes.append(position)
        lags.append(lag)
    for tensor in made:
        state.add(tensor, None)
    names = tuple(tensor.name for tensor in made)
    state.steps.append(replace(step, tensors=names, axes=tuple(axes), lags=tuple(lags)))
    state.cycle, state.witnesses = frozenset(), {}


def _witnesses_grow(state: Expansion, step: Step, tensors: dict[str, Tensor]) -> bool:
    """Whether a tensor turned out to be absent along an axis that its witness does not have yet."""
    grown = False
    for name, position in zip(step.tensors, step.axes, strict=True):
        parts = tensors[name].parts
        if not any(part.when for part in parts):
            continue
        old_name, old = state.witnesses.get(name, (None, ()))
        axes = tuple(sorted({*old, position, *_differing(parts), *_mentioned(parts)}))
        if axes == old:
            continue
        witness = old_name or state.fresh(f"{name}_exists")
        state.types[witness] = "bool"
        state.witnesses[name] = (witness, axes)
        grown = True
    return grown


def _differing(parts: tuple[Part, ...]) -> set[int]:
    width = len(parts[0].left)
    return {axis for axis in range(width) if len({part.left[axis] for part in parts}) > 1}


def _mentioned(parts: tuple[Part, ...]) -> set[int]:
    found = set[int]()
    for part in parts:
        mentioned = frozenset[str]().union(*(free_indices(test) for test in part.when))
        found |= {axis for axis, sub in enumerate(part.left) if free_indices(sub) & mentioned}
    return found


def _witnessed(state: Expansion, tensor: Tensor) -> tuple[Tensor, Tensor]:
    """The boolean tensor of where this one exists, and this one under it."""
    name, axes = state.witnesses[tensor.name]
    tests, values = [], []
    for part in tensor.parts:
        left = tuple(part.left[axis] for axis in axes)
        mentioned = frozenset[str]().union(*(free_indices(sub) for sub in left))
        indices = tuple(index for index in part.indices if index in mentioned)
        tests.append(Part(name, left, indices, conjunction(part.when), span=part.span))
        values.append(replace(part, when=(Read(name, left),)))
    kept = tuple(tensor.axes[axis] for axis in axes)
    return Tensor(name, kept, "bool", tuple(tests), span=tensor.span), replace(tensor, parts=tuple(values))
