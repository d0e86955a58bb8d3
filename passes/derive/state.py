"""The state of a stage: reductions separated into accumulators, gauges chosen, shifts closed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sympy

from attnc.ir.cascade import Const, Expr, Map, Size
from attnc.ir.indices import free_indices
from attnc.ir.stage import Segment
from attnc.passes.derive.algebra import Algebra
from attnc.passes.derive.bounds import upper_bound
from attnc.passes.derive.forms import Phis, Rows, apart, power_of, ratio, rewritten, squared
from attnc.passes.derive.reductions import Streamed
from attnc.passes.derive.separate import NotSeparableError, exponent_of, normal, separate

ROUNDS = 4
SAFE_EXPONENT = 60.0  # e^60 times any length is far from overflow in float32


@dataclass
class Running:
    """An accumulator under construction: op, phis in terms of `y` where it has a gauge, and its correction."""

    op: str
    phis: Phis
    when: tuple[tuple[Expr, ...] | None, ...]
    gauge: int | None = None
    keep: list[tuple[Any, int]] = field(default_factory=list)
    inner: tuple[str, ...] = ()
    key: object = None  # equal for equal accumulators


@dataclass
class Reference:
    """A gauge under construction: its scores per segment, and the reduction that it is, if it is one."""

    scores: Phis
    when: tuple[tuple[Expr, ...] | None, ...]
    reduction: str | None
    rho: Any
    y: Any
    maker: str = ""
    op: str = "max"
    factor: Any = 1  # the reduction is this multiple of the reference
    uses: set[Any] = field(default_factory=set)  # the multiples of the score that exponents take


@dataclass
class State:
    """All that a stage keeps, and each reduction's value in terms of it."""

    algebra: Algebra
    shift: Any = field(default_factory=lambda: sympy.Symbol("d", real=True))
    running: list[Running] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    symbols: list[Any] = field(default_factory=list)
    makers: list[str] = field(default_factory=list)
    maker: str = ""
    points: tuple[bool, ...] = ()
    extents: Phis = ()
    centred: bool = False
    squares: set[Any] = field(default_factory=set)
    preferred: list[Phis] = field(default_factory=list)

    def smaller(self) -> list[Phis]:
        """Scores of which those of a reference are a multiple, where exponents take them: the reference's own form.

        exp(2 * S) beside exp(S) keeps the maximum of S, in whatever order they come.
        """
        found = []
        for item in self.references:
            least = min(item.uses, default=sympy.Integer(1))
            if least < 1:
                found.append(tuple(None if score is None else least * score for score in item.scores))
        return found

    def centres(self, item: Streamed) -> bool:
        """Whether a sum takes powers of a distance to a completed reduction, as a variance does."""
        done = set(self.algebra.done.values())
        for piece in item.pieces if item.op == "sum" else ():
            terms = separate(self.algebra.of(piece.body), self.algebra.full, set(self.algebra.done.values()))
            plain = [c for phi, c in terms.items() if not phi.has(sympy.exp)]
            squares = {base for phi in terms if (base := squared(phi)) is not None}
            self.squares |= squares
            if squares and any(c.free_symbols & (done | set(self.algebra.done.values())) for c in plain):
                return True
        return False

    def add(self, item: Streamed, segments: tuple[Segment, ...]) -> None:
        """One more reduction; raises `NotSeparableError` where it cannot be kept in the same pass."""
        self.maker, self.points = item.tensor, tuple(segment.index is None for segment in segments)
        self.extents = tuple(self._extent(segment) for segment in segments)
        bodies = {piece.segment: self.algebra.of(piece.body) for piece in item.pieces}
        when = tuple(next((p.when for p in item.pieces if p.segment == s), None) for s in segments)
        phis = tuple(bodies.get(segment) for segment in segments)
        if item.op == "sum":
            self.values[item.tensor] = self._sum(phis, when, item)
        elif item.op in ("max", "min"):
            self.values[item.tensor] = self._extremum(item, phis, when)
        else:
            self.values[item.tensor] = self._plain(item.op, phis, when, item.inner)

    def _counts(self, phis: Phis, when: tuple[tuple[Expr, ...] | None, ...], inner: tuple[str, ...]) -> bool:
        """Whether a sum only counts points, all of them: it is known before the stream is read."""
        return not inner and all(phi.is_number and not test for phi, test in zip(phis, when, strict=True) if phi != 0)

    def _count(self, phis: Phis) -> Any:
        return sum((phi * extent for phi, extent in zip(phis, self.extents, strict=True)), sympy.Integer(0))

    def _extent(self, segment: Segment) -> Any:
        """How many points a segment has: what a sum of ones without a condition is."""
        if segment.index is None:
            return sympy.Integer(1)
        if segment.lo == Const(0) and isinstance(segment.hi, Size):
            return self.algebra.of(segment.hi)
        return self.algebra.of(Map("max", (Map("sub", (segment.hi, segment.lo)), Const(0))))

    # ---- sums ------------------------------------------------------------------------------

    def _sum(self, bodies: Phis, when: tuple[tuple[Expr, ...] | None, ...], item: Streamed) -> Any:
        full, done = self.algebra.full, set(self.algebra.done.values())
        rows = Rows(len(bodies))
        for place, body in enumerate(bodies):
            if body is not None:
                rows.add(place, separate(body, body.free_symbols - done if self.points[place] else full, done))
        total = sympy.Integer(0)
        for coefficient, phis in rows:
            self._check_inner(coefficient, item)
            total += coefficient * self._accumulated(tuple(phis), when, item.inner)
        return total

    def _check_inner(self, coefficient: Any, item: Streamed) -> None:
        for symbol in coefficient.free_symbols:
            atom = self.algebra.atoms.get(symbol)
            if atom is not None and free_indices(atom) & set(item.inner):
                raise NotSeparableError(coefficient)

    def _accumulated(self, phis: Phis, when: tuple[tuple[Expr, ...] | None, ...], inner: tuple[str, ...]) -> Any:
        """A sum of phis by way of accumulators: each with the coefficient that its gauge brings."""
        if self._counts(phis, when, inner):
            return self._count(phis)
        place = self._gauge(phis, when)
        if place is None:
            return self._symbol("sum", phis, when, None, inner)
        reference = self.references[place]
        pairs = zip(phis, reference.scores, strict=True)
        reference.uses |= {ratio(exponent_of(phi), score) for phi, score in pairs if reference.op == "max" and phi != 0}
        result = sympy.Integer(0)
        for coefficient, shifted in self._in_gauge(phis, reference):
            known = self._counts(shifted, when, inner)
            result += coefficient * (
                self._count(shifted) if known else self._symbol("sum", shifted, when, place, inner)
            )
        return result

    def _in_gauge(self, phis: Phis, reference: Reference) -> Rows:
        """The phis written with y = score - rho: coefficients of rho, each with its phis of y."""
        rows = Rows(len(phis))
        for place, phi in enumerate(phis):
            if phi == 0:
                continue
            shifted = rewritten(phi, reference.scores[place], reference.y + reference.rho)
            stream = (shifted.free_symbols - {reference.rho}) | {reference.y}
            rows.add(place, separate(shifted, stream, {reference.rho}))
        return rows

    def _gauge(self, phis: Phis, when: tuple[tuple[Expr, ...] | None, ...]) -> int | None:
        """The reference that keeps these phis in range: one there is, a new one, or none where none is needed."""
        arguments = tuple(exponent_of(phi) if phi != 0 else sympy.Integer(0) for phi in phis)
        if all(argument == 0 for argument in arguments):
            return self._moment_gauge(phis, when) if self.centred else None
        if self._bounded(phis):
            return None
        for place, reference in enumerate(self.references):
            if reference.op == "max" and self._serves(reference, arguments, when):
                return place
        return self._reference(arguments, when, None)

    def _serves(self, reference: Reference, arguments: Phis, when: tuple[tuple[Expr, ...] | None, ...]) -> bool:
        """Whether every exponent is one positive multiple of the score, at points that the maximum folds too."""
        ratios = set()
        for place, (score, argument) in enumerate(zip(reference.scores, arguments, strict=True)):
            if argument == 0:
                continue
            if score is None or not set(reference.when[place] or ()) <= set(when[place] or ()):
                return False
            ratios.add(ratio(argument, score))
        return all(item.is_number and item.is_positive for item in ratios) and len(ratios) == 1

    def _bounded(self, phis: Phis) -> bool:
        named: dict[Any, Expr] = {}
        for phi in phis:
            argument = exponent_of(phi) if phi != 0 else sympy.Integer(0)
            if argument != 0 and upper_bound(self.algebra.expr(argument, named)) > SAFE_EXPONENT:
                return False
        return True

    def _moment_gauge(self, phis: Phis, when: tuple[tuple[Expr, ...] | None, ...]) -> int | None:
        """Second moments of a score are kept about a value near its mean: plain sums of squares would cancel."""
        for place, reference in enumerate(self.references):
            if reference.op == "mean" and all(
                phi == 0 or power_of(phi, score) for phi, score in zip(phis, reference.scores, strict=True)
            ):
                return place
        bases = tuple(squared(phi) or (phi if phi in self.squares else None) for phi in phis)
        if any(base is None and phi != 0 for base, phi in zip(bases, phis, strict=True)) or not any(bases):
            return None
        place = self._reference(bases, when, None)
        self.references[place].op = "mean"
        return place

    def _reference(self, scores: Phis, when: tuple[tuple[Expr, ...] | None, ...], reduction: str | None) -> int:
        number = len(self.references)
        rho, y = sympy.Symbol(f"rho{number}", real=True), sympy.Symbol(f"y{number}", real=True)
        kept = tuple(
            score if test is not None and score != 0 else None for score, test in zip(scores, when, strict=True)
        )
        factor, kept = self._scaled(kept)
        name = reduction if factor == 1 else None
        self.references.append(Reference(kept, when, name, rho, y, self.maker, factor=factor))
        return number

    def _scaled(self, scores: Phis) -> tuple[Any, Phis]:
        """The preferred scores that these are a multiple of, and the multiple; else themselves."""
        for own in self.preferred:
            pairs = [(a, b) for a, b in zip(scores, own, strict=True) if a is not None or b is not None]
            if any(a is None or b is None for a, b in pairs):
                continue
            found = {ratio(a, b) for a, b in pairs}
            if len(found) == 1 and all(item.is_number and item > 1 for item in found):
                return found.pop(), own
        return sympy.Integer(1), scores

    def _symbol(
        self, op: str, phis: Phis, when: tuple[tuple[Expr, ...] | None, ...], gauge: int | None, inner: tuple[str, ...]
    ) -> Any:
        """The accumulator with these phis: one there is, or a new one."""
        used = tuple(test if phi != 0 else None for phi, test in zip(phis, when, strict=True))
        if gauge is not None and not any(phi.has(self.references[gauge].y) for phi in phis if phi != 0):
            gauge = None  # what does not move with the reference needs no correction
        key = (op, tuple(normal(phi) for phi in phis), used, gauge, inner)
        for place, item in enumerate(self.running):
            if item.key == key:
                return self.symbols[place]
        self.running.append(Running(op, phis, used, gauge, [], inner, key))
        self.makers.append(self.maker)
        self.symbols.append(sympy.Symbol(f"A{len(self.symbols)}", real=True))
        return self.symbols[-1]

    # ---- the other folds -------------------------------------------------------------------

    def _extremum(self, item: Streamed, bodies: Phis, when: tuple[tuple[Expr, ...] | None, ...]) -> Any:
        """max(a + g) = max(a) + g where g is completed; a maximum is kept as a gauge, for others may need it."""
        full, done = self.algebra.full, set(self.algebra.done.values())
        parts = [apart(body, done) if body is not None else (None, sympy.Integer(0)) for body in bodies]
        offsets = {offset for body, (_, offset) in zip(bodies, parts, strict=True) if body is not None}
        if len(offsets) > 1 or item.inner:
            raise NotSeparableError(next(iter(offsets), sympy.Integer(0)))
        offset = offsets.pop() if offsets else sympy.Integer(0)
        if offset.free_symbols & full:
            raise NotSeparableError(offset)
        scores = tuple(score for score, _ in parts)
        if item.op == "min":
            return offset + self._symbol(
                "min", tuple(sympy.Integer(0) if s is None else s for s in scores), when, None, ()
            )
        place = self._reference(tuple(sympy.Integer(0) if s is None else s for s in scores), when, item.tensor)
        reference = self.references[place]
        if reference.factor == 1:
            reference.scores = scores
        return offset + reference.factor * reference.rho

    def _plain(self, op: str, bodies: Phis, when: tuple[tuple[Expr, ...] | None, ...], inner: tuple[str, ...]) -> Any:
        done = set(self.algebra.done.values())
        for body in bodies:
            if body is not None and body.free_symbols & done:
                raise NotSeparableError(body)
        return self._symbol(op, tuple(sympy.Integer(0) if b is None else b for b in bodies), when, None, inner)

    # ---- closure ---------------------------------------------------------------------------

    def close(self) -> None:
        """Give every gauged accumulator its correction, adding those that corrections need."""
        place, born = 0, dict[int, int]()
        while place < len(self.running):
            item = self.running[place]
            if item.gauge is not None and item.op == "sum":
                age = born.get(place, 0)
                if age > ROUNDS:
                    raise NotSeparableError(item.phis[0])
                for coefficient, phis in self._shifted(item):
                    before = len(self.running)
                    symbol = self._symbol("sum", phis, item.when, item.gauge, item.inner)
                    if len(self.running) > before:
                        born[before] = age + 1
                    item.keep.append((coefficient, self.symbols.index(symbol)))
            place += 1

    def _shifted(self, item: Running) -> Rows:
        """phi(y + d) as coefficients of d, each with its phis of y."""
        assert item.gauge is not None
        y = self.references[item.gauge].y
        rows = Rows(len(item.phis))
        for place, phi in enumerate(item.phis):
            if phi == 0:
                continue
            moved = phi.subs(y, y + self.shift)
            stream = (moved.free_symbols - {self.shift}) | {y}
            rows.add(place, separate(moved, stream, {self.shift}))
        return rows
