"""Reductions over tile axes: matrix products, row reductions, and loops where a factor carries both sides."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast
from zlib import crc32

from attnc.ir import kernel as k
from attnc.ir.cascade import Const, Expr, Map, Reduce, Var
from attnc.ir.indices import free_indices
from attnc.ir.kernel import DType
from attnc.ir.node import Node
from attnc.ir.tile_types import REALS
from attnc.ir.walk import top_down, walk
from attnc.passes.lower.values import Values
from attnc.source import Span

INNER = "inner."  # names of reductions completed before a loop over their index
CHUNK = 128  # inner lanes that one product takes at a time on a GPU,
MOST_LANES = 256  # where there are more than these


class NeedsPointsError(Exception):
    """A value of the segment would carry three axes: the segment is walked point by point instead of in tiles."""


class NotLoweredError(Exception):
    """A stage has an operation that kernels do not have."""


def identity(op: str, dtype: DType) -> k.Const:
    """What a fold by `op` starts from."""
    real = dtype in REALS
    least = {"int32": -(1 << 31), "int64": -(1 << 63)}.get(dtype, 0)
    match op:
        case "sum":
            return k.Const(0.0 if real else 0, dtype)
        case "prod":
            return k.Const(1.0 if real else 1, dtype)
        case "max":
            return k.Const(-math.inf if real else least, dtype)
        case "min":
            return k.Const(math.inf if real else -1 - least, dtype)
        case "any" | "all":
            return k.Const(op == "all", "bool")
        case _:
            raise NotLoweredError(f"a reduction by {op}")


def reduced(values: Values, expr: Reduce) -> k.Value:
    """A reduction over inner indices, bound to a name."""
    result = total(values, expr.over, expr.body, expr.when, expr) if expr.op == "sum" else folded(values, expr)
    return (
        values.scope.let("dot" if isinstance(result, k.Dot) else _NAMES.get(expr.op, "fold"), result, expr.span)
        if _is_contraction(result)
        else result
    )


def _is_contraction(value: k.Value) -> bool:
    return isinstance(value, k.Dot | k.Reduce)


_NAMES = {"sum": "sum", "max": "top", "min": "low"}


# ---- products and sums ----------------------------------------------------------------------


@dataclass
class Product:
    """Factors above and below the line."""

    above: list[Expr]
    below: list[Expr]


def factors(body: Expr) -> Product:
    """A body as a product."""
    match body:
        case Map("mul", (a, b)):
            one, other = factors(a), factors(b)
            return Product(one.above + other.above, one.below + other.below)
        case Map("div", (a, b)):
            one = factors(a)
            return Product(one.above, [*one.below, b])
        case Map("neg", (a,)):
            one = factors(a)
            return Product([Const(-1.0), *one.above], one.below)
        case Map("real", (a,)):
            return factors(a)
        case _:
            return Product([body], [])


def axes_of(values: Values, expr: Expr) -> frozenset[str]:
    """The tile axes that an expression's value would carry here."""
    found = {index for index in free_indices(expr) if values.scope.tiled(index) and index not in values.rows}
    for node in walk(expr):
        if isinstance(node, Var):
            found |= set(values.scope.axes(values.bound[node.name]))
    return frozenset(found)


def total(values: Values, over: tuple[str, ...], body: Expr, when: tuple[Expr, ...], source: Expr) -> k.Value:
    """sum of the body over tile axes, where the conditions hold.

    Before   sum[e](Q[m,e] * K[n,e] / sqrt(E));  sum[e](tanh(Q[m,e] + K[n,e]))
    After    dot[e](Q, K) * (1 / sqrt(E));       a loop over e that adds a tile [m,n] each turn
    Holds    because a factor without e multiplies afterwards, and sums commute.
    """
    if any(values.frame.extent(index) == 0 for index in over if index in values.frame.inner):
        return identity("sum", values.frame.compute)
    product = factors(body)
    over, product, when = _opened(values, over, product, when)
    heavy = [axes for item in (*product.above, *product.below, *when) if len(axes := axes_of(values, item)) > 2]
    walked = _stepping(values, over, heavy) if heavy else None
    chunked = None if heavy else _chunk(values, over, product)
    index = walked or chunked
    if index is not None:
        rest = over if chunked else tuple(item for item in over if item != index)
        step = 1 if walked else CHUNK if values.frame.extent(index) % CHUNK == 0 else CHUNK // 2
        inner, *tests = _completed(values, index, (_multiplied(product), *when))
        return _looped(
            values,
            "sum",
            index,
            step,
            lambda: total(values, rest, inner, tuple(tests), source),
            (inner, *tests),
            source,
        )
    if heavy and _walks_tiles(values):
        raise NeedsPointsError
    return _eliminated(values, over, product, when, source)


