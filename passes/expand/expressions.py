"""Stated expressions as explicit ones: a value, and the conditions under which it exists."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from attnc.ir.cascade import (
    Choose,
    Const,
    Coord,
    Default,
    Exists,
    Expr,
    Grad,
    Map,
    Order,
    Read,
    Reduce,
    Size,
    Softmax,
    Uniform,
    Var,
    Where,
)
from attnc.ir.operators import COMPARISONS
from attnc.ir.walk import walk
from attnc.passes.expand import reductions
from attnc.passes.expand.parts import existence
from attnc.passes.expand.site import Expansion, Site, Valued, named
from attnc.passes.simplify import conjunction, disjunction, negation


def expanded(state: Expansion, site: Site, expr: Expr, top: bool = False) -> Valued:
    """The value and the conditions of an expression; at the `top` of a statement a reduction stays there."""
    item = _expanded(state, site, expr, top)
    return item if item.value.span is expr.span else Valued(replace(item.value, span=expr.span), item.when)


def _expanded(state: Expansion, site: Site, expr: Expr, top: bool) -> Valued:
    match expr:
        case Const() | Size() | Coord() | Var():
            return Valued(expr)
        case Read():
            return _read(state, site, expr)
        case Map():
            return _map(state, site, expr)
        case Choose():
            return _choose(state, site, expr)
        case Where(x, test):
            item = expanded(state, site, x, top)
            return Valued(item.value, _union(item.when, (total(state, site, test),)))
        case Default(x, other):
            item, fallback = expanded(state, site, x), expanded(state, site, other)
            value = Choose(conjunction(item.when), item.value, fallback.value) if item.when else item.value
            return Valued(value, fallback.when)
        case Exists(x):
            return Valued(conjunction(expanded(state, site, x).when))
        case Softmax(over) | Reduce(_, over) | Order(_, over):
            return _fold(state, site, expr, over, top)
        case Uniform(coords, seed):
            items = [expanded(state, site, coord) for coord in (*coords, seed)]
            *values, key = (item.value for item in items)
            return Valued(Uniform(tuple(values), key), _union(*(item.when for item in items)))
        case Grad(y, x):
            return _grad(state, site, y, x)
        case _:
            assert_never(expr)


def total(state: Expansion, site: Site, test: Expr) -> Expr:
    """A boolean that is false where the stated one is absent."""
    item = expanded(state, site, test)
    return conjunction((*item.when, item.value))


def _union(*whens: tuple[Expr, ...]) -> tuple[Expr, ...]:
    return tuple(dict.fromkeys(test for when in whens for test in when))


def _read(state: Expansion, site: Site, read: Read) -> Valued:
    """A read exists where its subscripts do, its tested axes are in range, and the tensor exists there."""
    items = [expanded(state, site, sub) for sub in read.subs]
    subs = tuple(item.value for item in items)
    when = _union(*(item.when for item in items))
    axes = state.axes(read.tensor)
    for axis in read.tested:
        lo, hi = axes[axis]
        when = _union(when, (conjunction((Map("le", (lo, subs[axis])), Map("lt", (subs[axis], hi)))),))
    return Valued(replace(read, subs=subs), _union(when, _of_tensor(state, read.tensor, subs, read.part)))


def _of_tensor(state: Expansion, name: str, subs: tuple[Expr, ...], part: int | None) -> tuple[Expr, ...]:
    if name in state.cycle:
        if name not in state.witnesses:
            return ()
        witness, axes = state.witnesses[name]
        return (Read(witness, tuple(subs[axis] for axis in axes)),)
    tensor = state.done.get(name)
    return existence(state, tensor, subs, part) if tensor else ()


def _map(state: Expansion, site: Site, expr: Map) -> Valued:
    op, args = expr.op, expr.args
    if op in ("and", "or", "not"):
        return Valued(Map(op, tuple(total(state, site, arg) for arg in args)))
    items = [expanded(state, site, arg) for arg in args]
    if op not in COMPARISONS:  # in arithmetic a boolean is 0 or 1, and 0 where it is absent
        items = [_number(state, item) for item in items]
    value = Map(op, tuple(item.value for item in items))
    when = _union(*(item.when for item in items))
    if op in COMPARISONS:
        return Valued(conjunction((*when, value)))
    if op in ("floordiv", "mod") and any(not isinstance(node, Const | Size | Map) for node in walk(value.args[1])):
        when = _union(when, (Map("ne", (value.args[1], Const(0))),))
    return Valued(value, when)


def _number(state: Expansion, item: Valued) -> Valued:
    if item.when and state.type(item.value) == "bool":
        return Valued(conjunction((*item.when, item.value)))
    return item


def _choose(state: Expansion, site: Site, expr: Choose) -> Valued:
    """One condition, made of the test and of the conditions of the branch that it takes."""
    test = total(state, site, expr.test)
    then, other = expanded(state, site, expr.then), expanded(state, site, expr.other)
    value = Choose(test, then.value, other.value)
    if not then.when and not other.when:
        return Valued(value)
    taken = conjunction((test, *then.when))
    left = conjunction((negation(test), *other.when))
    return Valued(value, (disjunction((taken, left)),))


def _fold(state: Expansion, site: Site, expr: Softmax | Reduce | Order, over: tuple[str, ...], top: bool) -> Valued:
    body = expanded(state, site.inside(over), expr.body)
    match expr:
        case Softmax():
            return reductions.softmax(state, site, over, body)
        case Reduce("logsumexp"):
            return reductions.logsumexp(state, site, over, body)
        case Reduce("mean"):
            return reductions.mean(state, site, over, body)
        case Reduce("var"):
            return reductions.var(state, site, over, body)
        case Reduce(op):
            item = reductions.fold(state, site, op, over, body)
            word = "dot" if op == "sum" and isinstance(body.value, Map) and body.value.op in ("mul", "div") else op
        case Order():
            count = expanded(state, site, expr.k) if expr.k is not None else None
            item = reductions.order(state, site, replace(expr, k=count.value if count else None), body)
            item = Valued(item.value, _union(item.when, count.when if count else ()))
            word = expr.op
    return item if top else Valued(named(state, site.inside(over), word, item), item.when)


def _grad(state: Expansion, site: Site, y: Expr, x: Read) -> Valued:
    """The derivative exists where x does; absent points of y contribute nothing.

    What reads x stays inside, for a tensor of its own would be a constant to the derivative.
    """
    target = _read(state, site, x)
    outer, state.variables = state.variables, state.variables | {x.tensor}
    item = expanded(state, site, y)
    state.variables = outer
    value = Choose(conjunction(item.when), item.value, Const(0.0)) if item.when else item.value
    assert isinstance(target.value, Read)
    return Valued(Grad(value, target.value), target.when)
