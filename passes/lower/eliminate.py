"""Sums of products over tile axes, one axis after another: matrix products and row sums."""

from __future__ import annotations

import math
from dataclasses import dataclass

from attnc.ir import kernel as k
from attnc.ir.cascade import Expr
from attnc.passes.lower.lanes import lanes, selected, zero_outside
from attnc.passes.lower.products import Product
from attnc.passes.lower.values import Values


def eliminated(
    values: Values, over: tuple[str, ...], product: Product, when: tuple[Expr, ...], source: Expr
) -> k.Value:
    """The sum of a product over tile axes, the axis first whose factors leave the fewest others."""
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
        own = [self._others(side, index) for side in sides if len(self._axes(side)) > 1]
        if len(sides) == 2 and len(own) == 2 and self.real and not set(own[0]) & set(own[1]):
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
        if len(self.above) == 1 and is_contraction(self.above[0]) and not self.below and not self.tests:
            return self.above[0]
        bound = [values.scope.let("dot", x, self.source.span) if is_contraction(x) else x for x in self.above]
        above = [values.real(item) if self.real else item for item in bound]
        above.sort(key=lambda item: (len(self._axes(item)), values.scope.depth(item), not isinstance(item, k.Const)))
        result = self._product(above)
        for expr, divisor in self.below:
            result = values.divided(result, divisor, expr, self.source)
        test = self._joint(self.tests)
        return result if test is None else self._selected(result, test)


def operands(values: Values, a: k.Value, b: k.Value) -> tuple[k.Value, k.Value]:
    """Both operands of a product in one type: on a GPU that of a 16-bit operand, else the type of arithmetic.

    Two computed ones are bfloat16, which has the range of float32, where all that is read along inner axes is.
    """
    kinds = {values.dtype(a), values.dtype(b)}
    if kinds == {"float32"} and values.frame.operand_types == {"bfloat16"}:
        kinds = {"float32", "bfloat16"}
    small = kinds & {"float16", "bfloat16"}
    if values.frame.target.kind == "cpu" or len(kinds) == 1:
        return a, b
    wanted = next(iter(small)) if len(small) == 1 and values.frame.compute == "float32" else values.frame.compute
    a, b = (values.scope.let(_cast_name(item, wanted), values.cast(item, wanted)) for item in (a, b))
    return a, b


def _cast_name(item: k.Value, dtype: str) -> str:
    return f"{item.name}_{'16' if dtype.endswith('16') else '32'}" if isinstance(item, k.Use) else "operand"


def is_contraction(value: k.Value) -> bool:
    """Whether a value is a matrix product or a reduction, which is bound to a name."""
    return isinstance(value, k.Dot | k.Reduce)
