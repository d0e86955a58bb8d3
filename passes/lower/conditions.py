"""Which rows see which positions: the conditions of lifts as tests of a tile, and as masks of what is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from attnc.ir import kernel as k
from attnc.ir.cascade import Expr
from attnc.ir.indices import free_indices
from attnc.ir.stage import Lift, Monoid
from attnc.passes.lower.edges import absorbed, ends_with, relative
from attnc.passes.lower.values import Values


@dataclass
class Conditions:
    """The conditions of a monoid's lifts; those that are `told` hold in whole tiles."""

    values: Values
    monoid: Monoid
    told: tuple[Expr, ...] = ()

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

    def under(self, when: tuple[Expr, ...], index: str | None, *, cut: bool) -> k.Value | None:
        """The test of a lift; from here on loads along the stream are masked by its conditions on the stream."""
        edge = self.values.masks = self.edge(index) if cut else ()
        left = when if cut else tuple(test for test in when if test not in self.told)
        masks = self.stream_only(left, index)
        test = self.seen(left, index, ends=cut)
        self.values.masks = (*edge, *masks)
        return test
