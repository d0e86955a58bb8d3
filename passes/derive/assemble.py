"""The monoid of a state: names for its parts, lifts over the stream, what comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attnc.ir.cascade import Expr, Reduce, Var
from attnc.ir.indices import free_indices
from attnc.ir.stage import Accumulator, Gauge, Lift, Monoid, Segment
from attnc.passes.derive.finish import finished
from attnc.passes.derive.improve import with_purity
from attnc.passes.derive.problem import Problem
from attnc.passes.derive.state import State


def assembled(problem: Problem, state: State) -> Monoid:
    """The monoid of a closed state, without what no output needs."""
    gauges, segments = names_of_gauges(state), state.segments
    names = _accumulator_names(state, gauges)
    finishes, needed = finished(problem, state, gauges, names)
    made = tuple(_accumulator(problem, state, place, names, gauges) for place in range(len(names)))
    accumulators = _live(made, needed)
    used = {item.gauge for item in accumulators} | needed
    kept = tuple(_made_gauge(problem, state, place, name) for place, name in enumerate(gauges) if name in used)
    return with_purity(Monoid(segments, kept, accumulators, finishes))


def _made_gauge(problem: Problem, state: State, place: int, name: str) -> Gauge:
    lifts = _scores(problem, state, place)
    return Gauge(name, _axes(problem, lifts, state.segments), lifts, op=state.references[place].op)


def _live(accumulators: tuple[Accumulator, ...], needed: set[str]) -> tuple[Accumulator, ...]:
    """Those that an output needs, directly or through a correction."""
    by_name = {item.name: item for item in accumulators}
    wanted, queue = set(needed), [name for name in needed if name in by_name]
    while queue:
        for _, name in by_name[queue.pop()].keep:
            if name not in wanted:
                wanted.add(name)
                queue.append(name)
    return tuple(item for item in accumulators if item.name in wanted)


def names_of_gauges(state: State) -> tuple[str, ...]:
    """What the references are called: as the reduction that they are, else after the first that needs them."""
    pairs = enumerate(state.references)
    return tuple(item.reduction or f"{item.maker}_top{place or ''}" for place, item in pairs)


def _accumulator_names(state: State, gauges: tuple[str, ...]) -> tuple[str, ...]:
    """What the accumulators are called: after the tensor that needs each first, and unlike any reference."""
    names: list[str] = []
    for item in state.running:
        again = sum(name == item.maker or name.startswith(f"{item.maker}_part") for name in (*names, *gauges))
        names.append(f"{item.maker}_part{again}" if again else item.maker)
    return tuple(names)


def _opener(problem: Problem) -> Callable[[Expr], Expr]:
    return lambda expr: problem.shapes.open_all(expr, problem.stored)


def _tests(opened: Callable[[Expr], Expr], when: tuple[Expr, ...] | None) -> tuple[Expr, ...]:
    return tuple(opened(test) for test in when or ())


def _accumulator(
    problem: Problem,
    state: State,
    place: int,
    names: tuple[str, ...],
    gauges: tuple[str, ...],
) -> Accumulator:
    item, opened = state.running[place], _opener(problem)
    gauge = gauges[item.gauge] if item.gauge is not None else None
    named: dict[Any, Expr] = {}
    if item.gauge is not None:
        named = {state.references[item.gauge].y: Var(f"{gauge}.shifted"), state.shift: Var(f"{gauge}.shift")}
    lifts = []
    for at, phi in enumerate(item.phis):
        if item.when[at] is None:
            continue
        body = opened(state.algebra.expr(phi, named))
        tests = _tests(opened, item.when[at])
        inside = tuple(test for test in tests if free_indices(test) & set(item.inner))
        body = Reduce(item.op, item.inner, body, inside) if item.inner else body
        lifts.append(Lift(at, body, tuple(test for test in tests if test not in inside)))
    keep = tuple((state.algebra.expr(coefficient, named), names[other]) for coefficient, other in item.keep)
    moved = () if item.gauge is None else _axes(problem, _scores(problem, state, item.gauge), state.segments)
    axes = _axes(problem, tuple(lifts), state.segments, moved)
    return Accumulator(names[place], item.op, axes, tuple(lifts), gauge, keep)


def _scores(problem: Problem, state: State, place: int) -> tuple[Lift, ...]:
    """A gauge's scores, segment by segment."""
    score, opened = state.references[place].of, _opener(problem)
    return tuple(
        Lift(at, opened(state.algebra.expr(body, {})), _tests(opened, when))
        for at, (body, when) in enumerate(zip(score.scores, score.when, strict=True))
        if body is not None and when is not None
    )


def _axes(
    problem: Problem, lifts: Sequence[Lift], segments: tuple[Segment, ...], moved: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """The indices a state carries: those of its lifts and its gauge, but for the stream's and the grid's."""
    free: set[str] = set(moved)
    for lift in lifts:
        own = {segments[lift.segment].index}
        free |= (free_indices(lift.body) | _conditions(lift.when)) - own
    return tuple(index for index in problem.order if index in free and index not in problem.outer)


def _conditions(when: tuple[Expr, ...]) -> frozenset[str]:
    return frozenset[str]().union(*(free_indices(test) for test in when))
