"""References of exponentials: the running maximum, or first mean, of scores, and the scores less their reference."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from attnc.ir import kernel as k
from attnc.ir.cascade import Expr
from attnc.ir.stage import Gauge, Lift
from attnc.passes.lower.base2 import LN2, LOG2E, in_base_2, only_in_powers, powers_of_two
from attnc.passes.lower.conditions import Conditions
from attnc.passes.lower.inner import NeedsPointsError
from attnc.passes.lower.lanes import along, selected
from attnc.passes.lower.powers import exponential
from attnc.passes.lower.products import factors
from attnc.passes.lower.scope import Block
from attnc.passes.lower.shifts import fused
from attnc.passes.lower.values import Values


@dataclass
class Gauges:
    """The gauges of a monoid; `states` are what a kernel calls the names of its state."""

    values: Values
    conditions: Conditions
    states: dict[str, str] = field(default_factory=dict)
    _scores: list[tuple[Block, Expr, tuple[k.Value, ...], k.Value]] = field(default_factory=list)

    @property
    def low(self) -> k.Const:
        """Minus infinity."""
        return self.values.constant(-math.inf)

    @property
    def zero(self) -> k.Const:
        """Zero."""
        return self.values.constant(0.0)

    def based(self, gauge: Gauge) -> bool:
        """Whether a maximum is kept in base 2: with 16-bit inputs, where none but exponentials see it.

        Before   new = max(old, scale * top), exp2((old - new) * LOG2E), exp2(plain * (scale * LOG2E) - new * LOG2E)
        After    new = max(old, (scale * LOG2E) * top), exp2(old - new), exp2(plain * (scale * LOG2E) - new)
        Holds    because a positive factor of the scores is one of their maximum; an output that shows the maximum
                 itself would show one rounding more, and may be compared with the scores.
        """
        monoid, names = self.conditions.monoid, (gauge.shift, gauge.shifted)
        lifted = [lift.body for item in monoid.accumulators for lift in item.lifts]
        kept = [factor for item in monoid.accumulators for factor, _ in item.keep]
        seen = (*lifted, *kept, *(item.body for item in monoid.adds))
        plain = gauge.op == "max" and gauge.pure and self.values.frame.scales_first
        return plain and all(only_in_powers(expr, names) for expr in seen)

    def natural(self, gauge: Gauge) -> k.Value:
        """The value of a gauge after the loop."""
        state = k.Use(self.states[gauge.name])
        return k.Map("mul", (state, self.values.constant(LN2.value))) if self.based(gauge) else state

    def move(self, gauge: Gauge, lift: Lift, index: str | None, *, cut: bool) -> k.Set:
        """The gauge's new value; what the accumulators call shifted score and shift is bound on the way."""
        values, scope = self.values, self.values.scope
        old = k.Use(self.states[gauge.name])
        scale, plain = self._score(gauge, lift, index, cut=cut)
        score = values.make("mul", scale, plain)
        tiled = index if index is not None and index in scope.axes(score) else None
        new = self._highest(old, scale, plain, tiled) if gauge.op == "max" else self._first_mean(old, score, tiled)
        new = scope.let(self._named(gauge, "new"), new, lift.body.span)
        ref = self.reference(gauge, new)
        self._bind_shift(gauge, old, ref)
        self._bind_shifted(gauge, scale, plain, ref)
        return k.Set(self.states[gauge.name], new)

    def _bind_shift(self, gauge: Gauge, old: k.Value, ref: k.Value) -> None:
        """The old reference less the new one, plain and in base 2."""
        values = self.values
        shift: k.Value = k.Map("sub", (old, ref))
        if self._ranked(gauge):
            shift = k.Map("select", (k.Map("eq", (old, self.low)), self.zero, shift))
        shift = values.scope.let(self._named(gauge, "shift"), shift)
        if not self.based(gauge):
            values.bound[gauge.shift] = shift
            shift = k.Map("mul", (shift, values.constant(LOG2E.value)))
        values.bound[in_base_2(gauge.shift)] = shift

    def _bind_shifted(self, gauge: Gauge, scale: k.Const, plain: k.Value, ref: k.Value) -> None:
        """Scores less their reference, plain and in base 2.

        Before   (scale * plain - ref) * log2(e)
        After    plain * (scale * log2(e)) - ref * log2(e), with 16-bit inputs
        Holds    because the product is fused with the difference: of the low bits only the reference's are rounded,
                 for a whole row alike.
        """
        values = self.values
        if self.based(gauge):
            values.bound[in_base_2(gauge.shifted)] = fused(values, values.make("mul", plain, scale), ref)
            return
        shifted = values.make("sub", values.make("mul", scale, plain), ref)
        values.bound[gauge.shifted] = shifted
        log2e = values.constant(LOG2E.value)
        based: k.Value = k.Map("mul", (shifted, log2e))
        if values.frame.scales_first:
            below = values.scope.let(self._named(gauge, "ref2"), k.Map("mul", (ref, log2e)))
            based = fused(values, k.Map("mul", (plain, values.make("mul", scale, log2e))), below)
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
        """A gauge's scores in its base, -inf where unseen: a positive factor and what it multiplies."""
        values = self.values
        test = self.conditions.under(lift.when, index, cut=cut)
        scale, score = self._scaled(self._lowered(lift.body, test))
        if self.based(gauge):
            scale = k.Const(scale.value * LOG2E.value, scale.dtype)
        if test is not None:
            score = selected(values, score, test, "max")
        self.flat(score, index)
        return scale, values.scope.let(self._named(gauge, "s"), score, lift.body.span)

    def _lowered(self, body: Expr, test: k.Value | None) -> k.Value:
        """A score, once for all maxima of it: what a test leaves out may have been read under fewer masks."""
        values, block = self.values, self.values.scope.blocks[-1]
        for other, known, masks, value in self._scores:
            enough = masks == values.masks or (test is not None and set(masks) < set(values.masks))
            if other is block and known == body and enough:
                return value
        value = values.real_of(powers_of_two(body))
        self._scores.append((block, body, values.masks, value))
        return value

    def flat(self, value: k.Value, index: str | None) -> None:
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
        return f"{word}" if len(self.conditions.monoid.gauges) == 1 else f"{gauge.name}_{word}"

    def _ranked(self, gauge: Gauge) -> bool:
        """Whether a correction mentions the shift outside an exponential: then it must be finite."""
        corrected = (item for item in self.conditions.monoid.accumulators if item.gauge == gauge.name)
        parts = (part for item in corrected for factor, _ in item.keep for part in factors(factor).above)
        return any(not exponential(part, gauge.shift) for part in parts)
