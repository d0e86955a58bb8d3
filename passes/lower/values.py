"""Explicit expressions as kernel values: maps and reads, with everything bound where it belongs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from attnc.ir import kernel as k
from attnc.ir.cascade import Choose, Const, Coord, Expr, Map, Read, Reduce, Uniform, Var
from attnc.ir.operators import COMPARISONS, OPERATORS
from attnc.passes.expand.facts import decided
from attnc.passes.lower.builder import Builder
from attnc.passes.lower.frame import is_size
from attnc.passes.lower.positions import converted
from attnc.passes.lower.reads import read
from attnc.passes.lower.shifts import power_of_shift, shift
from attnc.passes.simplify import TRUE

# Functions worth computing once.
FUNCTIONS = {"exp", "exp2", "log", "log2", "log1p", "expm1", "tanh", "sigmoid", "softplus", "silu"}
FUNCTIONS |= {"gelu", "erf", "sin", "cos", "xlogx", "pow"}
SMALL = 64  # an int32 position times a factor up to this stays in range


@dataclass
class Values(Builder):
    """The lowering of expressions within one kernel.

    `bound` says what a Var stands for, `rows` what stands for an index (the first or last row of a tile),
    `masks` are conditions on the stream alone: every load along the stream is masked by them. `nonzero`
    are the Vars known not to be 0 where an expression is evaluated. `naming` is what functions are called there.
    """

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
                return read(self, expr)
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

    def real_of(self, expr: Expr) -> k.Value:
        """An expression in the type of arithmetic; differences of positions are converted part by part, exactly."""
        value = self.of(expr)
        if not self.is_real(value) and len(self.scope.axes(value)) > 1:
            return converted(self, expr) or self.real(value)
        return self.real(value)

    # ---- maps ------------------------------------------------------------------------------

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
                return shift(self, args, expr)
            case "exp" if isinstance(args[0], Map) and args[0].op == "shift":
                return power_of_shift(self, args[0], expr)
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

    def divided(self, a: k.Value, b: k.Value, divisor: Expr, expr: Expr) -> k.Value:
        """a / b, 0 where both are 0."""
        if isinstance(b, k.Const) and b.value not in (0, math.inf, -math.inf):
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
