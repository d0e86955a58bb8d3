"""Whether subscripts lie on their axes: provably, by a test at run time, or never."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from attnc.diagnostics import AttnError, error
from attnc.ir.cascade import Const, Coord, Expr, Map, Range, Read, Size
from attnc.ir.indices import free_indices
from attnc.ir.print_expression import show
from attnc.ir.walk import walk
from attnc.passes.names.points import Conditions, rebuilt
from attnc.passes.names.reads import Interval, axes_of, own_part
from attnc.passes.names.scope import Scope
from attnc.passes.prove import Facts
from attnc.passes.sums import from_terms, linear_terms, normal


@dataclass
class Inside:
    """Decides the reads of one attention, whose requirements and ranges are `facts`."""

    scope: Scope
    facts: Facts
    _axes: dict[str, list[Interval]] = field(default_factory=dict)
    _with: dict[tuple[Expr, ...], Facts] = field(default_factory=dict)

    def settled(self, expr: Expr, *, own: bool = True) -> Expr:
        """The expression with each read tested along those axes only where it is not provably inside.

        A bare index that is not, or a read that never is inside, is a mistake; `own` says whether the
        expression was written here: what a call brings along has been looked at where it stands.
        """

        def change(node: Expr, around: Conditions) -> Expr:
            return self._read(node, around, own) if isinstance(node, Read) else node

        return rebuilt(expr, change)

    def _read(self, node: Read, around: Conditions, own: bool) -> Read:
        part = own_part(self.scope, node.tensor, node.subs)
        if part is not None:
            return replace(node, tested=(), part=part)
        if node.tensor not in self._axes:
            self._axes[node.tensor] = axes_of(self.scope, node.tensor)
        tested = tuple(axis for axis in node.tested if not self._decided(node, axis, around, own))
        return replace(node, tested=tested, part=None)

    def _decided(self, node: Read, axis: int, around: Conditions, own: bool) -> bool:
        sub, (lo, hi) = node.subs[axis], self._axes[node.tensor][axis]
        if self.scope.kind(sub) != "int" or self._whole_axis(sub, lo, hi):
            return True
        inside = Map("and", (Map("le", (lo, sub)), Map("lt", (sub, hi))))
        if self._knowing(_lasting(sub, around)).implies(inside):
            return True
        everything = self._knowing([item.test for item in around])
        if isinstance(sub, Coord):
            if not everything.implies(inside):
                self.scope.mistakes.add(_runs_out(self, node, axis, sub).diagnostics)
        elif own and self._never(everything, sub, inside, around):
            self.scope.mistakes.add(_never_inside(node, sub, (lo, hi)).diagnostics)
        return False

    def _whole_axis(self, sub: Expr, lo: Expr, hi: Expr) -> bool:
        if not isinstance(sub, Coord):
            return False
        item = self.scope.ranges[sub.index]
        return (item.lo, item.hi) == (lo, hi) or (normal(item.lo), normal(item.hi)) == (normal(lo), normal(hi))

    def _knowing(self, tests: Iterable[Expr]) -> Facts:
        key = tuple(tests)
        if key not in self._with:
            self._with[key] = self.facts.also(*key)
        return self._with[key]

    def _never(self, facts: Facts, sub: Expr, inside: Expr, around: Conditions) -> bool:
        """Whether a subscript is outside its axis at every point there is, and nobody asks whether it is."""
        if any(item.kind == "absence" for item in around):
            return False
        ranges = [self.scope.ranges[index] for index in sorted(free_indices(sub))]
        if any(_single(item) for item in ranges):  # of an extent that an option made 1, nothing follows in general
            return False
        some = Map("and", tuple(Map("le", (item.lo, Coord(item.index))) for item in ranges))
        return facts.excludes(inside) and not facts.excludes(some)


def _lasting(sub: Expr, around: Conditions) -> list[Expr]:
    """The conditions that may replace a test of this subscript.

    A clause may if it mentions nothing but the subscript's indices: it is then folded, or kept, wherever the
    test would be. The side of an `if` may where it shares an index: what is loaded there is guarded by it.
    """
    own = free_indices(sub)
    found = []
    for item in around:
        mentioned = free_indices(item.test)
        if mentioned & own and (item.kind == "branch" or mentioned <= own):
            found.append(item.test)
    return found


def _single(item: Range) -> bool:
    extent = normal(Map("sub", (item.hi, item.lo)))
    return isinstance(extent, Const) and extent.value <= 1


def _runs_out(inside: Inside, node: Read, axis: int, sub: Coord) -> AttnError:
    """The error for a bare index that may leave the axis it is read on."""
    scope = inside.scope
    run, (lo, hi) = scope.ranges[sub.index], inside._axes[node.tensor][axis]
    given = scope.inputs.get(node.tensor)
    own = given.indices[axis] if given is not None else ""
    what = f"axis {own} of `{node.tensor}`" if own else f"axis {axis + 1} of `{node.tensor}`"
    clash = ((scope.ranges[own].span, f"{own} comes from here"),) if own else ((run.span, f"{sub.index} runs here"),)
    if not inside.facts.implies(Map("le", (lo, Coord(sub.index)))):
        message = f"index {sub.index} starts at {show(run.lo)}, and {show(lo)} <= {show(run.lo)} does not follow"
        helps = _within(lo, run.lo, f"{show(lo)} <= {sub.index}")
        return error("A207", message, node.span, what, clashes=clash, helps=helps)
    here, there = show(normal(run.hi)), show(normal(hi))
    message = f"index {sub.index} (extent {here}) is read on an axis of extent {there}"
    if run.lo != Const(0) or lo != Const(0):
        message = f"index {sub.index} runs up to {here} and is read on an axis that ends at {there}"
    message = f"{message}, and {here} <= {there} does not follow"
    plain = isinstance(run.hi, Size) and isinstance(hi, Size)
    helps = _within(run.hi, hi, f"{sub.index} < {there}")
    helps = (f"`require {here} == {there}`, or rename the axis",) if plain else helps
    return error("A207", message, node.span, what, clashes=clash, helps=helps)


def _within(a: Expr, b: Expr, inside: str) -> tuple[str, ...]:
    """What makes a <= b hold: a requirement, where sizes decide it, or a condition."""
    condition = f"restrict the value: `.. where {inside}`"
    sizes = any(isinstance(node, Size) for term in linear_terms(Map("sub", (b, a))) for node in walk(term))
    return (f"`require {_no_more(a, b)}`", f"or {condition}") if sizes else (condition,)


def _no_more(a: Expr, b: Expr) -> str:
    """a <= b with what is subtracted on the other side: 0 <= N - M as M <= N."""
    terms = linear_terms(Map("sub", (b, a)))
    right = {term: factor for term, factor in terms.items() if factor > 0}
    left = {term: -factor for term, factor in terms.items() if factor < 0}
    return f"{show(from_terms(left))} <= {show(from_terms(right))}"


def _never_inside(node: Read, sub: Expr, axis: Interval) -> AttnError:
    text = sub.span.text or show(sub)
    return error(
        "A212",
        f"`{text}` is outside this axis of `{node.tensor}` at every point",
        sub.span if sub.span.text else node.span,
        f"positions are {show(axis[0])} up to {show(normal(Map('sub', (axis[1], Const(1)))))}",
        notes=("a read outside its axis is absent, and so is what is computed from it",),
        helps=("`default(x, v)` is v where x is absent",),
    )
