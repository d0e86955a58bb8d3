"""One tile, or one point, of a segment folded into the running state."""

from __future__ import annotations

from dataclasses import dataclass, field

from attnc.ir import kernel as k
from attnc.ir.cascade import Coord, Expr, Reduce, Var
from attnc.ir.kernel import DType, TileType
from attnc.ir.stage import Accumulator, Added, Gauge, Lift, Monoid
from attnc.passes.lower.base2 import powers_of_two
from attnc.passes.lower.conditions import Conditions
from attnc.passes.lower.contract import total
from attnc.passes.lower.gauges import Gauges
from attnc.passes.lower.lanes import along, selected
from attnc.passes.lower.powers import exponential, mentions
from attnc.passes.lower.products import factors
from attnc.passes.lower.values import Values


@dataclass
class Folding:
    """The state of a kernel under construction; `states` is what its monoid's names are called."""

    values: Values
    monoid: Monoid
    states: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Prepares the conditions and the gauges."""
        self.conditions = Conditions(self.values, self.monoid)
        self.gauges = Gauges(self.values, self.conditions, self.states)

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

    def fold(self, number: int, index: str | None, *, cut: bool) -> None:
        """Fold a tile (or point) of a segment: gauges first, then all accumulators at once, then the gauges' values."""
        moved: dict[str, Lift] = {}
        sets = []
        for gauge in self.monoid.gauges:
            lift = _lift_of(gauge.lifts, number)
            if lift is not None:
                moved[gauge.name] = lift
                sets.append(self.gauges.move(gauge, lift, index, cut=cut))
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
        test = self.conditions.under(item.when, index, cut=cut)
        lifted = self._total(powers_of_two(item.body), test, (rows,), values.frame.compute)
        return k.Add(item.tensor, tuple(values.of(Coord(name)) for name in item.indices), lifted, span=item.span)

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
        test = self.conditions.under(lift.when, index, cut=cut)
        if test is not None and self._vanishes(item, lift, moved):
            test = None
        body = powers_of_two(lift.body)
        tiled = index if index is not None and scope.tiled(index) else None
        if item.op == "sum":
            return self._added(body, test, tiled, item)
        value = self._typed(values.of(body), self.state_type(item).dtype)
        if test is not None:
            value = selected(values, value, test, item.op)
        self.gauges.flat(value, tiled)
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
        powers = [part for part in parts if exponential(part, name) and mentions(part, name)]
        return len(powers) == 1 and not any(mentions(part, name) for part in parts if part not in powers)


def _lift_of(lifts: tuple[Lift, ...], number: int) -> Lift | None:
    return next((lift for lift in lifts if lift.segment == number), None)