def _multiplied(product: Product) -> Expr:
    result: Expr = product.above[0] if product.above else Const(1.0)
    for factor in product.above[1:]:
        result = Map("mul", (result, factor))
    for divisor in product.below:
        result = Map("div", (result, divisor))
    return result


def _opened(
    values: Values, over: tuple[str, ...], product: Product, when: tuple[Expr, ...]
) -> tuple[tuple[str, ...], Product, tuple[Expr, ...]]:
    """A sum inside the product whose value would carry three axes joins the outer sum: sums commute."""
    for place, factor in enumerate(product.above):
        if isinstance(factor, Reduce) and factor.op == "sum" and len(axes_of(values, factor)) > 2:
            inner = factors(factor.body)
            above = [*product.above[:place], *inner.above, *product.above[place + 1 :]]
            joined = Product(above, product.below + inner.below)
            return _opened(values, (*factor.over, *over), joined, (*when, *factor.when))
    return over, product, when


def _stepping(values: Values, over: tuple[str, ...], heavy: list[frozenset[str]]) -> str | None:
    """The inner index to walk so that values of three axes carry two."""
    shared = frozenset.intersection(*heavy)
    common = [index for index in over if index in values.frame.inner and index in shared]
    some = [index for index in over if index in values.frame.inner and any(index in axes for axes in heavy)]
    found = [index for index in (*common, *some) if values.scope.tiled(index)]
    return found[0] if found else None


