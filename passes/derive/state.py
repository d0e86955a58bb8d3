"""The state of a stage: reductions separated into accumulators, each with the reference that keeps it in range."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import sympy

from attnc.ir.cascade import Const, Expr, Map, Reduce, Size
from attnc.ir.indices import free_indices
from attnc.ir.stage import Segment
from attnc.passes.derive.algebra import Algebra, MixedError
from attnc.passes.derive.bounds import Interval
from attnc.passes.derive.exponents import exponent_of, normal, without_exponent
from attnc.passes.derive.forms import Phis, Rows, apart, base_of, ratio, rewritten
from attnc.passes.derive.reductions import Streamed
from attnc.passes.derive.references import (
    SAFE_EXPONENT,
    Reference,
    Score,
    Whens,
    Wish,
    arguments_of,
    is_moment,
    same_score,
)
from attnc.passes.derive.separate import NotSeparableError, separate


@dataclass
class Running:
    """An accumulator under construction: op, phis in terms of `y` where it has a gauge, and its correction."""

    op: str
    phis: Phis
    when: Whens
    symbol: Any
    maker: str
    gauge: int | None = None
    keep: list[tuple[Any, int]] = field(default_factory=list)
    inner: tuple[str, ...] = ()
    key: object = None  # equal for equal accumulators
    one_sided: bool = False  # without a reference, for its exponent is bounded from above


@dataclass
class State:
    """All that a stage keeps, and each reduction's value in terms of it."""

    algebra: Algebra
    segments: tuple[Segment, ...]
    wish: Wish
    shift: Any = field(default_factory=lambda: sympy.Symbol("d", real=True))
    running: list[Running] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    maker: str = ""
    bases: set[Any] = field(default_factory=set)  # what a sum takes powers of

    @property
    def done(self) -> set[Any]:
        """The symbols of completed reductions and of functions of them."""
        return set(self.algebra.done.values())

    def look_at(self, item: Streamed) -> None:
        """Note what a sum takes powers of, as a variance does of the distance to a mean."""
        for piece in item.pieces if item.op == "sum" else ():
            with suppress(NotSeparableError, MixedError):  # said when the reduction's turn has come
                terms = separate(self.algebra.of(piece.body), self.algebra.full, self.done)
                self.bases |= {base for phi in terms if (base := base_of(phi)) is not None}

    def add(self, item: Streamed) -> None:
        """One more reduction; raises `NotSeparableError` where it cannot be kept in the same pass."""
        self.maker = item.tensor
        bodies = {piece.segment: self.algebra.of(piece.body) for piece in item.pieces}
        when = tuple(next((p.when for p in item.pieces if p.segment == s), None) for s in self.segments)
        phis = tuple(bodies.get(segment) for segment in self.segments)
        if item.op == "sum":
            self.values[item.tensor] = self._sum(phis, when, item)
        elif item.op in ("max", "min"):
            self.values[item.tensor] = self._extremum(item, phis, when)
        else:
            self.values[item.tensor] = self._plain(item, phis, when)

    # ---- sums ------------------------------------------------------------------------------

    def _sum(self, bodies: Phis, when: Whens, item: Streamed) -> Any:
        rows = Rows(len(bodies))
        for place, body in enumerate(bodies):
            if body is not None:
                point = self.segments[place].index is None
                rows.add(
                    place, separate(body, body.free_symbols - self.done if point else self.algebra.full, self.done)
                )
        total = sympy.Integer(0)
        for coefficient, phis in rows:
            self._check_inner(coefficient, item)
            total += coefficient * self._accumulated(phis, when, item.inner)
        return total

    def _check_inner(self, coefficient: Any, item: Streamed) -> None:
        for symbol in coefficient.free_symbols:
            atom = self.algebra.atoms.get(symbol)
            if atom is not None and free_indices(atom) & set(item.inner):
                raise NotSeparableError(coefficient)

    def _accumulated(self, phis: Phis, when: Whens, inner: tuple[str, ...]) -> Any:
        """A sum of phis by way of accumulators: each with the coefficient that its gauge brings."""
        if self._counts(phis, when, inner):
            return self._count(phis)
        phis = tuple(self._outside(phi, tests, inner) for phi, tests in zip(phis, when, strict=True))
        place = self._gauge(phis, tuple(_without(tests, inner) for tests in when), inner)
        if place is None:
            return self.symbol(
                "sum", phis, when, None, inner, one_sided=self._exponents(phis, when)[0] < -SAFE_EXPONENT
            )
        result = sympy.Integer(0)
        for coefficient, shifted in self._in_gauge(phis, self.references[place]):
            known = self._counts(shifted, when, inner)
            result += coefficient * (self._count(shifted) if known else self.symbol("sum", shifted, when, place, inner))
        return result

    def _counts(self, phis: Phis, when: Whens, inner: tuple[str, ...]) -> bool:
        """Whether a sum only counts points, all of them: it is known before the stream is read."""
        return not inner and all(phi.is_number and not test for phi, test in zip(phis, when, strict=True) if phi != 0)

    def _count(self, phis: Phis) -> Any:
        extents = (self._extent(segment) for segment in self.segments)
        return sum((phi * extent for phi, extent in zip(phis, extents, strict=True)), sympy.Integer(0))

    def _extent(self, segment: Segment) -> Any:
        """How many points a segment has: what a sum of ones without a condition is."""
        if segment.index is None:
            return sympy.Integer(1)
        if segment.lo == Const(0) and isinstance(segment.hi, Size):
            return self.algebra.of(segment.hi)
        return self.algebra.of(Map("max", (Map("sub", (segment.hi, segment.lo)), Const(0))))

    def _in_gauge(self, phis: Phis, reference: Reference) -> Rows:
        """The phis written with y = score - rho: coefficients of rho, each with its phis of y."""
        rows = Rows(len(phis))
        for place, phi in enumerate(phis):
            if phi == 0:
                continue
            shifted = rewritten(phi, reference.of.scores[place], reference.y + reference.rho)
            stream = (shifted.free_symbols - {reference.rho}) | {reference.y}
            rows.add(place, separate(shifted, stream, {reference.rho}))
        return rows

    # ---- references ------------------------------------------------------------------------

    def _gauge(self, phis: Phis, when: Whens, inner: tuple[str, ...]) -> int | None:
        """The reference that keeps these phis in range: one there is, a new one, or none where none is needed."""
        arguments = arguments_of(phis)
        if all(argument == 0 for argument in arguments):
            moments = self.wish.centred and not any(self._varies(phi, inner) for phi in phis)
            return self._moment_gauge(phis, when) if moments else None
        low, high = self._exponents(phis, when)
        if high <= SAFE_EXPONENT and (low >= -SAFE_EXPONENT or self.wish.one_sided):
            return None
        place = self._reference(self.wish.score(arguments, when))
        reference = self.references[place]
        pairs = zip(arguments, reference.of.scores, strict=True)
        reference.uses |= {ratio(argument, own) for argument, own in pairs if argument != 0}
        return place

    def _varies(self, value: Any, inner: tuple[str, ...]) -> bool:
        """Whether a value varies along an index that is folded with the stream."""
        atoms = (self.algebra.atoms.get(symbol) for symbol in value.free_symbols)
        return any(atom is not None and free_indices(atom) & set(inner) for atom in atoms)

    def _outside(self, phi: Any, tests: tuple[Expr, ...] | None, inner: tuple[str, ...]) -> Any:
        """A phi whose exponent no index varies that is folded with the stream.

        Before   exp(S), S over n and j
        After    exp(S - max[j](S)) * exp(max[j](S)), the first factor as it is, at most 1
        Holds    by the laws of exponents: the reference is then one for all of j.
        """
        argument = exponent_of(phi) if phi is not None and phi != 0 else sympy.Integer(0)
        if not self._varies(argument, inner):
            return phi
        top = self._top("max", argument, tests, inner)
        score = self.algebra.expr(argument, {})
        below = self.algebra.atom(Map("exp", (Map("shift", (score, self.algebra.atoms[top])),)))
        return without_exponent(phi) * below * sympy.exp(top)

    def _top(self, op: str, score: Any, tests: tuple[Expr, ...] | None, inner: tuple[str, ...]) -> Any:
        """The extremum of a score over the indices that are folded with the stream, as a value of the stream."""
        inside = tuple(test for test in tests or () if free_indices(test) & set(inner))
        return self.algebra.atom(Reduce(op, inner, self.algebra.expr(score, {}), inside))

    def _exponents(self, phis: Phis, when: Whens) -> Interval:
        """Between which numbers the exponents lie."""
        pairs = zip(arguments_of(phis), when, strict=True)
        found = [self.algebra.bounds(argument, tests or ()) for argument, tests in pairs if argument != 0]
        return min((low for low, _ in found), default=0.0), max((high for _, high in found), default=0.0)

    def _moment_gauge(self, phis: Phis, when: Whens) -> int | None:
        """Powers of a score are kept about a value near its mean."""
        for place, reference in enumerate(self.references):
            if reference.op == "mean" and is_moment(phis, when, reference.of):
                return place
        bases = tuple(base_of(phi) or (phi if phi in self.bases else None) for phi in phis)
        if any(base is None and phi != 0 for base, phi in zip(bases, phis, strict=True)) or not any(bases):
            return None
        whens = tuple(None if base is None else test for base, test in zip(bases, when, strict=True))
        return self._reference(Score(bases, whens), op="mean")

    def _reference(self, score: Score, op: str = "max") -> int:
        """The reference of a score or of a number times it: the one there is, or a new one."""
        key = same_score(score.scores), score.when
        for place, item in enumerate(self.references):
            same = (same_score(item.of.scores), item.of.when) == key
            if item.op == op and (same or (op == "max" and item.of.multiple(score.scores, score.when) is not None)):
                return place
        number = len(self.references)
        rho, y = sympy.Symbol(f"rho{number}", real=True), sympy.Symbol(f"y{number}", real=True)
        self.references.append(Reference(score, rho, y, self.maker, op))
        return number

    def symbol(
        self, op: str, phis: Phis, when: Whens, gauge: int | None, inner: tuple[str, ...], *, one_sided: bool = False
    ) -> Any:
        """The accumulator with these phis: one there is, or a new one."""
        used = tuple(test if phi != 0 else None for phi, test in zip(phis, when, strict=True))
        if gauge is not None and not any(phi.has(self.references[gauge].y) for phi in phis if phi != 0):
            gauge = None  # what does not move with the reference needs no correction
        key = (op, tuple(normal(phi) for phi in phis), used, gauge, inner)
        for item in self.running:
            if item.key == key:
                return item.symbol
        positive = op == "sum" and all(phi.is_positive for phi in phis if phi != 0)
        sign = {"positive": True} if positive else {}
        symbol = sympy.Symbol(f"A{len(self.running)}", real=True, **sign)
        self.running.append(Running(op, phis, used, symbol, self.maker, gauge, [], inner, key, one_sided))
        return symbol

    # ---- the other folds -------------------------------------------------------------------

    def _extremum(self, item: Streamed, bodies: Phis, when: Whens) -> Any:
        """max(a + g) = max(a) + g where g is completed; a maximum is kept as a gauge, for others may need it."""
        parts = [(None, sympy.Integer(0)) if body is None else apart(body, self.done) for body in bodies]
        offset = self._one_offset([offset for body, (_, offset) in zip(bodies, parts, strict=True) if body is not None])
        if offset.free_symbols & self.algebra.full or self._varies(offset, item.inner):
            raise NotSeparableError(offset)
        scores = tuple(score for score, _ in parts)
        if item.inner:
            pairs = zip(scores, when, strict=True)
            scores = tuple(None if s is None else self._top(item.op, s, tests, item.inner) for s, tests in pairs)
            when = tuple(_without(tests, item.inner) for tests in when)
        if item.op == "min":
            return offset + self.symbol("min", _zeros(scores), when, None, ())
        own = self.wish.least_of(Score(scores, when))
        reference = self.references[self._reference(own)]
        times = reference.of.multiple(scores, when) or 1
        reference.reduction = reference.reduction or (item.tensor if times == 1 else None)
        return offset + times * reference.rho

    def _one_offset(self, offsets: list[Any]) -> Any:
        """The offset that all segments share."""
        if len(set(offsets)) > 1:
            raise NotSeparableError(offsets[0])
        return offsets[0] if offsets else sympy.Integer(0)

    def _plain(self, item: Streamed, bodies: Phis, when: Whens) -> Any:
        for body in bodies:
            if body is not None and body.free_symbols & self.done:
                raise NotSeparableError(body)
        return self.symbol(item.op, _zeros(bodies), when, None, item.inner)


def _without(tests: tuple[Expr, ...] | None, inner: tuple[str, ...]) -> tuple[Expr, ...] | None:
    """The conditions that do not mention these indices."""
    return None if tests is None else tuple(test for test in tests if not free_indices(test) & set(inner))


def _zeros(phis: Iterable[Any]) -> Phis:
    return tuple(sympy.Integer(0) if phi is None else phi for phi in phis)
