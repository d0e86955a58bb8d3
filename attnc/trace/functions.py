"""The functions of the language in Python: elementwise ones, reductions, order operations."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from attnc.diagnostics import error
from attnc.ir import syntax as syn
from attnc.ir.operators import FUNCTIONS
from attnc.trace.kinds import Kind, joined
from attnc.trace.places import here
from attnc.trace.tensors import Index
from attnc.trace.values import Value, literal

Over: TypeAlias = "Index | Sequence[Index]"


def _elementwise(name: str) -> Callable[[object], Value]:
    result = FUNCTIONS[name].result

    def function(x: object) -> Value:
        value = literal(x)
        kind: Kind | None = joined(value.kind) if result == "join" else result
        return value.applied(name, kind=kind)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`{name}` of each element, as the language has it."
    return function


exp, exp2, log, log2 = map(_elementwise, ("exp", "exp2", "log", "log2"))
log1p, expm1, sqrt, rsqrt = map(_elementwise, ("log1p", "expm1", "sqrt", "rsqrt"))
abs, sign, floor, ceil, round = map(_elementwise, ("abs", "sign", "floor", "ceil", "round"))
tanh, sigmoid, softplus, relu = map(_elementwise, ("tanh", "sigmoid", "softplus", "relu"))
silu, gelu, erf, sin, cos = map(_elementwise, ("silu", "gelu", "erf", "sin", "cos"))
xlogx, stop = map(_elementwise, ("xlogx", "stop"))


def clamp(x: object, low: object, high: object) -> Value:
    """x, kept between two bounds."""
    values = [literal(item) for item in (x, low, high)]
    return values[0].applied("clamp", *values[1:], kind=joined(*(item.kind for item in values)))


def exists(x: object) -> Value:
    """Whether x exists."""
    return literal(x).applied("exists", kind="bool")


def default(x: object, other: object) -> Value:
    """x where it exists, else the other."""
    value, rest = literal(x), literal(other)
    return value.applied("default", rest, kind=value.kind if value.kind == rest.kind else joined(value.kind, rest.kind))


def grad(y: object, x: object) -> Value:
    """The derivative of the sum of y by an element of a tensor."""
    return literal(y).applied("grad", x)


def where(test: object, x: object, other: object) -> Value:
    """x where the condition holds, else the other; `x.where(p)` is x that exists only where p holds."""
    return literal(x).chosen(test, other)


def at(x: object, i: Index, position: object) -> Value:
    """The expression x at another position of an index."""
    value, where_ = literal(x), literal(position)
    node = syn.At(value.node, (syn.Reindex(i.name, where_.node),), span=here())
    return value.like(node, value.kind, value, where_)


# ---- reductions --------------------------------------------------------------------------------


def indices(over: Over, name: str) -> tuple[syn.Expr, ...]:
    """The indices that something folds over, as its brackets hold them."""
    found = (over,) if isinstance(over, Index) else tuple(over) if isinstance(over, Sequence) else ()
    if not found or not builtins.all(isinstance(item, Index) for item in found):
        helps = (f"write `{name}(x, over=n)`, or `over=(n, j)`",)
        raise error("A676", f"`{name}` folds over indices", here(), "over what?", helps=helps)
    return tuple(item.node for item in found)


def _folded(name: str, x: object, over: Over, kept: object, kind: Kind | None = "real", **brackets: Any) -> Value:
    value = literal(x) if kept is None else literal(x).where(kept)
    span = here()
    head = syn.At(syn.Name(name, span=span), indices(over, name), **brackets, span=span)
    return value.like(syn.Apply(head, (value.node,), span=span), kind, value)


def _kind(x: object) -> Kind | None:
    return literal(x).kind


def sum(x: object, *, over: Over = (), where: object = None) -> Value:
    """The sum over indices of what exists; nothing sums to 0."""
    return _folded("sum", x, over, where, joined(_kind(x)))


def prod(x: object, *, over: Over = (), where: object = None) -> Value:
    """The product over indices of what exists."""
    return _folded("prod", x, over, where, joined(_kind(x)))


def max(x: object, *others: object, over: Over = (), where: object = None) -> Value:
    """The largest over indices of what exists; without `over`, of several expressions."""
    return _extreme("max", x, others, over, where)


def min(x: object, *others: object, over: Over = (), where: object = None) -> Value:
    """The smallest over indices of what exists; without `over`, of several expressions."""
    return _extreme("min", x, others, over, where)


def maximum(x: object, other: object) -> Value:
    """The larger of two."""
    return max(x, other)


def minimum(x: object, other: object) -> Value:
    """The smaller of two."""
    return min(x, other)


def _extreme(name: str, x: object, others: tuple[object, ...], over: Over, kept: object) -> Value:
    if not others:
        return _folded(name, x, over, kept, joined(_kind(x)))
    return literal(x).applied(name, *others, kind=joined(*map(_kind, (x, *others))))


def mean(x: object, *, over: Over = (), where: object = None) -> Value:
    """The mean over indices of what exists."""
    return _folded("mean", x, over, where)


def var(x: object, *, over: Over = (), where: object = None) -> Value:
    """The variance over indices of what exists."""
    return _folded("var", x, over, where)


def any(x: object, *, over: Over = (), where: object = None) -> Value:
    """Whether a condition holds anywhere."""
    return _folded("any", x, over, where, "bool")


def all(x: object, *, over: Over = (), where: object = None) -> Value:
    """Whether a condition holds everywhere."""
    return _folded("all", x, over, where, "bool")


def argmax(x: object, *, over: Over = (), where: object = None) -> Value:
    """The position of the largest."""
    return _folded("argmax", x, over, where, "int")


def argmin(x: object, *, over: Over = (), where: object = None) -> Value:
    """The position of the smallest."""
    return _folded("argmin", x, over, where, "int")


def logsumexp(x: object, *, over: Over = (), where: object = None) -> Value:
    """The logarithm of the sum of exponentials of what exists."""
    return _folded("logsumexp", x, over, where)


def softmax(x: object, *, over: Over = (), where: object = None) -> Value:
    """The weights exp(x) / sum(exp(x)) of what exists."""
    return _folded("softmax", x, over, where)


# ---- order and chance ---------------------------------------------------------------------------


def kth(x: object, k: object, *, over: Over = (), where: object = None) -> Value:
    """The element of rank k, from the smallest."""
    return _folded("kth", x, over, where, _kind(x), extras=(literal(k).node,))


def topk(x: object, k: object, *, over: Over = (), where: object = None) -> Value:
    """Whether an element is among the k largest."""
    return _folded("topk", x, over, where, "bool", extras=(literal(k).node,))


def argtopk(x: object, *, over: Over = (), to: Index, where: object = None) -> Value:
    """The positions of the largest, as many as the index `to` has places."""
    return _folded("argtopk", x, over, where, "int", slots=(to.name,))


def sort(x: object, *, over: Over = (), to: Index, where: object = None) -> Value:
    """The elements in ascending order, along the index `to`."""
    return _folded("sort", x, over, where, _kind(x), slots=(to.name,))


def argsort(x: object, *, over: Over = (), to: Index, where: object = None) -> Value:
    """The positions of the elements in ascending order, along the index `to`."""
    return _folded("argsort", x, over, where, "int", slots=(to.name,))


def uniform(seed: object, *, over: Over = ()) -> Value:
    """A number in [0, 1) for each position of the indices."""
    return _folded("uniform", seed, over, None)
