"""`grad(y, x)`: how a value at one point changes with one element of a tensor, through all that lies between.

Whatever depends on a tensor that some derivative is taken by is recorded as it is computed (`Context.recorded`), so
the derivative follows every definition between x and y, recurrences included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import torch

from attnc.ir.cascade import Coord, Grad, Read
from attnc.ir.interpret.context import Context, Eval
from attnc.ir.interpret.reads import element, standing, subscripts
from attnc.ir.interpret.stored import Growing, Stored
from attnc.ir.interpret.value import Array, Value, filled

Derive = Callable[[torch.Tensor], Stored]


def gradient(expr: Grad, context: Context, value_of: Eval) -> Value:
    """The derivative of y with respect to the element x; it exists where x does, absent points of y give 0.

    Before   g[i,e] = grad(y[i], X[i,e])
    After    g[i,e] = (d y[i] / d X)[i,e]               by all of X, for each i apart
             g[i,e] = (d sum[i](y[i]) / d X)[i,e]       for all i together, where y at i depends on X at i alone
    """
    y = value_of(expr.y, context)
    array = filled(Value(Array(y.array.data.to(context.dtype), y.dims), y.when), context.constant(0.0).array)
    together = context.derivatives[expr]
    apart = tuple(dim for dim in array.dims if dim not in together)
    rows = array.over((*apart, *(dim for dim in array.dims if dim in together)))
    x, derive = _element(expr.x, context, value_of)
    places = product(*(range(context.extent(dim)) for dim in apart))
    stored = _over(apart, [derive(rows[place].sum()) for place in places], derive, context)
    found = element(replace(x, subs=(*map(Coord, apart), *x.subs)), stored, context, value_of)
    return Value(found.array, element(expr.x, context.at_hand(expr.x.tensor), context, value_of).when)


def _element(x: Read, context: Context, value_of: Eval) -> tuple[Read, Derive]:
    """The element, and the derivative by the tensor that it is read from: of a recurrence just the position, if any."""
    tensor = context.at_hand(x.tensor)
    if not isinstance(tensor, Growing):
        return x, lambda y: replace(tensor, data=_derivatives(y, [tensor.data], context)[0])
    position = standing(tensor, subscripts(x, context, value_of))
    if position is None:
        slices = [tensor.at(place).data for place in tensor.positions]
        return x, lambda y: tensor.joined(_derivatives(y, slices, context))
    here = tensor.at(position)
    rest = replace(x, subs=x.subs[: tensor.axis] + x.subs[tensor.axis + 1 :])
    return rest, lambda y: replace(here, data=_derivatives(y, [here.data], context)[0])


def _derivatives(y: torch.Tensor, by: list[torch.Tensor], context: Context) -> list[torch.Tensor]:
    """The derivative of a number by each tensor; 0 where it does not depend on it."""
    asked = [tensor for tensor in by if tensor.requires_grad] if y.requires_grad else []
    given = torch.autograd.grad(y, asked, create_graph=True, allow_unused=True) if asked else ()
    found = {id(tensor): item for tensor, item in zip(asked, given, strict=True) if item is not None}
    return [found.get(id(tensor), torch.zeros_like(tensor, dtype=context.dtype)) for tensor in by]


def _over(apart: tuple[str, ...], found: list[Stored], derive: Derive, context: Context) -> Stored:
    """One tensor of derivatives, its first axes the indices that were taken apart."""
    if not apart:
        return found[0]
    like = found[0] if found else derive(torch.zeros((), device=context.device))
    data = torch.stack([item.data for item in found]) if found else like.data.new_zeros((0, *like.data.shape))
    lows = tuple(context.range(dim)[0] for dim in apart)
    shape = [context.extent(dim) for dim in apart]
    return Stored(data.reshape(*shape, *like.data.shape), (*lows, *like.base))
