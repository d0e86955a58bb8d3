"""What a backward reads of a stage's finished state, in the reference that leaves least to keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from attnc.ir.cascade import Choose, Const, Coord, Expr, Map, Read, Type, Var
from attnc.ir.node import Node
from attnc.ir.stage import Accumulator, Finish, Gauge, Stream
from attnc.ir.types import type_of
from attnc.ir.walk import bottom_up, substitute
from attnc.passes.derive.probe import depends
from attnc.passes.differentiate.pullback import ONE, ZERO, div, mul
from attnc.passes.simplify import simplify

Types = Callable[[str], Type]


@dataclass(frozen=True)
class Component:
    """A component of the state as its backward reads it.

    `read` is a constant, an output of the stage, or a tensor that the stage has to emit besides, of this `value`.
    A moved reference is held in two parts, the maximum and what it is moved by: each is exact where their sum, at
    large scores, would have lost the low bits of a difference.
    """

    read: Expr
    value: Expr
    type: Type
    output: bool = False
    moved: Component | None = None

    @property
    def parts(self) -> tuple[Component, ...]:
        """This and what it is moved by."""
        return (self,) if self.moved is None else (self, self.moved)

    @property
    def whole(self) -> Expr:
        """Its value."""
        return self.read if self.moved is None else Map("add", (self.read, self.moved.read))


@dataclass(frozen=True)
class Norm:
    """A sum of positive weights exp(times * (s - r)) by which a reference can be moved so that the sum is 1."""

    sum: Accumulator
    times: int | float


def state_of(
    stream: Stream, first: str, types: Types, fresh: Callable[[str], str], *, precise: bool = False
) -> dict[str, Component]:
    """Each component of a stage's state as its backward reads it; `first` is the program's first output.

    That is rounded as it is given out: no reference is read from it, and nothing at all where gradients are to be
    `precise`, being wider than it is.

    Before   a maximum r, d = sum(exp(s - r)), o = sum(exp(s - r) * V)
    After    r + log d in the place of r: then d is 1, and o is what softmax attention gives out
    Holds    because a change of reference changes every sum by its correction.
    """
    norms = {item.name: None if fixed(stream, item) else _norm(stream, item) for item in stream.monoid.gauges}
    rounded = {part.name: first if precise or isinstance(part, Gauge) else "" for part in stream.monoid.parts}
    found = {part.name: _kept(stream, part, norms, rounded[part.name], types, fresh) for part in stream.monoid.parts}
    return found | dict(_quotients(stream, found, first if precise else ""))


def _quotients(stream: Stream, found: dict[str, Component], rounded: str) -> Iterator[tuple[str, Component]]:
    """The sums that an output is the quotient of: o = O * d where O = o / d, which is there anyway."""
    plain = {item.name: item for item in stream.monoid.accumulators if item.gauge is None}
    for finish in stream.monoid.finishes:
        match finish.value:
            case Choose(_, _, Map("div", (Var(above), Var(below)))) | Map("div", (Var(above), Var(below))):
                both = above in plain and below in plain and above != below and not finish.when
                both = both and finish.tensor != rounded
                if both and set(finish.left) == {*map(Coord, (*stream.grid, *plain[above].axes))}:
                    value = Map("mul", (Read(finish.tensor, finish.left), found[below].read))
                    yield above, Component(value, Var(above), "real", output=True)


def fixed(stream: Stream, gauge: Gauge) -> bool:
    """Whether an output depends on the reference being the one it is, and is more than that reference."""
    monoid = stream.monoid
    return any(item.value != Var(gauge.name) and depends(monoid, item, gauge) for item in monoid.finishes)


def _kept(
    stream: Stream,
    part: Gauge | Accumulator,
    norms: dict[str, Norm | None],
    rounded: str,
    types: Types,
    fresh: Callable[[str], str],
) -> Component:
    norm = norms.get(part.name if isinstance(part, Gauge) else part.gauge or "")
    if norm is not None and part is norm.sum:
        return Component(ONE, ONE, "real")
    axes = tuple(map(Coord, (*stream.grid, *part.axes)))
    if isinstance(part, Gauge) and norm is not None:
        moved = Component(Read(fresh(f"{norm.sum.name}_log"), axes), _log(norm), "real")
        return Component(Read(fresh(f"{part.name}_kept"), axes), Var(part.name), "real", moved=moved)
    value = Var(part.name) if isinstance(part, Gauge) else _about(part, norm)
    ones: dict[Node, Node] = {Var(item.sum.name): ONE for item in norms.values() if item is not None}
    for finish in stream.monoid.finishes:
        elsewhere = norm is not None and finish.value == Var(part.name)
        if finish.tensor != rounded and not elsewhere and _is_output(stream, part, finish, ones, types):
            return Component(Read(finish.tensor, finish.left), value, "real", output=True)
    return Component(Read(fresh(f"{part.name}_kept"), axes), value, _type_of(part, types))


def _norm(stream: Stream, gauge: Gauge) -> Norm | None:
    """The sum that a reference is moved by: the one with the smallest exponent."""
    found = []
    for item in stream.monoid.accumulators:
        times = _times(item, gauge) if item.gauge == gauge.name and item.op == "sum" else None
        if times is not None and set(item.axes) == set(gauge.axes):
            found.append(Norm(item, times))
    return min(found, key=lambda norm: norm.times, default=None)


def _times(item: Accumulator, gauge: Gauge) -> int | float | None:
    """The number c where an accumulator adds up exp(c * (s - r)) and nothing else."""
    bodies = {_power(lift.body, gauge.shifted) for lift in item.lifts}
    if len(item.keep) != 1 or item.keep[0][1] != item.name or len(bodies) != 1:
        return None
    (times,) = bodies
    return times if times is not None and _power(item.keep[0][0], gauge.shift) == times else None


def _power(expr: Expr, name: str) -> int | float | None:
    """The number c where an expression is exp(c * name)."""
    match expr:
        case Map("exp", (Var(own),)) if own == name:
            return 1
        case Map("exp", (Map("mul", (Const(c), Var(own))),)) if own == name and not isinstance(c, bool) and c > 0:
            return c
        case _:
            return None


def _log(norm: Norm) -> Expr:
    """How far the reference is moved so that its norm is 1; nothing for a row that has seen nothing."""
    size = Map("log", (Var(norm.sum.name),))
    by = size if norm.times == 1 else div(size, Const(float(norm.times)))
    return Choose(Map("eq", (Var(norm.sum.name), ZERO)), ZERO, by)


def _about(item: Accumulator, norm: Norm | None) -> Expr:
    """An accumulator about the moved reference."""
    if norm is None or not item.keep:
        return Var(item.name)
    total: Expr | None = None
    for coefficient, name in item.keep:
        term = _scaled(coefficient, Var(name), norm, f"{item.gauge}.shift")
        total = term if total is None else Map("add", (total, term))
    assert total is not None
    return Choose(Map("eq", (Var(norm.sum.name), ZERO)), ZERO, total)


def _scaled(coefficient: Expr, value: Expr, norm: Norm, shift: str) -> Expr:
    """coefficient * value where the shift is -log(norm) / times."""
    size = Var(norm.sum.name)
    if _power(coefficient, shift) == norm.times:
        return div(value, size)
    log = Map("neg", (div(Map("log", (size,)), Const(float(norm.times))),))
    if _power(coefficient, shift) is not None or not isinstance(coefficient, Map) or coefficient.op != "mul":
        return mul(substitute(coefficient, {Var(shift): log}), value)
    one, other = coefficient.args
    return _scaled(one, _scaled(other, value, norm, shift), norm, shift)


def _is_output(stream: Stream, part: Gauge | Accumulator, finish: Finish, ones: dict[Node, Node], types: Types) -> bool:
    """Whether an output of the stage is this component about the moved references."""
    axes = (*stream.grid, *part.axes)
    plain = set(finish.left) == set(map(Coord, axes)) and len(finish.left) == len(axes) and not finish.when
    if not plain:
        return False
    value = simplify(substitute(finish.value, ones), lambda name: "real" if name == part.name else types(name))
    return bool(bottom_up(value, _without_zero) == Var(part.name))


def _without_zero(node: Node) -> Node | None:
    match node:
        case Map("add" | "sub", (x, Const(0.0))) | Map("add", (Const(0.0), x)):
            return x
        case _:
            return None


def _type_of(part: Gauge | Accumulator, types: Types) -> Type:
    if isinstance(part, Gauge) or part.gauge:
        return "real"
    if part.op in ("any", "all"):
        return "bool"
    return "real" if any(type_of(lift.body, types) == "real" for lift in part.lifts) else "int"
