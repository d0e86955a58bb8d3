"""The state of a stage: reductions separated into accumulators, each with the reference that keeps it in range."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import sympy

from attnc.ir.stage import Segment
from attnc.passes.derive.algebra import Algebra, MixedError
from attnc.passes.derive.exponents import normal
from attnc.passes.derive.forms import Phis, base_of
from attnc.passes.derive.reductions import Streamed
from attnc.passes.derive.references import (
    Reference,
    Score,
    Whens,
    Wish,
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

    def reference(self, score: Score, op: str = "max") -> int:
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
