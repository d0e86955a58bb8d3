"""Whether an output depends on a reference, found by evaluating it at random states.

Two expressions are equal where they agree at random points; they differ where they differ at one. Equality of
forms need not be found for that, and functions that the algebra does not know are no obstacle.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from attnc.ir.cascade import Choose, Const, Expr, Map, Var
from attnc.ir.sizes import SCALAR
from attnc.ir.stage import Finish, Gauge, Monoid
from attnc.ir.walk import walk

TRIALS, ENOUGH = 40, 4
CLOSE = 1e-7

Values = dict[str, float]
Change = Callable[["_Point"], Values]


@dataclass
class _Point:
    """A random state, and a random value for every element that an expression reads."""

    dice: random.Random
    state: Values
    leaves: dict[Expr, float] = field(default_factory=dict)

    def value(self, expr: Expr) -> float:
        """The expression's value; ArithmeticError or ValueError where it has none."""
        match expr:
            case Const(value):
                return value
            case Var(name) if name in self.state:
                return self.state[name]
            case Choose(test, then, other):
                return self.value(then if self.value(test) else other)
            case Map(op, args) if op in SCALAR:
                return SCALAR[op](*(self.value(arg) for arg in args))  # type: ignore[no-any-return]
            case _:
                return self.leaves.setdefault(expr, self.dice.uniform(0.3, 1.7))


def shows(monoid: Monoid, finish: Finish, gauge: Gauge) -> bool:
    """Whether an output changes with a reference while the sums stay: it is then part of what is computed."""
    return _changes(monoid, finish, lambda point: {gauge.name: point.state[gauge.name] + 0.75})


def depends(monoid: Monoid, finish: Finish, gauge: Gauge) -> bool:
    """Whether an output changes with the choice of a reference, the sums being taken relative to it."""
    return _changes(monoid, finish, lambda point: _moved(monoid, gauge, point))


def only_together(monoid: Monoid, finish: Finish, one: Gauge, other: Gauge) -> bool:
    """Whether an output shows two references by their difference alone."""
    return shows(monoid, finish, one) and not _changes(
        monoid, finish, lambda point: {item.name: point.state[item.name] + 0.75 for item in (one, other)}
    )


def affine(monoid: Monoid, finish: Finish, gauge: Gauge) -> bool:
    """Whether an output is a number plus a number times the sums that are taken relative to a reference."""
    names = [item.name for item in monoid.accumulators if item.gauge == gauge.name]

    def bent(point: _Point) -> float:
        low, middle, high = (_scaled(point, names, times).value(finish.value) for times in (1.0, 2.0, 3.0))
        return low + high - 2 * middle

    return not _differs(monoid, bent)


def _scaled(point: _Point, names: list[str], times: float) -> _Point:
    return _Point(point.dice, {**point.state, **{name: times * point.state[name] for name in names}}, point.leaves)


def uses(monoid: Monoid, finish: Finish, gauge: Gauge) -> bool:
    """Whether an output reads an accumulator that is taken relative to the reference."""
    names = {item.name for item in monoid.accumulators if item.gauge == gauge.name}
    return any(isinstance(node, Var) and node.name in names for node in walk(finish.value))


def _moved(monoid: Monoid, gauge: Gauge, point: _Point) -> Values:
    """The state relative to another reference."""
    state = {**point.state, gauge.shift: -0.75}
    at = _Point(point.dice, state, point.leaves)
    found = {gauge.name: state[gauge.name] + 0.75}
    for item in monoid.accumulators:
        if item.gauge == gauge.name and item.keep:
            found[item.name] = sum(at.value(coefficient) * state[other] for coefficient, other in item.keep)
    return found


def _changes(monoid: Monoid, finish: Finish, change: Change) -> bool:
    """Whether the output differs at some random state after the change."""

    def difference(point: _Point) -> float:
        before = point.value(finish.value)
        return _Point(point.dice, {**point.state, **change(point)}, point.leaves).value(finish.value) - before

    return _differs(monoid, difference)


def _differs(monoid: Monoid, difference: Callable[[_Point], float]) -> bool:
    """Whether a difference is not 0 at some random state; where it has no value at any, it counts as one."""
    dice, seen = random.Random(7), 0
    for _ in range(TRIALS):
        point = _Point(dice, {item.name: dice.uniform(0.3, 1.7) for item in monoid.parts})
        try:
            found = difference(point)
        except (ArithmeticError, ValueError, TypeError):
            continue
        if not math.isfinite(found):
            continue
        if abs(found) > CLOSE:
            return True
        seen += 1
        if seen == ENOUGH:
            return False
    return not seen


def mentions(finish: Finish, name: str) -> bool:
    """Whether an output reads this part of the state."""
    return any(isinstance(node, Var) and node.name == name for node in walk(finish.value))