def _completed(values: Values, index: str, parts: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """The parts with every reduction in them that binds the index itself computed beforehand."""

    def rule(node: Node) -> Node | None:
        if not isinstance(node, Reduce) or index not in node.over:
            return None
        name = f"{INNER}{crc32(repr(node).encode()):x}"
        values.bound[name] = values.of(node)
        return Var(name, span=node.span)

    return tuple(cast(Expr, top_down(part, rule)) for part in parts)


def _chunk(values: Values, over: tuple[str, ...], product: Product) -> str | None:
    """An inner index too long for one product on a GPU."""
    if values.frame.target.kind == "cpu":
        return None
    for index in over:
        if index in values.frame.inner and values.scope.tiled(index) and not values.scope.level(index):
            carriers = [item for item in product.above if index in axes_of(values, item)]
            if len(carriers) > 1 and values.frame.extent(index) > MOST_LANES:
                return index
    return None


def _walks_tiles(values: Values) -> bool:
    return any(block.index in values.frame.streams and block.tiled for block in values.scope.blocks)


def _looped(
    values: Values, op: str, index: str, step: int, lift: Callable[[], k.Value], parts: tuple[Expr, ...], source: Expr
) -> k.Value:
    """A loop over an inner index, by points or chunks, with a running tile."""
    scope = values.scope
    level = _level(values, parts, index)
    key = ("loop", op, index, parts, values.masks)
    names = {node.name for part in parts for node in walk(part) if isinstance(node, Var)}
    plain = all(name.startswith(INNER) for name in names)
    known = scope.recall(key, level) if plain else None
    if known is not None:
        return k.Use(known)
    axis = values.frame.axis(index)
    with scope.block(index, tiled=step > 1, level=level) as block:
        value = lift()
        kind = scope.type(value)
    state = scope.state(op, kind, identity(op, kind.dtype), level, block.body)
    update = k.Update(state, op, (), value)
    body = (*block.body, k.Fold((update,), span=source.span))
    cut = values.frame.extent(index) % step != 0
    scope.blocks[level].body.append(k.Loop(index, axis.lo, axis.hi, step, cut, body, "inner", span=source.span))
    if plain:
        scope.blocks[level].known[key] = state
    return k.Use(state)


def _level(values: Values, parts: tuple[Expr, ...], index: str) -> int:
    """The block in which a value over these expressions is complete."""
    free = {name for part in parts for name in free_indices(part)} - {index}
    levels = [values.scope.level(name) for name in free]
    names = {node.name for part in parts for node in walk(part) if isinstance(node, Var)}
    levels += [values.scope.depth(values.bound[name]) for name in names]
    if any(name in values.frame.streams for name in free):
        levels += [values.scope.depth(mask) for mask in values.masks]
    return max(levels, default=0)


# ---- one axis after another -----------------------------------------------------------------


def _eliminated(
    values: Values, over: tuple[str, ...], product: Product, when: tuple[Expr, ...], source: Expr
) -> k.Value:
    above = [values.of(factor) for factor in product.above]
    below = [(divisor, values.real_of(divisor)) for divisor in product.below]
    constants = [value for _, value in below if isinstance(value, k.Const) and 0 < abs(value.value) < math.inf]
    below = [(divisor, value) for divisor, value in below if value not in constants]
    tests = [values.of(test) for test in when]
    real = bool(product.below) or any(values.is_real(factor) for factor in above)
    if real:
        above = [
            value if values.is_real(value) else values.real_of(factor)
            for factor, value in zip(product.above, above, strict=True)
        ]
    else:
        above = [values.whole(factor) for factor in above]
    above += [k.Const(1.0 / value.value, values.frame.compute) for value in constants]
    worker = Elimination(values, above, below, tests, real, source)
    remaining = [index for index in over if values.scope.tiled(index)]
    while remaining:
        index = min(remaining, key=worker.cost)
        remaining.remove(index)
        worker.remove(index)
    return worker.result()


@dataclass
class Elimination:
    """A sum of products under way: what is left of its factors, divisors and conditions."""

    values: Values
    above: list[k.Value]
    below: list[tuple[Expr, k.Value]]
    tests: list[k.Value]
    real: bool
    source: Expr

    def _axes(self, value: k.Value) -> tuple[str, ...]:
        return self.values.scope.axes(value)

    def cost(self, index: str) -> int:
        """How many axes the factors with this index leave when it is summed."""
        items = [*self.above, *(value for _, value in self.below), *self.tests]
        return len({axis for item in items if index in self._axes(item) for axis in self._axes(item)})

    def remove(self, index: str) -> None:
        """Sum over one index: the factors that carry it become their contraction."""
        above = [item for item in self.above if index in self._axes(item)]
        below = [item for item in self.below if index in self._axes(item[1])]
        tests = [item for item in self.tests if index in self._axes(item)]
        self.above = [item for item in self.above if item not in above]
        self.below = [item for item in self.below if item not in below]
        self.tests = [item for item in self.tests if item not in tests]
        if not (above or below or tests):
            self.above.append(self._number(self._points(index)))
            return
        self.above.append(self._contracted(index, above, below, tests))

    def _points(self, index: str) -> int:
        frame = self.values.frame
        return frame.extent(index) if index in frame.inner else frame.tiles.stream

    def _number(self, value: int) -> k.Const:
        return k.Const(float(value), self.values.frame.compute) if self.real else k.Const(value, "int32")

    def _contracted(
        self, index: str, above: list[k.Value], below: list[tuple[Expr, k.Value]], tests: list[k.Value]
    ) -> k.Value:
        sides = self._sides(index, above, below, tests)
        own = [side for side in sides if len(self._axes(side)) > 1]
        if len(sides) == 2 and len(own) == 2 and self.real:
            return self._dot(sides[0], sides[1], index)
        return self._row(self._product(sides), index)

    def _sides(
        self, index: str, above: list[k.Value], below: list[tuple[Expr, k.Value]], tests: list[k.Value]
    ) -> list[k.Value]:
        """The factors joined by which other axes they carry; those with none join the first side."""
        groups: dict[tuple[str, ...], list[k.Value]] = {}
        for factor in above:
            groups.setdefault(self._others(factor, index), []).append(factor)
        for _, divisor in below:
            groups.setdefault(self._others(divisor, index), [])
        test = self._joint(tests)
        tested = self._others(test, index) if test is not None else ()
        if test is not None and not any(set(tested) <= set(others) for others in groups):
            groups.setdefault(tested, [])
        plain = groups.pop((), []) if len(groups) > 1 else []
        order = sorted(groups, key=lambda axes: [self.values.scope.order.index(axis) for axis in axes])
        sides = []
        for place, others in enumerate(order):
            product = self._product(groups[others] + (plain if place == 0 else []))
            for expr, divisor in below:
                home = self._others(divisor, index)
                if home == others or (place == 0 and not home):
                    product = self.values.divided(product, divisor, expr, self.source)
            if test is not None and set(tested) <= set(others):
                product, test = self._selected(product, test), None
            sides.append(product)
        return sides

    def _others(self, value: k.Value, index: str) -> tuple[str, ...]:
        return tuple(axis for axis in self._axes(value) if axis != index)

    def _joint(self, tests: list[k.Value]) -> k.Value | None:
        if len(tests) < 2:
            return tests[0] if tests else None
        return self.values.scope.let("seen", k.Map("and", tuple(tests)))

    def _selected(self, product: k.Value, test: k.Value) -> k.Value:
        result = selected(self.values, product, test, "sum")
        return self.values.scope.let("p", result, self.source.span) if len(self._axes(result)) > 1 else result

    def _product(self, items: list[k.Value]) -> k.Value:
        result: k.Value | None = None
        for item in items:
            if not self.real:
                (item,) = self.values._wide((item,)) if result is not None else (item,)
            elif result is not None or len(items) > 1:
                item = self.values.real(item)
            result = item if result is None else self.values.built("mul", (result, item), self.source)
        return self._number(1) if result is None else result

    def _row(self, product: k.Value, index: str) -> k.Value:
        product = self.values.real(product) if self.real else product
        row = k.Reduce("sum", lanes(self.values, product, index, "sum"), index, span=self.source.span)
        return self.values.scope.let("sum", row, self.source.span)

    def _dot(self, a: k.Value, b: k.Value, index: str) -> k.Value:
        values = self.values
        if values.frame.padded(index) and not (zero_outside(values, a, index) and zero_outside(values, b, index)):
            if not zero_outside(values, a, index):
                a = lanes(values, values.real(a), index, "sum")
            if not zero_outside(values, b, index):
                b = lanes(values, values.real(b), index, "sum")
        a, b = operands(values, values.scope.let("p", a, a.span), values.scope.let("w", b, b.span))
        return k.Dot(a, b, index, span=self.source.span)

    def result(self) -> k.Value:
        """What is left: the contraction times what had none of the indices, scalars and rows first."""
        values = self.values
        if len(self.above) == 1 and _is_contraction(self.above[0]) and not self.below and not self.tests:
            return self.above[0]
        bound = [values.scope.let("dot", x, self.source.span) if _is_contraction(x) else x for x in self.above]
        above = [values.real(item) if self.real else item for item in bound]
        above.sort(key=lambda item: (len(self._axes(item)), values.scope.depth(item), not isinstance(item, k.Const)))
        result = self._product(above)
        for expr, divisor in self.below:
            result = values.divided(result, divisor, expr, self.source)
        test = self._joint(self.tests)
        return result if test is None else self._selected(result, test)


def operands(values: Values, a: k.Value, b: k.Value) -> tuple[k.Value, k.Value]:
    """Both operands of a product in one type: on a GPU that of a 16-bit operand, else the type of arithmetic."""
    kinds = {values.dtype(a), values.dtype(b)}
    small = kinds & {"float16", "bfloat16"}
    if values.frame.target.kind == "cpu" or len(kinds) == 1:
        return a, b
    wanted = next(iter(small)) if len(small) == 1 and values.frame.compute == "float32" else values.frame.compute
    a, b = (values.scope.let(_cast_name(item, wanted), values.cast(item, wanted)) for item in (a, b))
    return a, b


def _cast_name(item: k.Value, dtype: str) -> str:
    return f"{item.name}_{'16' if dtype.endswith('16') else '32'}" if isinstance(item, k.Use) else "operand"


def selected(values: Values, value: k.Value, test: k.Value, op: str) -> k.Value:
    """The value where the test holds, the fold's identity elsewhere."""
    dtype = values.dtype(value)
    if dtype in REALS:
        value, dtype = values.real(value), values.frame.compute
    elif dtype == "bool" and op not in ("any", "all"):
        value, dtype = values.whole(value), "int32"
    neutral = identity(op, dtype)
    axes = values.scope.axes(k.Map("select", (test, value, neutral)))
    level = values.scope.depth(k.Map("and", (test, value)))
    arguments = (test, values.settled(value, axes, level), neutral)
    return k.Map("select", arguments, span=value.span)


# ---- lanes outside an axis ------------------------------------------------------------------


def lanes(values: Values, value: k.Value, index: str, op: str) -> k.Value:
    """A value about to be reduced along an inner axis: the identity on lanes outside that axis."""
    if not values.frame.padded(index) or not values.scope.tiled(index):
        return value
    if op == "sum" and zero_outside(values, value, index):
        return value
    return selected(values, value, k.Inside(index), op)


def zero_outside(values: Values, value: k.Value, index: str) -> bool:
    """Whether a value is 0 on lanes outside an inner axis because it is read there, or a product of such."""
    match value:
        case k.Use(name) if name in values.scope.loads:
            return index in values.scope.axes(value)
        case k.Use(name) if name in values.scope.meaning:
            return zero_outside(values, values.scope.meaning[name], index)
        case k.Map("mul", args):
            along = [arg for arg in args if index in values.scope.axes(arg)]
            return bool(along) and all(zero_outside(values, arg, index) for arg in along)
        case k.Map("select", (k.Inside(inside), _, k.Const(other))):
            return inside == index and other == 0
        case k.Map(op, (x,)) if op.startswith("cast:") or op == "neg":
            return zero_outside(values, x, index)
        case _:
            return False


# ---- the other folds ------------------------------------------------------------------------


def folded(values: Values, expr: Reduce) -> k.Value:
    """max, min, prod, any or all over inner indices, one index after another."""
    heavy = [axes for item in (expr.body, *expr.when) if len(axes := axes_of(values, item)) > 2]
    step = _stepping(values, expr.over, heavy) if heavy else None
    if step is not None:
        rest = tuple(index for index in expr.over if index != step)
        body, *tests = _completed(values, step, (expr.body, *expr.when))
        inner = Reduce(expr.op, rest, body, tuple(tests), span=expr.span)
        return _looped(values, expr.op, step, 1, lambda: folded(values, inner), (body, *tests), expr)
    if heavy and _walks_tiles(values):
        raise NeedsPointsError
    value = values.of(expr.body)
    value = value if expr.op in ("any", "all") else values.real_of(expr.body) if values.is_real(value) else value
    seen = [values.of(test) for test in expr.when]
    if seen:
        joint = seen[0] if len(seen) == 1 else values.scope.let("seen", k.Map("and", tuple(seen)))
        value = selected(values, value, joint, expr.op)
    for index in expr.over:
        if index in values.scope.axes(value):
            value = along(values, value, index, expr.op, expr.span)
        elif expr.op == "prod" and values.scope.tiled(index):
            value = values.make("pow", value, values.constant(float(values.frame.extent(index))))
    return value


def along(values: Values, value: k.Value, index: str, op: str, span: Span) -> k.Value:
    """A reduction along one axis of a tile."""
    row = k.Reduce(op, lanes(values, value, index, op), index, span=span)
    return values.scope.let(_NAMES.get(op, "fold"), row, span)
