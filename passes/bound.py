"""Lower bounds on passes, by grade: of the cascade as written, of its rewrites, of the function."""

from __future__ import annotations

from dataclasses import dataclass

from attnc.diagnostics import error
from attnc.ir.cascade import Cascade
from attnc.ir.stage import Plan, Refusal, Stream
from attnc.passes.certificates import certificate
from attnc.passes.count import Count, count
from attnc.passes.families import Shapes
from attnc.passes.fewest import fewest
from attnc.passes.planned_passes import planned_passes
from attnc.passes.wording import called
from attnc.source import NOWHERE, Span

NOTES = ("GAUGE",)  # told of a plan, but no pass of it


@dataclass(frozen=True)
class Bound:
    """A lower bound and why it holds."""

    passes: int
    reason: str


@dataclass(frozen=True)
class Passes:
    """The passes over one index: as written, as planned, and three bounds.

    `cascade` holds for these statements, whatever the mapping; `rewrite` for every form within the algebra of
    the derivation; `function` for any algorithm with a state of bounded size, by a structural certificate.
    """

    as_written: int
    derived: int
    cascade: Bound
    rewrite: Bound
    function: Bound

    @property
    def optimal(self) -> bool:
        """Whether what is planned is the fewest that any algorithm needs."""
        return self.derived == self.function.passes


def passes(cascade: Cascade, plan: Plan, written: Cascade | None = None) -> dict[str, Passes]:
    """The passes over every index of an explicit cascade under a plan; `written` is it before any rewrite."""
    shapes = Shapes(cascade)
    return {index: _passes(shapes, plan, counted) for index, counted in count(written or cascade).items()}


def _passes(shapes: Shapes, plan: Plan, counted: Count) -> Passes:
    written = counted.as_written
    waiting = sorted(counted.waits.items())
    waits = ", ".join(f"pass {number} waits for {called(shapes, name)}" for number, name in waiting)
    direction = "passes in both directions" if counted.both_directions else ""
    cascade = Bound(written, waits or direction or _once(written))
    function = _function(shapes, counted)
    rewrite = max((_rewrite(shapes, counted), function), key=lambda bound: bound.passes)
    return Passes(written, _derived(shapes, plan, counted), cascade, rewrite, function)


def _derived(shapes: Shapes, plan: Plan, counted: Count) -> int:
    """The passes of a plan over an index, cut into tiles or not; over one that no stage walks, the statements'."""
    index, written = counted.ranks[0], counted.as_written
    return planned_passes(shapes, plan, index) if written and _is_walked(shapes, plan, index) else written


def _is_walked(shapes: Shapes, plan: Plan, index: str) -> bool:
    """Whether a stage streams the index or takes it in tiles."""
    streams = (stage for stage in plan.stages if isinstance(stage, Stream))
    found = {item for stage in streams for item in (stage.stream, *stage.tiled) if item is not None}
    walked = {other for item in found for other in shapes.cascade.range(item).walks}
    return any(shapes.family[item] == shapes.family[index] for item in found | walked)


def _rewrite(shapes: Shapes, counted: Count) -> Bound:
    """By the greedy rule; the cascade as written is one of its rewrites."""
    if counted.as_written <= 1:
        return Bound(counted.as_written, _once(counted.as_written))
    found = fewest(shapes, counted.index)
    if found is None:
        return Bound(counted.as_written, "recurrences are not rewritten")
    reason = ", ".join(found.reasons) or "every fold can be kept beside those that it needs"
    return Bound(min(found.passes, counted.as_written), reason)


def _function(shapes: Shapes, counted: Count) -> Bound:
    why = certificate(shapes, counted.index) if counted.as_written > 1 else ""
    return Bound(2, why) if why else Bound(min(1, counted.as_written), _once(counted.as_written))


def _once(written: int) -> str:
    return "every value is read" if written else "nothing is read along it"


def check_limits(cascade: Cascade, plan: Plan) -> None:
    """Every `require passes[index] <= limit` holds of the derived count; error A301 with what is in the way."""
    counts = count(cascade) if cascade.limits else {}
    for limit in cascade.limits:
        derived = _derived(Shapes(cascade), plan, counts[limit.index])
        if derived <= limit.limit:
            continue
        clashes = [clash for item in plan.refusals if item.code not in NOTES for clash in _clashes(item)]
        what = f"the derivation needs {derived} passes over `{limit.index}`, and {limit.limit} are allowed"
        helps = (f"allow {derived}, or change what the marked statements need",)
        raise error("A301", what, limit.span, "required here", clashes=clashes, helps=helps)


def _clashes(item: Refusal) -> list[tuple[Span, str]]:
    """Both places of a refusal, or the one that is both."""
    places = [(item.span, f"{item.code}: {item.reason}")]
    if item.clash.span != item.span:
        places.append((item.clash.span, "this is complete before"))
    return [place for place in places if place[0] != NOWHERE]
