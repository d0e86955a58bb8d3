"""From the reductions of one stage to its monoid, or the reduction that cannot share the pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from attnc.ir.cascade import Expr, Var
from attnc.ir.stage import Monoid
from attnc.ir.types import types_of
from attnc.passes.derive.adding import add
from attnc.passes.derive.algebra import OPAQUE, Algebra, MixedError
from attnc.passes.derive.assemble import assembled, names_of_gauges
from attnc.passes.derive.close import close
from attnc.passes.derive.conditions import unified
from attnc.passes.derive.improve import improved
from attnc.passes.derive.peaks import steep
from attnc.passes.derive.problem import Problem, RefusedError, algebra_of
from attnc.passes.derive.reductions import Streamed
from attnc.passes.derive.references import Wish
from attnc.passes.derive.remembered import remembered
from attnc.passes.derive.separate import NotSeparableError
from attnc.passes.derive.state import State
from attnc.passes.derive.written import UnknownFormError


def derive(problem: Problem) -> Monoid:
    """The stage's monoid: state, corrections, and outputs in terms of it.

    Before   the reductions of one stream, each depending on the others through row values
    After    accumulators that depend on none, a gauge for each exponent, outputs over both
    Holds    because a body that is a sum of coefficient(row) * phi(stream) reduces to its phis, and a
             change of reference maps the phis to themselves linearly.
    """
    found = remembered("derived", problem, _derived)
    assert found is not None, "a derivation has a result"
    return found


def check(problem: Problem) -> None:
    """That the reductions of a stage can be kept in one pass; `RefusedError` names one that cannot."""
    remembered("checked", problem, _checked)


def _derived(problem: Problem) -> Monoid:
    problem, algebra = _opened(problem)
    wish: Wish | None = Wish()
    while wish is not None:
        state = _state(problem, algebra, wish)
        with _refusing(problem.members[-1].tensor, algebra):
            close(state)
            monoid = assembled(problem, state)
        wish = improved(state, monoid, names_of_gauges(state))
    return monoid


def _checked(problem: Problem) -> None:
    problem, algebra = _opened(problem)
    state = _state(problem, algebra, Wish())
    with _refusing(problem.members[-1].tensor, algebra):
        close(state)


def _opened(problem: Problem) -> tuple[Problem, Algebra]:
    """The problem in unified words, and its algebra; no condition of it waits for a reduction of its own."""
    kinds = types_of(problem.shapes.cascade)
    problem = replace(problem, members=unified(problem.members, kinds.__getitem__))
    algebra = algebra_of(problem)
    problem = replace(problem, members=steep(problem.members, algebra))
    for item in problem.members:
        _check_conditions(item, algebra)
    return problem, algebra


def _state(problem: Problem, algebra: Algebra, wish: Wish) -> State:
    """The reductions in order, each in terms of accumulators."""
    segments = tuple(dict.fromkeys(piece.segment for item in problem.members for piece in item.pieces))
    state = State(algebra, segments, wish)
    for item in problem.members:
        state.look_at(item)
    for item in problem.members:
        with _refusing(item.tensor, algebra):
            add(state, item)
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


def _shown(algebra: Algebra, factor: Any) -> Expr | None:
    named = {symbol: Var(name) for name, symbol in algebra.done.items() if not name.startswith(OPAQUE)}
    try:
        return algebra.expr(factor, named)
    except UnknownFormError:
        return None
