"""A definition computed as one would write it in PyTorch: einsum, softmax and masked_fill on whole tensors.

The oracle keeps rules of the language for which such code has no time: 0 / 0 is 0, a row without a key sums to 0.
Here PyTorch's own functions are taken as they are, statement by statement, in the inputs' type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

import torch

from attnc.ir.cascade import Cascade, Const, Coord, Expr, Grad, Map, Read, Reduce, Softmax, Step, Uniform, Where
from attnc.ir.dependence import read_names
from attnc.ir.indices import free_indices
from attnc.ir.interpret import run
from attnc.ir.interpret.context import Context
from attnc.ir.interpret.expressions import evaluated
from attnc.ir.interpret.folds import contracted
from attnc.ir.interpret.maps import promoted
from attnc.ir.interpret.parts import bounds, define, part_value
from attnc.ir.interpret.recurrence import run_recurrence
from attnc.ir.interpret.reductions import factors_of, split
from attnc.ir.interpret.store import kind_of, presented, spread, stored_input
from attnc.ir.interpret.stored import Condition, Stored
from attnc.ir.interpret.value import Array, Value, merged, pointwise, total, union
from attnc.ir.node import Node
from attnc.ir.sizes import whole
from attnc.ir.walk import children, walk

Tensors = Mapping[str, torch.Tensor]
AT_ONCE = 4
"""Tensors as large as the largest that stand side by side while a statement is computed."""


def plain(cascade: Cascade, inputs: Tensors, sizes: Mapping[str, int], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The outputs of a stated cascade; one that takes derivatives is left to the oracle, in the type."""
    if any(isinstance(node, Grad) for node in walk(cascade)):
        return run(cascade, inputs, dtype, sizes).outputs
    device = next(iter(inputs.values())).device
    context = Context(cascade, sizes, dtype, device, {})
    for item in cascade.inputs:
        context.tensors[item.name] = stored_input(item, inputs.get(item.name), context, value_of)
    last = {name: place for place, step in enumerate(cascade.steps) for name in _touched(step, cascade)}
    for place, step in enumerate(cascade.steps):
        if step.axes:
            run_recurrence(step, context, value_of)
        else:
            context.tensors.update({name: _defined(name, context) for name in step.tensors})
        for name in [name for name in context.tensors if last.get(name, place) <= place]:
            if name not in cascade.outputs:
                del context.tensors[name]
    return {name: presented(name, context) for name in cascade.outputs}


def _touched(step: Step, cascade: Cascade) -> Iterator[str]:
    """The tensors that a step makes or reads."""
    for name in step.tensors:
        yield name
        yield from read_names(cascade.tensor(name) or cascade)


def _defined(name: str, context: Context) -> Stored:
    """A tensor in memory: its value as it is, unless it stands in parts."""
    tensor = context.cascade.tensor(name)
    assert tensor is not None
    base, shape = bounds(tensor, context)
    indices = [sub.index for sub in tensor.parts[0].left if isinstance(sub, Coord)]
    whole_axes = [(lo, lo + extent) for lo, extent in zip(base, shape, strict=True)]
    if len(tensor.parts) > 1 or [context.range(index) for index in indices] != whole_axes:
        return define(tensor, context, value_of)
    value = part_value(tensor.parts[0], context, value_of)
    data = spread(value.array, indices, context).to(kind_of(tensor.type, context))
    return Stored(data, base, tuple(_condition(test, indices) for test in value.when))


def _condition(test: Array, indices: list[str]) -> Condition:
    axes = tuple(axis for axis, index in enumerate(indices) if index in test.dims)
    return test.over([indices[axis] for axis in axes]), axes


def value_of(expr: Expr, context: Context) -> Value:
    """The value of an expression by PyTorch's own functions where it has one."""
    match expr:
        case Softmax(over) if not set(over) & context.fixed.keys():
            return _softmax(expr, context)
        case Reduce("logsumexp", over, body) if not set(over) & context.fixed.keys():
            return _logsumexp(over, value_of(body, context), context)
        case Reduce("sum", over) if not set(over) & context.fixed.keys():
            return _product(expr, context) or evaluated(expr, context, value_of)
        case Map("ge", (Uniform(), Const(bound))) if bound <= 0:  # nobody draws numbers to drop nothing
            return context.constant(True)
        case Map("div", (a, b)):
            x, y = promoted([value_of(a, context), value_of(b, context)], context, real=True)
            return Value(pointwise(torch.div, x.array, y.array), union(x, y))
        case _:
            return evaluated(expr, context, value_of)


