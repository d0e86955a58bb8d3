"""From the reductions of one stage to its monoid, or the reduction that cannot share the pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from attnc.ir.cascade import Const, Expr, Map, Read, Reduce, Var
from attnc.ir.indices import free_indices
from attnc.ir.stage import Accumulator, Gauge, Lift, Monoid, Segment
from attnc.ir.walk import walk
from attnc.passes.derive.algebra import Algebra, MixedError, UnknownFormError
from attnc.passes.derive.finish import finished
from attnc.passes.derive.forms import Phis
from attnc.passes.derive.reductions import Streamed
from attnc.passes.derive.separate import NotSeparableError
from attnc.passes.derive.state import State
from attnc.passes.families import Shapes


class RefusedError(Exception):
    """A reduction of the stage cannot be kept in the same pass as those it depends on."""

    def __init__(self, tensor: str, factor: Expr | None) -> None:
        """Names the reduction and the factor that mixes."""
        super().__init__(tensor)
        self.tensor = tensor
        self.factor = factor


@dataclass(frozen=True)
class Problem:
    """One stage to derive: its reductions in order, what it emits, and what earlier stages have stored."""

    shapes: Shapes
    members: tuple[Streamed, ...]
    emits: tuple[str, ...]
    stored: frozenset[str]
    outer: tuple[str, ...]  # grid indices: scalars inside a program
    order: tuple[str, ...]  # the order of axes: parallel first, then inner


def derive(problem: Problem) -> Monoid:
    """The stage's monoid: state, corrections, and outputs in terms of it.

    Before   the reductions of one stream, each depending on the others through row values
    After    accumulators that depend on none, a gauge for each exponent, outputs over both
    Holds    because a body that is a sum of coefficient(row) * phi(stream) reduces to its phis, and a
             change of reference maps the phis to themselves linearly.
    """
    members = {item.tensor: item for item in problem.members}
    segments = tuple(dict.fromkeys(piece.segment for item in problem.members for piece in item.pieces))
    algebra = _algebra(problem, members)
    for item in problem.members:
        _check_conditions(item, algebra)
    state = _state(problem, algebra, segments, [])
    smaller = state.smaller()
    if smaller:
        state = _state(problem, algebra, segments, smaller)
    with _refusing(problem.members[-1].tensor, algebra):
        state.close()
        return _monoid(problem, state, segments)


def _state(problem: Problem, algebra: Algebra, segments: tuple[Segment, ...], preferred: list[Phis]) -> State:
    """The reductions in order, each in terms of accumulators."""
    state = State(algebra, preferred=preferred)
    for item in problem.members:
        with _refusing(item.tensor, algebra):
            state.centred = state.centred or state.centres(item)
    for item in problem.members:
        with _refusing(item.tensor, algebra):
            state.add(item, segments)
    return state


def _check_conditions(item: Streamed, algebra: Algebra) -> None:
    """A condition on a completed reduction decides point by point: it waits for the pass before."""
    for piece in item.pieces:
        for test in piece.when:
            if algebra.waits(test):
                raise RefusedError(item.tensor, test)


@contextmanager
def _refusing(tensor: str, algebra: Algebra) -> Iterator[None]:
    """What cannot be separated is a refusal of this reduction."""
    try:
        yield
    except NotSeparableError as reason:
        raise RefusedError(tensor, _shown(algebra, reason.factor)) from None
    except MixedError as reason:
        raise RefusedError(tensor, reason.expr) from None
    except UnknownFormError:
        raise RefusedError(tensor, None) from None


def _algebra(problem: Problem, members: dict[str, Streamed]) -> Algebra:
    shapes = problem.shapes
    families = {shapes.family[i] for item in problem.members for i in item.source.over if i not in item.inner}

    def is_full(expr: Expr) -> bool:
        return any(shapes.family[index] in families for index in free_indices(expr)) or _unions(shapes, expr, families)

    def completed(expr: Expr) -> str | None:
        return expr.tensor if isinstance(expr, Read) and expr.tensor in members else None

    def inline(expr: Expr) -> Expr:
        if not isinstance(expr, Read) or expr.tensor in problem.stored or expr.tensor in members:
            return expr
        value = shapes.opened(expr)
        if value is None:
            return expr
        clean = not _reaches(shapes, value, members.keys(), problem.stored)
        if clean and not isinstance(value, Map | Read | Const):
            return shapes.own(expr)
        return inline(value)

    def waits(expr: Expr) -> bool:
        return _reaches(shapes, expr, members.keys(), problem.stored)

    return Algebra(inline, is_full, completed, waits)


def _unions(shapes: Shapes, expr: Expr, families: set[str]) -> bool:
    """Whether an expression reads one part of an axis of the stream, as a virtual key does."""
    return any(
        isinstance(node, Read)
        and node.part is not None
        and any(tensor.name == node.tensor for tensor, _ in shapes.union_axes)
        for node in walk(expr)
    )


def _reaches(shapes: Shapes, expr: Expr, names: Any, stored: frozenset[str]) -> bool:
    """Whether the value of an expression depends on one of these tensors."""
    for node in walk(expr):
        if isinstance(node, Read):
            if node.tensor in names:
                return True
            if node.tensor in shapes.tensors and node.tensor not in stored:
                value = shapes.opened(node)
                if value is not None and _reaches(shapes, value, names, stored):
                    return True
    return False


def _shown(algebra: Algebra, factor: Any) -> Expr | None:
    named: dict[Any, Expr] = {symbol: Var(name) for name, symbol in algebra.done.items()}
    try:
        return algebra.expr(factor, named)
    except UnknownFormError:
        return None


def _monoid(problem: Problem, state: State, segments: tuple[Segment, ...]) -> Monoid:
    gauges = tuple(_gauge_name(state, place) for place in range(len(state.references)))
    names = _accumulator_names(state)
    used = {item.gauge for item in state.running}
    finishes, needed = finished(problem, state, gauges, names)
    made_gauges = []
    for place in range(len(state.references)):
        if place not in used and gauges[place] not in needed:
            continue
        lifts = _scores(problem, state, place)
        pure, op = gauges[place] not in needed, state.references[place].op
        made_gauges.append(Gauge(gauges[place], _axes(problem, lifts, segments), lifts, pure, op))
    accumulators = tuple(_accumulator(problem, state, place, names, gauges, segments) for place in range(len(names)))
    return Monoid(segments, tuple(made_gauges), _live(accumulators, needed), finishes)


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


def _gauge_name(state: State, place: int) -> str:
    reference = state.references[place]
    return reference.reduction or f"{reference.maker}_top{place or ''}"


def _accumulator_names(state: State) -> tuple[str, ...]:
    names: list[str] = []
    for maker in state.makers:
        again = sum(name == maker or name.startswith(f"{maker}_part") for name in names)
        names.append(f"{maker}_part{again}" if again else maker)
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
    segments: tuple[Segment, ...],
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
    moved = () if item.gauge is None else _gauge_axes(problem, state, item.gauge, segments)
    axes = _axes(problem, tuple(lifts), segments, moved)
    return Accumulator(names[place], item.op, axes, tuple(lifts), gauge, keep)


def _gauge_axes(problem: Problem, state: State, place: int, segments: tuple[Segment, ...]) -> tuple[str, ...]:
    return _axes(problem, _scores(problem, state, place), segments)


def _scores(problem: Problem, state: State, place: int) -> tuple[Lift, ...]:
    """A gauge's scores, segment by segment."""
    reference, opened = state.references[place], _opener(problem)
    return tuple(
        Lift(at, opened(state.algebra.expr(score, {})), _tests(opened, reference.when[at]))
        for at, score in enumerate(reference.scores)
        if score is not None and reference.when[at] is not None
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
