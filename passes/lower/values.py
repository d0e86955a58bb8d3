"""Explicit expressions as kernel values: loads, maps, contractions, with everything bound where it belongs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from attnc.ir import kernel as k
from attnc.ir.cascade import Cascade, Choose, Const, Coord, Expr, Map, Read, Reduce, Size, Type, Var
from attnc.ir.indices import free_indices
from attnc.ir.kernel import DType, TileType
from attnc.ir.types import type_of
from attnc.ir.walk import walk
from attnc.passes.lower.scope import NeedsStepError, Scope

TRIVIAL = (k.Const, k.Size, k.Use, k.Coord, k.First, k.Last, k.Inside)


@dataclass
class Values:
    """The lowering of expressions within one kernel."""

    cascade: Cascade
    scope: Scope
    dtypes: Mapping[str, DType]
    extents: Mapping[str, int]
    types: Mapping[str, Type]
    bound: dict[str, k.Value] = field(default_factory=dict)  # what a Var stands for
    rows: dict[str, k.Value] = field(default_factory=dict)  # what a Coord stands for, where not itself
    inside: tuple[k.Value, ...] = ()  # conditions on the stream alone: they mask its loads
    stream: str | None = None

    def of(self, expr: Expr) -> k.Value:
        """The value of an expression."""
        match expr:
            case Const(value):
                return self.constant(value)
            case Size(index):
                return self.size(index)
            case Coord(index):
                return self.rows.get(index, k.Coord(index, span=expr.span))
            case Var(name):
                return self.bound[name]
            case Read():
                return self._read(expr)
            case Choose(test, then, other):
                return self._map("select", [self.of(test), *self._alike(then, other)], expr)
            case Map(op, args):
                return self._map(op, self._arguments(op, args), expr)
            case Reduce():
                return self._reduce(expr)
            case _:
                raise AssertionError(f"no kernel value for {type(expr).__name__}")

    def constant(self, value: bool | int | float) -> k.Value:
        """A literal in the type of its kind."""
        kind: DType = "bool" if isinstance(value, bool) else "int64" if isinstance(value, int) else self.scope.compute
        return k.Const(value, kind)

    def size(self, index: str) -> k.Value:
        """An extent: a number where it is compiled in, else a run-time scalar."""
        return k.Const(self.extents[index], "int64") if index in self.extents else k.Size(index)

    def kind(self, expr: Expr) -> Type:
        """The language's type of an expression."""
        return type_of(expr, self.types.__getitem__)

    def _alike(self, *args: Expr) -> list[k.Value]:
        """The operands in one type: real if one is."""
        values = [self.of(arg) for arg in args]
        if any(self.kind(arg) == "real" for arg in args):
            return [self.real(value) for value in values]
        if all(self.kind(arg) == "bool" for arg in args):
            return values
        return [self.whole(value) for value in values]

    def real(self, value: k.Value) -> k.Value:
        """The value in the type of arithmetic."""
        dtype = self.scope.type(value).dtype
        if dtype == self.scope.compute:
            return value
        if isinstance(value, k.Const):
            return k.Const(float(value.value), self.scope.compute)
        return k.Map(f"cast:{self.scope.compute}", (value,), span=value.span)

    def whole(self, value: k.Value) -> k.Value:
        """A boolean as an integer."""
        if self.scope.type(value).dtype != "bool":
            return value
        return k.Map("cast:int64", (value,), span=value.span)

    def _arguments(self, op: str, args: tuple[Expr, ...]) -> list[k.Value]:
        if op in ("and", "or", "not"):
            return [self.of(arg) for arg in args]
        if op in ("eq", "ne") and all(self.kind(arg) == "bool" for arg in args):
            return [self.whole(self.of(arg)) for arg in args]
        kinds = {self.kind(arg) for arg in args}
        from attnc.ir.operators import COMPARISONS, OPERATORS

        if op == "int":
            return [self.of(arg) for arg in args]
        real = (
            "real" in kinds
            or (OPERATORS[op].result == "real" and op not in COMPARISONS)
            or op in ("floor", "ceil", "round")
        )
        return [self.real(self.of(arg)) if real else self.whole(self.of(arg)) for arg in args]

    def _map(self, op: str, args: list[k.Value], expr: Expr) -> k.Value:
        if op in ("real", "stop"):
            return args[0]
        if op == "int":
            return self.whole(args[0])
        if op == "shift":  # the gauge has dealt with infinities
            op = "sub"
        result = k.Map(op, tuple(args), span=expr.span)
        shape = self.scope.type(result).axes
        if len(shape) > 2:
            raise NeedsStepError
        level = self.scope.depth(result)
        bound = tuple(self._settled(arg, shape, level) for arg in args)
        return k.Map(op, bound, span=expr.span)

    def _settled(self, arg: k.Value, shape: tuple[str, ...], level: int) -> k.Value:
        """An argument that varies less than its map is bound by itself, so that it is computed once."""
        if isinstance(arg, TRIVIAL):
            return arg
        less = self.scope.depth(arg) < level or len(self.scope.type(arg).axes) < len(shape)
        simple = isinstance(arg, k.Map) and arg.op.startswith("cast:") and isinstance(arg.args[0], TRIVIAL)
        return self.scope.let("t", arg, arg.span) if less and not simple else arg

    # ---- reads -----------------------------------------------------------------------------

    def _read(self, expr: Read) -> k.Value:
        subs = tuple(self._subscript(sub) for sub in expr.subs)
        axes = tuple(dict.fromkeys(axis for sub in subs for axis in self.scope.type(sub).axes))
        axes = tuple(sorted(axes, key=self.scope.order.index))
        level = max((self.scope.depth(sub) for sub in subs), default=0)
        along = self.stream is not None and self.stream in free_indices(expr)
        when = self.inside if along else ()
        level = max([level, *(self.scope.depth(test) for test in when)])
        load = k.Load("", expr.tensor, subs, when, span=expr.span)
        return self.scope.load(expr.tensor, load, TileType(axes, self.dtypes[expr.tensor]), level)

    def _subscript(self, sub: Expr) -> k.Value:
        value = self.of(sub)
        gathered = any(isinstance(node, Read) for node in walk(sub))
        return self.scope.let("at", value, sub.span) if gathered else value

    # ---- reductions ------------------------------------------------------------------------

    def _reduce(self, expr: Reduce) -> k.Value:
        """A reduction over inner indices, one after the other."""
        body = expr.body
        if expr.op == "sum" and len(expr.over) > 1:
            inner = Reduce("sum", expr.over[1:], body, expr.when, span=expr.span)
            return self._reduce(Reduce("sum", expr.over[:1], inner, span=expr.span))
        (index, *others) = expr.over
        if others:
            nested = Reduce(expr.op, tuple(others), body, expr.when, span=expr.span)
            return self._reduce(Reduce(expr.op, (index,), nested, span=expr.span))
        tests = [self.of(test) for test in expr.when]
        if expr.op == "sum":
            return self.scope.let("s", self.contract(body, index, tests), expr.span)
        value = self.selected(
            self.real(self.of(body)) if expr.op in ("max", "min", "prod") else self.of(body), tests, expr.op
        )
        return self.scope.let(expr.op, k.Reduce(expr.op, self.widened(value, index), index, span=expr.span), expr.span)

    def selected(self, value: k.Value, tests: list[k.Value], op: str) -> k.Value:
        """The value where the tests hold, the fold's identity elsewhere."""
        if not tests:
            return value
        identity = {"sum": 0.0, "prod": 1.0, "max": float("-inf"), "min": float("inf"), "any": False, "all": True}[op]
        test = tests[0] if len(tests) == 1 else k.Map("and", tuple(tests))
        result = k.Map("select", (test, value, self.constant(identity)))
        if len(self.scope.type(result).axes) > 2:
            raise NeedsStepError
        return result

    def widened(self, value: k.Value, index: str) -> k.Value:
        """The value as a tile along the index, also where it does not vary along it."""
        if index in self.scope.type(value).axes or not self.scope.tiled(index):
            return value
        dtype = self.scope.type(value).dtype
        if dtype == "bool":
            return k.Map("and", (value, k.Map("ge", (k.Coord(index), k.Coord(index)))))
        zero = k.Map("mul", (k.Coord(index), k.Const(0, "int64")))
        return k.Map("add", (value, k.Map(f"cast:{dtype}", (zero,)) if dtype != "int64" else zero))

    def contract(self, body: Expr, index: str, tests: list[k.Value]) -> k.Value:
        """sum over one tile axis of a product: a matrix product where two sides share only that axis."""
        factors = [self.of(factor) for factor in flat(body)]
        if not self.scope.tiled(index):
            return self.selected(self._product(factors) or self.constant(1.0), tests, "sum")
        along = [factor for factor in factors if index in self.scope.type(factor).axes]
        loose = [factor for factor in factors if index not in self.scope.type(factor).axes]
        result = self._dot_or_row(self._sides(along, tests, index), index)
        scale = self._product(loose)
        return result if scale is None else k.Map("mul", (result, self._settled(scale, (), 99)))

    def _sides(self, factors: list[k.Value], tests: list[k.Value], index: str) -> list[k.Value]:
        """The factors joined by which other axis they carry; the tests select where they fit."""
        groups: dict[tuple[str, ...], list[k.Value]] = {}
        for factor in factors:
            groups.setdefault(self._others(factor, index), []).append(factor)
        tested = tuple(dict.fromkeys(axis for test in tests for axis in self._others(test, index)))
        if tests:
            groups.setdefault(tested, [])
        plain = groups.pop((), []) if len(groups) > 1 else []
        if len(groups) > 2 or any(len(others) > 1 for others in groups):
            raise NeedsStepError
        sides = []
        for place, (others, items) in enumerate(groups.items()):
            product = self._product(items + (plain if place == 0 else [])) or self.constant(1.0)
            sides.append(self.selected(product, tests, "sum") if tests and others == tested else product)
        return sides or [self.constant(1.0)]

    def _others(self, value: k.Value, index: str) -> tuple[str, ...]:
        return tuple(axis for axis in self.scope.type(value).axes if axis != index)

    def _dot_or_row(self, sides: list[k.Value], index: str) -> k.Value:
        if len(sides) == 1:
            return k.Reduce("sum", self.widened(self.real(sides[0]), index), index)
        a, b = sides
        if not (self._others(a, index) and self._others(b, index)):
            return k.Reduce("sum", k.Map("mul", (self.real(a), self.real(b))), index)
        if self._rank(a, index) > self._rank(b, index):
            a, b = b, a
        return k.Dot(self.scope.let("left", a), self.scope.let("right", b), index)

    def _rank(self, value: k.Value, index: str) -> int:
        return self.scope.order.index(self._others(value, index)[0])

    def _product(self, factors: list[k.Value]) -> k.Value | None:
        if not factors:
            return None
        if len(factors) == 1:
            return factors[0]
        result = self.real(factors[0])
        for factor in factors[1:]:
            result = k.Map("mul", (result, self.real(factor)))
            if len(self.scope.type(result).axes) > 2:
                raise NeedsStepError
        return result


def flat(body: Expr) -> list[Expr]:
    """The factors of a product; a division becomes a factor 1 / d."""
    match body:
        case Map("mul", (a, b)):
            return flat(a) + flat(b)
        case Map("div", (a, b)):
            above = [factor for factor in flat(a) if factor != Const(1.0)]
            return [*above, Map("div", (Const(1.0), b), span=b.span)]
        case Map("neg", (a,)):
            return [Const(-1.0), *flat(a)]
        case _:
            return [body]