def _softmax(expr: Softmax, context: Context) -> Value:
    """Weights, which are 0 where there is no score."""
    (value,) = promoted([value_of(expr.body, context)], context, real=True)
    scores, seen, _ = _masked(expr.over, value, context)
    weights = torch.softmax(scores.data, -1)
    if seen is not None and bool((empty := ~seen.any(-1, keepdim=True)).any()):
        weights.masked_fill_(empty, 0.0)
    extents = [context.extent(index) for index in expr.over]
    return Value(Array(weights.reshape(*weights.shape[:-1], *extents), (*scores.dims[:-1], *expr.over)), value.when)


def _logsumexp(over: tuple[str, ...], value: Value, context: Context) -> Value:
    (value,) = promoted([value], context, real=True)
    scores, _, outer = _masked(over, value, context)
    return Value(Array(torch.logsumexp(scores.data, -1), scores.dims[:-1]), outer)


def _masked(
    over: tuple[str, ...], value: Value, context: Context
) -> tuple[Array, torch.Tensor | None, tuple[Array, ...]]:
    """Scores with the axes `over` as one last axis, -inf where there are none; what is seen; conditions on the rest."""
    mask, outer = split(value.when, over)
    dims = tuple(dim for dim in merged(value.dims, mask.dims if mask else ()) if dim not in over)
    full, extents = (*dims, *over), [context.extent(index) for index in over]
    seen = None if mask is None else _flat(mask.over(full), extents)
    data = _flat(value.array.over(full), extents)
    return Array(data if seen is None else data.masked_fill(~seen, -torch.inf), (*dims, "")), seen, outer


def _flat(data: torch.Tensor, extents: list[int]) -> torch.Tensor:
    """The last axes, of these extents, as one."""
    first = data.shape[: data.dim() - len(extents)]
    return data.expand(*first, *extents).flatten(len(first))


def _product(expr: Reduce, context: Context) -> Value | None:
    """A sum of a product as one einsum; weights need no mask, being 0 where nothing is seen."""
    factors, conditions = _opened(expr)
    if len(factors) < 2 or not all(context.extent(index) for index in expr.over):
        return None
    values = [_weights(item, value_of(item, context), expr.over, context) for item in factors]
    tests = (total(value_of(test, context)) for test in conditions)
    mask, outer = split((*union(*values), *tests), expr.over)
    found = contracted([value.array for value in values], expr.over, mask)
    return None if found is None else Value(found, outer)


def _weights(item: Expr, value: Value, over: tuple[str, ...], context: Context) -> Value:
    tensor = context.cascade.tensor(item.tensor) if isinstance(item, Read) and item.part is None else None
    made = item if isinstance(item, Softmax) else tensor.parts[0].value if tensor and len(tensor.parts) == 1 else None
    return Value(value.array, split(value.when, over)[1]) if isinstance(made, Softmax) else value


# ---- memory -------------------------------------------------------------------------------------


def needed_bytes(cascade: Cascade, sizes: Mapping[str, int], itemsize: int = 4) -> int:
    """About as many bytes as computing the outputs this way takes at its peak."""
    extents = {item.index: max(0, whole(item.hi, sizes) - whole(item.lo, sizes)) for item in cascade.ranges}
    values = (node for tensor in cascade.tensors for part in tensor.parts for node in _computed(part.value))
    largest = max((prod(extents[index] for index in free_indices(node)) for node in values), default=0)
    return AT_ONCE * itemsize * largest


def _computed(expr: Node) -> Iterator[Node]:
    """The expressions that are computed as tensors: of a sum of products its factors only."""
    yield expr
    factors, conditions = _opened(expr) if isinstance(expr, Reduce) and expr.op == "sum" else ([], [])
    for item in (*factors, *conditions) if len(factors) > 1 else children(expr):
        yield from _computed(item)


def _opened(expr: Reduce) -> tuple[list[Expr], list[Expr]]:
    """The factors that a sum is of, and the conditions under which it is."""
    body, conditions = expr.body, list(expr.when)
    while isinstance(body, Where):
        conditions.append(body.test)
        body = body.x
    return factors_of(body), conditions
