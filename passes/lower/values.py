"""Explicit expressions as kernel values: maps and reads, with everything bound where it belongs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce

from attnc.ir import kernel as k
from attnc.ir.cascade import Choose, Const, Coord, Expr, Map, Read, Reduce, Uniform, Var
from attnc.ir.indices import free_indices
from attnc.ir.kernel import DType
from attnc.ir.operators import COMPARISONS, OPERATORS
from attnc.ir.sizes import SCALAR
from attnc.ir.tile_types import REALS
from attnc.ir.walk import walk
from attnc.passes.expand.facts import decided
from attnc.passes.lower.base2 import LOG2E
from attnc.passes.lower.frame import Frame, is_size, whole
from attnc.passes.lower.positions import converted
from attnc.passes.lower.scope import Scope
from attnc.passes.simplify import TRUE

# Functions worth computing once.
FUNCTIONS = {"exp", "exp2", "log", "log2", "log1p", "expm1", "tanh", "sigmoid", "softplus", "silu"}
FUNCTIONS |= {"gelu", "erf", "sin", "cos", "xlogx", "pow"}
PLAIN = (k.Const, k.Size, k.Use, k.Coord, k.First, k.Last, k.Inside)
UNITS = {"mul": 1, "add": 0, "sub": 0}
INFINITY = math.inf
LARGEST = 3.4028234663852886e38  # of float32
SMALL = 64  # an int32 position times a factor up to this stays in range


@dataclass
class Values:
    """The lowering of expressions within one kernel.

    `bound` says what a Var stands for, `rows` what stands for an index (the first or last row of a tile),
    `masks` are conditions on the stream alone: every load along the stream is masked by them. `nonzero`
    are the Vars known not to be 0 where an expression is evaluated. `naming` is what functions are called there.
    """

    frame: Frame
    scope: Scope
    reduction: Callable[[Values, Reduce], k.Value]
    bound: dict[str, k.Value] = field(default_factory=dict)
    rows: dict[str, k.Value] = field(default_factory=dict)
    masks: tuple[k.Value, ...] = ()
    nonzero: frozenset[str] = frozenset()
    naming: str = ""

    def of(self, expr: Expr) -> k.Value:
        """The value of an expression; where a block has it already, that one."""
        if isinstance(expr, Const | Coord | Var):
            return self._made(expr)
        known = self.scope.blocks[-1].values
        key = (expr, self.masks, self.nonzero, self.naming, *self.rows.items(), *self.bound.items())
        if key not in known:
            known[key] = self._made(expr)
        return known[key]

    def _made(self, expr: Expr) -> k.Value:
        size = self.frame.size(expr)
        if size is not None:
            return size
        match expr:
            case Const(value):
                return self.constant(value)
            case Coord(index):
                return self.rows.get(index, k.Coord(index, span=expr.span))
            case Var(name):
                return self.bound[name]
            case Read():
                return self._read(expr)
            case Choose(test, then, other):
                return self._choose(test, then, other, expr)
            case Map(op, args):
                return self._map(op, args, expr)
            case Reduce():
                return self.reduction(self, expr)
            case Uniform(coords, seed):
                return self._uniform(coords, seed, expr)
            case _:
                raise AssertionError(f"no kernel value for {type(expr).__name__}")

    def constant(self, value: bool | int | float) -> k.Const:
        """A literal in the type of its kind."""
        if isinstance(value, bool):
            return k.Const(value, "bool")
        return whole(value) if isinstance(value, int) else k.Const(value, self.frame.compute)

    # ---- types -----------------------------------------------------------------------------

    def dtype(self, value: k.Value) -> DType:
        """The element type of a value."""
        return self.scope.type(value).dtype

    def is_real(self, value: k.Value) -> bool:
        """Whether a value's elements are real."""
        return self.dtype(value) in REALS

    def real(self, value: k.Value) -> k.Value:
        """The value in the type of arithmetic."""
        return self.cast(value, self.frame.compute)

    def whole(self, value: k.Value) -> k.Value:
        """A boolean as an integer."""
        return self.cast(value, "int32") if self.dtype(value) == "bool" else value

    def cast(self, value: k.Value, dtype: DType) -> k.Value:
        """The value with elements of another type."""
        if self.dtype(value) == dtype:
            return value
        if isinstance(value, k.Const):
            kind = {"bool": bool, "int32": int, "int64": int}.get(dtype, float)
            return k.Const(kind(value.value), dtype)
        return k.Map(f"cast:{dtype}", (value,), span=value.span)

    def real_of(self, expr: Expr) -> k.Value:
        """An expression in the type of arithmetic; differences of positions are converted part by part, exactly."""
        value = self.of(expr)
        if not self.is_real(value) and len(self.scope.axes(value)) > 1:
            return converted(self, expr) or self.real(value)
        return self.real(value)

    # ---- maps ------------------------------------------------------------------------------

    def make(self, op: str, *args: k.Value) -> k.Value:
        """An operation on values of fitting types; constants are folded, units of +, - and * dropped."""
        result = k.Map(op, args)
        if all(isinstance(arg, k.Const) for arg in args) and op in SCALAR:
            return self._folded(result)
        if op in UNITS and len(args) == 2:
            for one, other in (args[::-1],) if op == "sub" else (args, args[::-1]):
                if isinstance(one, k.Const) and one.value == UNITS[op] and self.dtype(result) == self.dtype(other):
                    return other
        return result

    def _folded(self, result: k.Map) -> k.Value:
        numbers = [arg.value for arg in result.args if isinstance(arg, k.Const)]
        try:
            value = SCALAR[result.op](*numbers)
        except (ValueError, OverflowError, ZeroDivisionError):
            return result
        dtype = self.dtype(result)
        return k.Const(float(value) if dtype in REALS else value, dtype)

    def settled(self, arg: k.Value, axes: tuple[str, ...], level: int) -> k.Value:
        """An argument that varies less than its map is bound by itself, so that it is computed once."""
        if isinstance(arg, PLAIN):
            return arg
        less = self.scope.depth(arg) < level or len(self.scope.axes(arg)) < len(axes)
        return self.scope.let(_name_of(arg), arg, arg.span) if less else arg

    def built(self, op: str, args: tuple[k.Value, ...], expr: Expr) -> k.Value:
        """An operation with every argument settled."""
        result = k.Map(op, args)
        axes, level = self.scope.axes(result), self.scope.depth(result)
        value = self.make(op, *(self.settled(arg, axes, level) for arg in args))
        return k.Map(value.op, value.args, span=expr.span) if isinstance(value, k.Map) else value

    def _choose(self, test: Expr, then: Expr, other: Expr, expr: Expr) -> k.Value:
        condition = self.of(test)
        held = _zero_test(test)
        first = self.of(then)
        with self.knowing(held):
            second = self.of(other)
        first, second = self.alike(first, second)
        return self.built("select", (condition, first, second), expr)

    @contextmanager
    def knowing(self, names: frozenset[str]) -> Iterator[None]:
        """Inside, these Vars are known not to be 0."""
        before = self.nonzero
        self.nonzero |= names
        yield
        self.nonzero = before

    def alike(self, *values: k.Value) -> tuple[k.Value, ...]:
        """The values in one type: real if one is, boolean if all are."""
        if any(self.is_real(value) for value in values):
            return tuple(self.real(value) for value in values)
        if all(self.dtype(value) == "bool" for value in values):
            return values
        return tuple(self.whole(value) for value in values)

    def _map(self, op: str, args: tuple[Expr, ...], expr: Expr) -> k.Value:
        match op:
            case "stop":
                return self.of(args[0])
            case "real":
                return self.real_of(args[0])
            case "int":
                return self.whole(self.of(args[0]))
            case "and" | "or" | "not":
                return self.built(op, tuple(self.of(arg) for arg in args), expr)
            case "shift":
                return self._shift(args, expr)
            case "exp" if isinstance(args[0], Map) and args[0].op == "shift":
                return self._power_of_shift(args[0], expr)
            case "div":
                return self.divided(self.real_of(args[0]), self.real_of(args[1]), args[1], expr)
            case _:
                value = self.built(op, self._arguments(op, args), expr)
                if op not in FUNCTIONS:
                    return value
                return self.scope.let(self.naming or _FUNCTION_NAMES.get(op, op), value, expr.span, self.naming)

    def _arguments(self, op: str, args: tuple[Expr, ...]) -> tuple[k.Value, ...]:
        values = [self.of(arg) for arg in args]
        by_result = op not in COMPARISONS and OPERATORS[op].result == "real"
        if by_result or op in ("floor", "ceil", "round") or any(self.is_real(value) for value in values):
            return tuple(self.real_of(arg) for arg in args)
        found = tuple(self.whole(value) for value in values)
        return self._wide(found, op) if op in ("mul", "pow") else found

    def _wide(self, args: tuple[k.Value, ...], op: str = "mul") -> tuple[k.Value, ...]:
        """Integer factors, or base and exponent, whose result could pass 2^31, in 64 bits."""
        small = [isinstance(arg, k.Const) and abs(arg.value) <= SMALL for arg in args]
        if all(isinstance(arg, k.Const) for arg in args) or (op == "mul" and any(small)):
            return args
        return tuple(self.cast(arg, "int64") for arg in args)

    def _shift(self, args: tuple[Expr, ...], expr: Expr) -> k.Value:
        """x - r, and -inf where x is -inf."""
        x, r = (self.real_of(arg) for arg in args)
        x = self.scope.let("x", x)
        low = self.constant(-INFINITY)
        difference = self.built("sub", (x, r), expr)
        return self.built("select", (k.Map("eq", (x, low)), low, difference), expr)

    def _power_of_shift(self, arg: Expr, expr: Expr) -> k.Value:
        """exp(x - r), and 0 where x is -inf: a power of two.

        Before   exp(shift(shift(x, a), b))
        After    exp2(x * log2(e) - (a + b) * log2(e)) with 16-bit inputs, else
                 exp2((x - a) * log2(e) - b * log2(e))
        Holds    because the product is fused with the difference, and a reference of -inf, held finite, leaves
                 -inf where x is -inf and inf elsewhere.
        """
        log2e, below = k.Const(LOG2E.value, self.frame.compute), []
        while isinstance(arg, Map) and arg.op == "shift":
            arg, reference = arg.args
            below.append(self.real_of(reference))
        if not self.frame.scales_first:
            return self._power_of_rest(self.real_of(arg), below, expr)
        total = self.scope.let("ref", reduce(lambda a, b: k.Map("add", (a, b)), reversed(below)))
        ref = self.scope.let("ref2", k.Map("max", (k.Map("mul", (total, log2e)), self.constant(-LARGEST))))
        match self.real_of(arg):
            case k.Map("mul", (k.Const() as scale, x)):
                scaled = k.Map("mul", (x, self.make("mul", scale, log2e)))
            case x:
                scaled = k.Map("mul", (self.scope.let("x", x), log2e))
        return self.scope.let("p", self.built("exp2", (self.fused(scaled, ref),), expr), expr.span)

    def fused(self, product: k.Value, ref: k.Value) -> k.Value:
        """A product less a reference, rounded once: on a CPU sums alone are, for scores are compared."""
        return (
            k.Map("add", (product, k.Map("neg", (ref,))))
            if self.frame.target.kind == "cpu"
            else k.Map("sub", (product, ref))
        )

    def _power_of_rest(self, value: k.Value, below: list[k.Value], expr: Expr) -> k.Value:
        """exp of a value less references, the last in `below` first: what is large cancels before it is scaled."""
        log2e, least = k.Const(LOG2E.value, self.frame.compute), self.constant(-LARGEST)
        scaled: k.Value | None = None
        for place, reference in enumerate(reversed(below)):
            finite = self.scope.let("ref", k.Map("max", (reference, least)))
            if place == len(below) - 1 and place > 0:
                scaled = self.scope.let("ref2", k.Map("mul", (finite, log2e)))
            else:
                value = k.Map("sub", (value, finite))
        power = k.Map("mul", (value, log2e))
        whole = power if scaled is None else k.Map("sub", (power, scaled))
        return self.scope.let("p", self.built("exp2", (whole,), expr), expr.span)

    def divided(self, a: k.Value, b: k.Value, divisor: Expr, expr: Expr) -> k.Value:
        """a / b, 0 where both are 0."""
        if isinstance(b, k.Const) and b.value not in (0, INFINITY, -INFINITY):
            return self.built("mul", (a, k.Const(1.0 / b.value, self.frame.compute)), expr)
        if self._never_zero(divisor):
            return self.built("div", (a, b), expr)
        a, b = self.scope.let("above", a), self.scope.let("below", b)
        zero = self.constant(0.0)
        both = k.Map("and", (k.Map("eq", (a, zero)), k.Map("eq", (b, zero))))
        return self.built("select", (both, zero, k.Map("div", (a, b))), expr)

    def _never_zero(self, divisor: Expr) -> bool:
        match divisor:
            case Var(name):
                return name in self.nonzero
            case Const(value):
                return value != 0
            case _ if is_size(divisor) and self.frame.kind(divisor) != "real":
                return decided(Map("lt", (Const(0), divisor)), self.frame.cascade.range) == TRUE
            case Map("mul" | "sqrt" | "abs" | "real" | "neg", args):
                return all(self._never_zero(arg) for arg in args)
            case _:
                return False

    def _uniform(self, coords: tuple[Expr, ...], seed: Expr, expr: Expr) -> k.Value:
        """A number in [0, 1): `uniform` of the seed and four coordinates."""
        found = [self.cast(self.of(item), "int64") for item in (seed, *coords)]
        found += [k.Const(0, "int64")] * (5 - len(found))
        return k.Map("uniform", tuple(found), span=expr.span)

    # ---- reads -----------------------------------------------------------------------------

    def _read(self, expr: Read) -> k.Value:
        subs = tuple(self._subscript(sub) for sub in expr.subs)
        along = any(self.scope.level(index) for index in free_indices(expr) if index in self.frame.streams)
        when = (*(self.masks if along else ()), *self._in_range(expr, subs))
        load = k.Load("", expr.tensor, subs, when, span=expr.span)
        return self.scope.load(f"{expr.tensor}", load, self.frame.dtypes[expr.tensor])

    def _subscript(self, sub: Expr) -> k.Value:
        value = self.of(sub)
        gathered = any(isinstance(node, Read) for node in walk(sub))
        scalar = isinstance(value, k.Map) and not self.scope.axes(value)
        return self.scope.let("at", value, sub.span) if gathered or scalar else value

    def _in_range(self, read: Read, subs: tuple[k.Value, ...]) -> Iterator[k.Value]:
        """The tests that keep an address inside its tensor where the ranges of indices alone do not."""
        bounds = self.frame.bounds(read.tensor)
        for place, (expr, sub) in enumerate(zip(read.subs, subs, strict=True)):
            free = free_indices(expr)
            if isinstance(expr, Coord) and expr.index not in self.rows and self._spans(expr.index, bounds[place]):
                continue
            if place not in read.tested and free.isdisjoint(self.frame.conditioned | self.rows.keys()):
                continue
            lo, hi = bounds[place]
            ranges = self.frame.cascade.range
            if decided(Map("le", (lo, expr)), ranges) != TRUE:
                yield self.scope.let("valid", k.Map("le", (self.frame.plain_size(lo), sub)))
            if decided(Map("lt", (expr, hi)), ranges) != TRUE:
                yield self.scope.let("valid", k.Map("lt", (sub, self.frame.plain_size(hi))))

    def _spans(self, index: str, axis: tuple[Expr, Expr]) -> bool:
        item = self.frame.cascade.range(index)
        return (item.lo, item.hi) == axis


_FUNCTION_NAMES = {"exp2": "p", "pow": "power"}


def _zero_test(test: Expr) -> frozenset[str]:
    """The Vars that are not 0 where a test fails."""
    match test:
        case Map("eq", (Var(name), Const(value))) if value == 0:
            return frozenset((name,))
        case Map("or", args):
            return frozenset().union(*(_zero_test(arg) for arg in args))
        case _:
            return frozenset()


def _name_of(value: k.Value) -> str:
    match value:
        case k.Map(op) if op.startswith("cast:"):
            return _name_of(value.args[0]) if not isinstance(value.args[0], k.Use) else value.args[0].name + "_r"
        case k.Map("select"):
            return "chosen"
        case k.Coord(index):
            return f"o_{index}"
        case _:
            return "part"
