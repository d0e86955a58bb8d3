"""A plan as text: each stage with its state, what enters it and what comes out."""

from __future__ import annotations

from collections.abc import Iterator

from attnc.ir.cascade import Coord, Expr
from attnc.ir.print_expression import PRODUCT, Sizes, capital, show, show_where
from attnc.ir.stage import POINT, Accumulator, Finish, Gauge, Host, Lift, Monoid, Plan, Segment, Stream

INDENT = "    "


def show_plan(plan: Plan, sizes: Sizes = capital) -> str:
    """The stages in order of execution."""
    lines: list[str] = []
    for stage in plan.stages:
        match stage:
            case Stream():
                lines += _stream(stage, sizes)
            case Host():
                lines.append(_host(stage))
    return "\n".join(lines) + "\n"


def _stream(stage: Stream, sizes: Sizes) -> Iterator[str]:
    walked = [f"one pass over {stage.stream}"] if stage.stream else []
    tiles = [f"tiles of {' and '.join(stage.tiled)}"] if stage.tiled else []
    grid = [f"one program per ({', '.join(stage.grid)})"] if stage.grid else []
    yield f"stream {stage.name}: {', '.join((*walked, *tiles, *grid))}"
    yield from (INDENT + line for line in show_monoid(stage.monoid, sizes))


def _host(stage: Host) -> str:
    weight = "heavy" if stage.heavy else "light"
    why = f"; {stage.refusal.code}: {stage.refusal.reason}" if stage.refusal else ""
    return f"host {stage.name}: {', '.join(stage.tensors)} ({weight}{why})"


def show_monoid(monoid: Monoid, sizes: Sizes = capital) -> Iterator[str]:
    """The segments, gauges, accumulators and outputs of a state, one line each."""
    alone = monoid.segments == (POINT,)
    for number, segment in enumerate(monoid.segments):
        yield f"segment {number}: {'one point' if alone else _segment(segment, sizes)}"
    for gauge in monoid.gauges:
        yield _gauge(gauge, sizes)
    for accumulator in monoid.accumulators:
        yield _accumulator(accumulator, sizes)
    for finish in monoid.finishes:
        yield _finish(finish, sizes)


def _segment(item: Segment, sizes: Sizes) -> str:
    if item.index is None:
        return f"one more point at {show(item.lo, sizes)}"
    where = "" if item.at == Coord(item.index) else f" at {show(item.at, sizes)}"
    return f"{show(item.lo, sizes)} <= {item.index} < {show(item.hi, sizes)}{where}"


def _axes(axes: tuple[str, ...]) -> str:
    return f"[{','.join(axes)}]" if axes else ""


def _lifts(op: str, lifts: tuple[Lift, ...], sizes: Sizes) -> str:
    return "; ".join(f"segment {lift.segment}: {op}({show_where(lift.body, lift.when, sizes)})" for lift in lifts)


def _gauge(item: Gauge, sizes: Sizes) -> str:
    pure = "pure" if item.pure else "shows in the result"
    return f"gauge {item.name}{_axes(item.axes)} ({pure}) = {_lifts('max', item.lifts, sizes)}"


def _accumulator(item: Accumulator, sizes: Sizes) -> str:
    kept = " + ".join(_term(coef, name, sizes) for coef, name in item.keep)
    correction = f", corrected to {kept}" if kept else ""
    return f"{item.name}{_axes(item.axes)} = {_lifts(item.op, item.lifts, sizes)}{correction}"


def _term(coef: Expr, name: str, sizes: Sizes) -> str:
    return f"{show(coef, sizes, PRODUCT)} * {name}"


def _finish(item: Finish, sizes: Sizes) -> str:
    left = f"[{','.join(show(sub, sizes) for sub in item.left)}]" if item.left else ""
    return f"{item.tensor}{left} = {show_where(item.value, item.when, sizes)}"
