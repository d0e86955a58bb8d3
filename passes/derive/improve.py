"""What a derived state could do without: the choices that its outputs leave open are settled by looking at them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations

from attnc.ir.cascade import Expr, Map, Var
from attnc.ir.stage import Finish, Gauge, Monoid
from attnc.ir.walk import walk
from attnc.passes.derive.probe import affine, depends, mentions, only_together, shows, uses
from attnc.passes.derive.references import Reference, Score, Wish, smaller
from attnc.passes.derive.state import State


def improved(state: State, monoid: Monoid, names: tuple[str, ...]) -> Wish | None:
    """How the state is to be derived instead, or None where it is as it should be.

    Before   a reference for exp(2 * S) and one for exp(S); sums of squares about a mean that is added back;
             a reference over the keys beside one over the keys and a sink
    After    the wish for one that serves both, for plain sums, for the wider one
    Holds    because a wish is made only where the outputs stay in range: where they take the sums of the smaller
             reference linearly, and show it by its difference to the larger one, what underflows there is nothing.
    """
    wish, references = state.wish, dict(zip(names, state.references, strict=True))
    least = smaller(state.references)
    if least and not wish.least:
        return replace(wish, least=least)
    if wish.one_sided and not _only_added(state, monoid):
        return replace(wish, one_sided=False)
    if wish.centred and not _needs_centre(monoid):
        return replace(wish, centred=False)
    pair = next(_mergeable(monoid, references, wish), None)
    return replace(wish, wider=(*wish.wider, pair)) if pair else None


def with_purity(monoid: Monoid) -> Monoid:
    """The monoid with the purity of its gauges: whether any output shows a reference or depends on its choice."""
    gauges = tuple(
        replace(item, pure=not any(_told(monoid, f, item) for f in monoid.finishes)) for item in monoid.gauges
    )
    return replace(monoid, gauges=gauges)


def _told(monoid: Monoid, finish: Finish, gauge: Gauge) -> bool:
    return mentions(finish, gauge.name) or (gauge.op == "max" and depends(monoid, finish, gauge))


def _only_added(state: State, monoid: Monoid) -> bool:
    """Whether the sums without a reference, whose terms may all underflow, enter the outputs linearly."""
    names = {item.name for item in monoid.accumulators}
    bare = {running.symbol for running in state.running if running.one_sided}
    if not bare:
        return True
    return all(_linear(finish.value, names) for finish in monoid.finishes)


def _linear(value: Expr, names: set[str]) -> bool:
    """Whether an output is a sum of accumulators times what the state does not know."""
    match value:
        case Var():
            return True
        case Map("add" | "sub", (a, b)):
            return _linear(a, names) and _linear(b, names)
        case Map("neg", (a,)):
            return _linear(a, names)
        case Map("mul", (a, b)):
            return (_linear(a, names) and _free(b)) or (_free(a) and _linear(b, names))
        case Map("div", (a, b)):
            return _linear(a, names) and _free(b)
        case _:
            return _free(value)


def _free(value: Expr) -> bool:
    return not any(isinstance(node, Var) for node in walk(value))


def _needs_centre(monoid: Monoid) -> bool:
    """Whether some output is the same about every centre, as a variance is; or no powers are kept at all."""
    means = [gauge for gauge in monoid.gauges if gauge.op == "mean"]
    return not means or any(
        uses(monoid, finish, gauge) and not shows(monoid, finish, gauge)
        for gauge in means
        for finish in monoid.finishes
    )


def _mergeable(monoid: Monoid, references: dict[str, Reference], wish: Wish) -> Iterator[tuple[Score, Score]]:
    """Pairs of references of which the first can be taken at the second's points."""
    tops = [gauge for gauge in monoid.gauges if gauge.op == "max"]
    for one, other in permutations(tops, 2):
        narrow, wide = references[one.name].of, references[other.name].of
        if wide.covers(narrow) is None or (narrow, wide) in wish.wider:
            continue
        users = [finish for finish in monoid.finishes if uses(monoid, finish, one)]
        if all(only_together(monoid, f, one, other) and affine(monoid, f, one) for f in users):
            yield narrow, wide
