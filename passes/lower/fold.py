"""One tile, or one point, of a segment folded into the running state."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from attnc.ir import kernel as k
from attnc.ir.cascade import Coord, Expr, Map, Reduce, Var
from attnc.ir.indices import free_indices
from attnc.ir.kernel import DType, TileType
from attnc.ir.stage import Accumulator, Added, Gauge, Lift, Monoid
from attnc.ir.walk import walk
from attnc.passes.lower.base2 import LOG2E, in_base_2, powers_of_two
from attnc.passes.lower.contract import total
from attnc.passes.lower.edges import absorbed, ends_with, relative
from attnc.passes.lower.inner import NeedsPointsError
from attnc.passes.lower.lanes import along, selected
from attnc.passes.lower.products import factors
from attnc.passes.lower.values import Values


@dataclass
class Folding:
    """The state of a kernel under construction: what its monoid's names are called; `told` holds in whole tiles."""

    values: Values
    monoid: Monoid
    states: dict[str, str] = field(default_factory=dict)
    told: tuple[Expr, ...] = ()

    @property
    def low(self) -> k.Const:
        """Minus infinity."""
        return self.values.constant(-math.inf)

    @property
    def zero(self) -> k.Const:
        """Zero."""
        return self.values.constant(0.0)

    def state_type(self, item: Accumulator | Gauge) -> TileType:
        """The type of a component of the state: 64 bits for integers, unless a real one is corrected by them."""
        order = self.values.frame.order
        axes = tuple(sorted(item.axes, key=order.index))
        if isinstance(item, Gauge):
            return TileType(axes, self.values.frame.compute)
        if item.op in ("any", "all"):
            return TileType(axes, "bool")
        kinds = {self.values.frame.kind(lift.body) for lift in item.lifts}
        mixed = any(item.name == name for other in self.monoid.accumulators for _, name in other.keep)
        dtype: DType = self.values.frame.compute if "real" in kinds or item.gauge or mixed else "int64"
        return TileType(axes, dtype)

    # ---- conditions ------------------------------------------------------------------------

    def shared(self, number: int) -> tuple[Expr, ...]:
        """The conditions that every lift of a segment has."""
        whens = [lift.when for lift in self.lifts(number)]
        return tuple(dict.fromkeys(test for test in whens[0] if all(test in when for when in whens))) if whens else ()

    def lifts(self, number: int) -> Iterator[Lift]:
        """Every lift of a segment."""
        for item in self.monoid.parts:
            yield from (lift for lift in item.lifts if lift.segment == number)

    def edge(self, index: str | None) -> tuple[k.Value, ...]:
        """The end-of-axis condition of a tile along the stream."""
        return (k.Inside(index),) if index is not None and self.values.scope.tiled(index) else ()

    def _ends(self, when: tuple[Expr, ...], index: str | None) -> tuple[k.Value, ...]:
        """The end-of-axis condition of a tile along the stream, unless the conditions imply it for every row."""
        if index is None or ends_with(when, index, self.values.frame):
            return ()
        return self.edge(index)

    def stream_only(self, when: tuple[Expr, ...], index: str | None) -> tuple[k.Value, ...]:
        """Conditions on the stream alone: they mask its loads, so that nothing unseen is ever read."""
        frame = self.values.frame
        rows = {*frame.stream.tiled, *frame.inner}
        found = [test for test in when if index in free_indices(test) and rows.isdisjoint(free_indices(test))]
        return tuple(self.values.scope.let("valid", self.values.of(test), test.span) for test in dict.fromkeys(found))

    def seen(self, when: tuple[Expr, ...], index: str | None, *, ends: bool = True) -> k.Value | None:
        """Whether a row sees a position, by every condition and the axis' end; None where every row sees all."""
        scope = self.values.scope
        end = self._ends(when, index) if ends else ()
        tests = (*end, *(self.values.of(test) for test in dict.fromkeys(when)))
        if index is not None and scope.tiled(index):
            tests = absorbed(self.values, tuple(relative(self.values, test, index) for test in tests))
        if not tests:
            return None
        joint = tests[0] if len(tests) == 1 else k.Map("and", tests)
        return scope.let("seen", joint, when[0].span if when else joint.span, "seen")

    # ---- the fold --------------------------------------------------------------------------

    def fold(self, number: int, index: str | None, *, cut: bool) -> None:
        """Fold a tile (or point) of a segment: gauges first, then all accumulators at once, then the gauges' values."""
        moved: dict[str, Lift] = {}
        sets = []
        for gauge in self.monoid.gauges:
            lift = _lift_of(gauge.lifts, number)
            if lift is not None:
                moved[gauge.name] = lift
                sets.append(self._move(gauge, lift, index, cut=cut))
        updates = tuple(self._update(item, number, index, moved, cut=cut) for item in self.monoid.accumulators)
        body = self.values.scope.blocks[-1].body
        changed = tuple(update for update in updates if update.keep or update.lift is not None)
        if changed:
            body.append(k.Fold(changed))
        body += sets
        body += [self._added_to(item, index, cut=cut) for item in self.monoid.adds]

    def _added_to(self, item: Added, index: str | None, *, cut: bool) -> k.Add:
        """What a tile adds to a tensor: its sum over the rows that exist."""
        values, rows = self.values, self.values.frame.stream.parallel
        assert rows is not None
        test = self._under(item.when, index, cut=cut)
        lifted = self._total(powers_of_two(item.body), test, (rows,), values.frame.compute)
        return k.Add(item.tensor, tuple(values.of(Coord(name)) for name in item.indices), lifted, span=item.span)

    def _under(self, when: tuple[Expr, ...], index: str | None, *, cut: bool) -> k.Value | None:
        """The test of a lift; from here on loads along the stream are masked by its conditions on the stream."""
        edge = self.values.masks = self.edge(index) if cut else ()
        left = when if cut else tuple(test for test in when if test not in self.told)
        masks = self.stream_only(left, index)
        test = self.seen(left, index, ends=cut)
        self.values.masks = (*edge, *masks)
        return test

    def _move(self, gauge: Gauge, lift: Lift, index: str | None, *, cut: bool) -> k.Set:
        """The gauge's new value; what the accumulators call shifted score and shift is bound on the way."""
        values, scope = self.values, self.values.scope
        old = k.Use(self.states[gauge.name])
        scale, plain = self._score(gauge, lift, index, cut=cut)
        score = values.make("mul", scale, plain)
        tiled = index if index is not None and index in scope.axes(score) else None
        new = self._highest(old, scale, plain, tiled) if gauge.op == "max" else self._first_mean(old, score, tiled)
        new = scope.let(self._named(gauge, "new"), new, lift.body.span)
        ref = self.reference(gauge, new)
        shift: k.Value = k.Map("sub", (old, ref))
        if self._ranked(gauge):
            shift = k.Map("select", (k.Map("eq", (old, self.low)), self.zero, shift))
        values.bound[gauge.shift] = scope.let(self._named(gauge, "shift"), shift)
        self._bind_shifted(gauge, scale, plain, ref)
        return k.Set(self.states[gauge.name], new)

    def _bind_shifted(self, gauge: Gauge, scale: k.Const, plain: k.Value, ref: k.Value) -> None:
        """Scores less their reference, plain and in base 2.

        Before   (scale * plain - ref) * log2(e)
        After    plain * (scale * log2(e)) - ref * log2(e), with 16-bit inputs
        Holds    because the product is fused with the difference: of the low bits only the reference's are rounded,
                 for a whole row alike.
        """
        values = self.values
        shifted = values.make("sub", values.make("mul", scale, plain), ref)
        values.bound[gauge.shifted] = shifted
        log2e = values.constant(LOG2E.value)
        based: k.Value = k.Map("mul", (shifted, log2e))
        if values.frame.scales_first:
            below = values.scope.let(self._named(gauge, "ref2"), k.Map("mul", (ref, log2e)))
            based = values.fused(k.Map("mul", (plain, values.make("mul", scale, log2e))), below)
        values.bound[in_base_2(gauge.shifted)] = based

    def _highest(self, old: k.Value, scale: k.Const, plain: k.Value, index: str | None) -> k.Value:
        """The running maximum after a tile; a positive factor of the scores is one of their maximum, bit for bit."""
        top = plain if index is None else along(self.values, plain, index, "max", plain.span)
        return k.Map("max", (old, self.values.make("mul", scale, top)))

    def _first_mean(self, old: k.Value, score: k.Value, index: str | None) -> k.Value:
        """The mean of the first tile that a row sees anything of; -inf marks a row that has not."""
        values, scope = self.values, self.values.scope
        one, mean = values.constant(1.0), score
        if index is not None:
            unseen = k.Map("eq", (score, self.low))
            number = along(values, k.Map("select", (unseen, self.zero, one)), index, "sum", score.span)
            total = along(values, k.Map("select", (unseen, self.zero, score)), index, "sum", score.span)
            quotient = k.Map("div", (total, k.Map("max", (number, one))))
            mean = scope.let("mean", k.Map("select", (k.Map("eq", (number, self.zero)), self.low, quotient)))
        return k.Map("select", (k.Map("eq", (old, self.low)), mean, old))

    def _score(self, gauge: Gauge, lift: Lift, index: str | None, *, cut: bool) -> tuple[k.Const, k.Value]:
        """A gauge's scores, -inf where unseen: a positive factor and what it multiplies."""
        values = self.values
        test = self._under(lift.when, index, cut=cut)
        scale, score = self._scaled(values.real_of(powers_of_two(lift.body)))
        if test is not None:
            score = selected(values, score, test, "max")
        self._flat(score, index)
        return scale, values.scope.let(self._named(gauge, "s"), score, lift.body.span)

    def _flat(self, value: k.Value, index: str | None) -> None:
        """No tile of a GPU has three axes, the stream among them; a CPU takes the third point by point as it is."""
        axes = self.values.scope.axes(value)
        if self.values.frame.target.kind != "cpu" and len(axes) > 2 and index in axes:
            raise NeedsPointsError

    def _scaled(self, score: k.Value) -> tuple[k.Const, k.Value]:
        """A score as a positive constant times the rest."""
        match score:
            case k.Map("mul", (k.Const(scale) as factor, rest)) if 0 < scale < math.inf:
                return factor, rest
            case _:
                return self.values.constant(1.0), score

    def open(self, gauge: Gauge, lift: Lift) -> k.Value:
        """The gauge's value after one virtual key."""
        scale, plain = self._score(gauge, lift, None, cut=True)
        score = self.values.make("mul", scale, plain)
        self._bind_shifted(gauge, scale, plain, self.reference(gauge, score))
        return score

    def reference(self, gauge: Gauge, top: k.Value) -> k.Value:
        """The reference of a maximum: 0 for a row that has seen nothing, whose scores are all -inf, or one of inf."""
        infinite = k.Map("eq", (k.Map("abs", (top,)), k.Const(math.inf, self.values.frame.compute)))
        value = k.Map("select", (infinite, self.zero, top))
        return self.values.scope.let(self._named(gauge, "ref"), value, why="empty")

    def _named(self, gauge: Gauge, word: str) -> str:
        return f"{word}" if len(self.monoid.gauges) == 1 else f"{gauge.name}_{word}"

    def _ranked(self, gauge: Gauge) -> bool:
        """Whether a correction mentions the shift outside an exponential: then it must be finite."""
        coefficients = (coef for item in self.monoid.accumulators if item.gauge == gauge.name for coef, _ in item.keep)
        return any(not _exponential(factor, gauge.shift) for coef in coefficients for factor in factors(coef).above)

    def _update(
        self, item: Accumulator, number: int, index: str | None, moved: dict[str, Lift], *, cut: bool
    ) -> k.Update:
        keep = self._keep(item) if item.gauge in moved else ()
        lift = _lift_of(item.lifts, number)
        if lift is None:
            return k.Update(self.states[item.name], item.op, keep, None)
        value = self.lifted(item, lift, index, moved, cut=cut)
        return k.Update(self.states[item.name], item.op, keep, value, span=lift.body.span)

    def _keep(self, item: Accumulator) -> tuple[tuple[k.Value, str], ...]:
        values, found = self.values, []
        values.naming = "keep"
        for coefficient, name in item.keep:
            value = values.scope.let("keep", values.real_of(powers_of_two(coefficient)), why="keep")
            found.append((value, self.states[name]))
        values.naming = ""
        return tuple(found)

    def lifted(self, item: Accumulator, lift: Lift, index: str | None, moved: dict[str, Lift], *, cut: bool) -> k.Value:
        """What a tile adds to an accumulator."""
        values, scope = self.values, self.values.scope
        test = self._under(lift.when, index, cut=cut)
        if test is not None and self._vanishes(item, lift, moved):
            test = None
        body = powers_of_two(lift.body)
        tiled = index if index is not None and scope.tiled(index) else None
        if item.op == "sum":
            return self._added(body, test, tiled, item)
        value = self._typed(values.of(body), self.state_type(item).dtype)
        if test is not None:
            value = selected(values, value, test, item.op)
        self._flat(value, tiled)
        if tiled is not None and item.op == "prod" and tiled not in scope.axes(value):
            value = selected(values, value, k.Inside(tiled), item.op)
        return along(values, value, tiled, item.op, body.span) if tiled in scope.axes(value) and tiled else value

    def _added(self, body: Expr, test: k.Value | None, tiled: str | None, item: Accumulator) -> k.Value:
        """A sum's lift: inner sums of the body and the stream's are one contraction."""
        over: tuple[str, ...] = () if tiled is None else (tiled,)
        return self._total(body, test, over, self.state_type(item).dtype)

    def _total(self, body: Expr, test: k.Value | None, over: tuple[str, ...], dtype: DType) -> k.Value:
        values = self.values
        when: tuple[Expr, ...] = ()
        if test is not None:
            values.bound["stream.seen"] = test
            when = (Var("stream.seen"),)
        if isinstance(body, Reduce) and body.op == "sum":
            over, when, body = (*body.over, *over), (*body.when, *when), body.body
        return self._typed(total(values, over, body, when, body), dtype)

    def _typed(self, value: k.Value, dtype: DType) -> k.Value:
        if isinstance(value, k.Dot | k.Reduce) and self.values.dtype(value) != dtype:
            value = self.values.scope.let("sum", value)
        return self.values.cast(value, dtype)

    def _vanishes(self, item: Accumulator, lift: Lift, moved: dict[str, Lift]) -> bool:
        """Whether a lift is 0 at an unseen score of -inf by itself: a positive power times what does not mention it."""
        if item.gauge not in moved or set(lift.when) != set(moved[item.gauge].when):
            return False
        name = f"{item.gauge}.shifted"
        parts = factors(lift.body).above
        powers = [part for part in parts if _exponential(part, name) and _mentions(part, name)]
        return len(powers) == 1 and not any(_mentions(part, name) for part in parts if part not in powers)


def _lift_of(lifts: tuple[Lift, ...], number: int) -> Lift | None:
    return next((lift for lift in lifts if lift.segment == number), None)


def _mentions(expr: Expr, name: str) -> bool:
    return any(isinstance(node, Var) and node.name == name for node in walk(expr))


def _exponential(factor: Expr, name: str) -> bool:
    """Whether a factor is exp of a positive multiple of a Var, or does not mention it."""
    if not _mentions(factor, name):
        return True
    match factor:
        case Map("exp", (Var(),)):
            return True
        case Map("exp", (Map("mul", (a, b)),)):
            constants = [getattr(item, "value", None) for item in (a, b) if not isinstance(item, Var)]
            return len(constants) == 1 and isinstance(constants[0], int | float) and constants[0] > 0
        case _:
            return False
