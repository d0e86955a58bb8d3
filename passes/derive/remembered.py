"""What was derived once in a process is not derived again: problems are told by structure, wherever they stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

from attnc.ir.node import Node
from attnc.ir.stage import Monoid
from attnc.ir.walk import bottom_up, walk
from attnc.passes.derive.problem import Problem, RefusedError
from attnc.source import Span

MOST = 256  # problems that are kept, the oldest of which goes first


@dataclass(frozen=True)
class _Outcome:
    """A problem as it was met first, and what came of it."""

    problem: Problem
    monoid: Monoid | None
    refused: RefusedError | None


_KNOWN: dict[tuple[str, Problem], _Outcome] = {}


def remembered(kind: str, problem: Problem, work: Callable[[Problem], Monoid | None]) -> Monoid | None:
    """What the work gives or raises on a problem, worked out once and pointing at this problem's own places."""
    known = _KNOWN.get((kind, problem))
    if known is None:
        known = _KNOWN[kind, problem] = _worked_out(problem, work)
        if len(_KNOWN) > MOST:
            _KNOWN.pop(next(iter(_KNOWN)), None)
    places = _places(known.problem, problem)
    if known.refused is not None:
        raise RefusedError(known.refused.tensor, _moved(known.refused.factor, places))
    return cast(Monoid | None, _moved(known.monoid, places))


def _worked_out(problem: Problem, work: Callable[[Problem], Monoid | None]) -> _Outcome:
    try:
        return _Outcome(problem, work(problem), None)
    except RefusedError as refused:
        return _Outcome(problem, None, refused)


def _places(old: Problem, new: Problem) -> dict[Span, Span]:
    """Where each place of one cascade is in another of the same structure."""
    if old.shapes.cascade is new.shapes.cascade:
        return {}
    pairs = zip(walk(old.shapes.cascade), walk(new.shapes.cascade), strict=True)
    return {before.span: after.span for before, after in pairs}


def _moved(node: Any, places: dict[Span, Span]) -> Any:
    """A node with every place in it where it is now."""

    def rule(below: Node) -> Node | None:
        return replace(below, span=places[below.span]) if places.get(below.span, below.span) != below.span else None

    return node if node is None or not places else bottom_up(node, rule)
