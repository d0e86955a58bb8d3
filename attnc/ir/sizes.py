"""Expressions of sizes as numbers, and the extents that a call's shapes fix."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from attnc.diagnostics import AttnError, error
from attnc.ir.cascade import Cascade, Choose, Const, Expr, Map, Size
from attnc.ir.operators import COMPARISONS

Number = bool | int | float
T = TypeVar("T")


class Extents(dict[str, int]):
    """The extents of a call, which remember what follows from them for calls with the same ones."""

    __slots__ = ("memory",)

    def __init__(self, sizes: Mapping[str, int]) -> None:
        """Shares its memory with all that are equal."""
        super().__init__(sizes)
        key = tuple(sizes.items())
        if key not in _MEMORIES and len(_MEMORIES) >= MOST_EXTENTS:
            _MEMORIES.clear()
        self.memory = _MEMORIES.setdefault(key, {})


MOST_EXTENTS, MOST_FACTS = 256, 8192
_MEMORIES: dict[tuple[tuple[str, int], ...], dict[tuple[int, Any], tuple[object, Any]]] = {}


def remembered(sizes: Mapping[str, int], owner: object, about: Any, computed: Callable[[], T]) -> T:
    """What follows from extents for an owner, computed once for all calls that have them."""
    if type(sizes) is not Extents:
        return computed()
    place = (id(owner), about)
    found = sizes.memory.get(place)
    if found is None or found[0] is not owner:  # which is held, so that no other has its identity
        if len(sizes.memory) >= MOST_FACTS:
            sizes.memory.clear()
        found = sizes.memory[place] = (owner, computed())
    return cast(T, found[1])


def evaluate(expr: Expr, sizes: Mapping[str, int]) -> Any:
    """The value of an expression over sizes and constants, with the language's `//` and `%`; error A134 if none."""
    try:
        value = _function(expr)(sizes)
    except (ArithmeticError, ValueError) as reason:
        raise _no_value(expr, sizes, str(reason)) from None
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise _no_value(expr, sizes, "it does not fit 64 bits")
    return value


def _function(expr: Expr) -> Function:
    """The expression as a function of sizes, composed once: every call asks for some dozens of values."""
    found = _FUNCTIONS.get(id(expr))
    if found is None or found[0] is not expr:  # which is held, so that no other has its identity
        if len(_FUNCTIONS) >= MOST_FACTS:
            _FUNCTIONS.clear()
        found = _FUNCTIONS[id(expr)] = (expr, _composed(expr))
    return found[1]


Function = Callable[[Mapping[str, int]], Any]
_FUNCTIONS: dict[int, tuple[Expr, Function]] = {}


def whole(expr: Expr, sizes: Mapping[str, int]) -> int:
    """The value of an expression that bounds an axis; error A134 where it is no integer."""
    value = evaluate(expr, sizes)
    if type(value) is int:
        return value
    if isinstance(value, float) and not value.is_integer():
        raise _no_value(expr, sizes, f"it is {value}")
    return int(value) if isinstance(value, (bool, float)) else value  # a size that is a symbol stays one


def _no_value(expr: Expr, sizes: Mapping[str, int], reason: str) -> AttnError:
    given = ", ".join(f"{index} = {extent}" for index, extent in sizes.items())
    notes = (f"extents: {given}",) if given else ()
    return error("A134", f"this size is no whole number: {reason}", expr.span, "has no value here", notes=notes)


def _composed(expr: Expr) -> Function:
    match expr:
        case Const(value):
            return lambda sizes: value
        case Size(index):
            return operator.itemgetter(index)
        case Choose(test, then, other):
            chosen, one, two = map(_composed, (test, then, other))
            return lambda sizes: one(sizes) if chosen(sizes) else two(sizes)
        case Map(op, args):
            function = _applied(SCALAR[op], tuple(map(_composed, args)))
            return _compared(function) if op in COMPARISONS else function
        case _:
            raise AssertionError(f"not an expression of sizes: {expr}")


def _applied(function: Callable[..., Any], args: tuple[Function, ...]) -> Function:
    if len(args) == 1:
        (x,) = args
        return lambda sizes: function(x(sizes))
    if len(args) == 2:
        a, b = args
        return lambda sizes: function(a(sizes), b(sizes))
    return lambda sizes: function(*(arg(sizes) for arg in args))


def _compared(function: Function) -> Function:
    """A comparison; false where an operand does not exist, for it divides by 0."""

    def compared(sizes: Mapping[str, int]) -> bool:
        try:
            return bool(function(sizes))
        except ZeroDivisionError:
            return False

    return compared


def bind(cascade: Cascade, shapes: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """The extent of every index that the given inputs carry; error A601 where two disagree."""
    sizes: dict[str, int] = {}
    for item in cascade.inputs:
        for index, extent in zip(item.indices, shapes.get(item.name, ()), strict=False):
            if sizes.setdefault(index, extent) != extent:
                found = f"index `{index}` has extent {sizes[index]} in one input but {extent} in `{item.name}`"
                raise error("A601", found, item.span, f"here `{index}` is {extent}")
    return sizes


def _real(function: Callable[[float], float]) -> Callable[[float], float]:
    """The function with IEEE's answers where Python raises: infinity for what overflows, NaN outside its domain."""

    def total(x: float) -> float:
        try:
            return function(float(x))
        except OverflowError:
            return math.inf
        except ValueError:
            return math.nan

    return total


def _log(base: Callable[[float], float], one: float = 0.0) -> Callable[[float], float]:
    return lambda x: base(x) if x > -one else -math.inf if x == -one else math.nan


def _divide(a: Number, b: Number) -> float:
    if b == 0:
        return 0.0 if a == 0 else math.copysign(math.inf, a)
    return a / b


def _power(a: Number, b: Number) -> Number:
    if isinstance(a, int) and isinstance(b, int) and b >= 0:
        if abs(a) > 1 and b * math.log2(abs(a)) > 256:
            raise OverflowError("it does not fit 64 bits")
        return int(a**b)
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:  # a root of a negative number, or zero to a negative power
        return math.inf if a == 0 else math.nan


SCALAR: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": _divide,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "pow": _power,
    "neg": operator.neg,
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "and": lambda *args: all(args),
    "or": lambda *args: any(args),
    "not": operator.not_,
    "exp": _real(math.exp),
    "exp2": _real(lambda x: 2.0**x),
    "log": _log(math.log),
    "log2": _log(math.log2),
    "log1p": _log(math.log1p, 1.0),
    "expm1": _real(math.expm1),
    "sqrt": _real(math.sqrt),
    "rsqrt": lambda x: _divide(1.0, _real(math.sqrt)(x)),
    "abs": abs,
    "sign": lambda x: (x > 0) - (x < 0),
    "floor": math.floor,
    "ceil": math.ceil,
    "round": round,
    "tanh": math.tanh,
    "sin": _real(math.sin),
    "cos": _real(math.cos),
    "erf": math.erf,
    "sigmoid": lambda x: 1 / (1 + _real(math.exp)(-x)),
    "softplus": lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))),
    "relu": lambda x: max(x, 0),
    "silu": lambda x: x / (1 + _real(math.exp)(-x)),
    "gelu": lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
    "min": min,
    "max": max,
    "clamp": lambda x, lo, hi: min(max(x, lo), hi),
    "xlogx": lambda x: x * _log(math.log)(x) if x else 0.0,
    "stop": lambda x: x,
    "shift": lambda x, r: -math.inf if x == -math.inf else x - r,
    "real": _real(float),
    "int": int,
}
