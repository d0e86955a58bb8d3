"""References of exponents and moments: which one serves a sum, and what may be chosen differently."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import sympy

from attnc.ir.cascade import Expr
from attnc.passes.derive.exponents import exponent_of, normal
from attnc.passes.derive.forms import Phis, power_of, ratio

Whens = tuple[tuple[Expr, ...] | None, ...]  # conditions per segment, None where it has no part in a sum
SAFE_EXPONENT = 60.0  # e^60 times any length is far from overflow in float32, e^-60 from underflow


@dataclass(frozen=True)
class Score:
    """What a reference is taken of: a score per segment, None where a segment does not move it."""

    scores: Phis
    when: Whens

    def multiple(self, arguments: Phis, when: Whens) -> Any:
        """The positive number times which these arguments are the score, at the very points; else None."""
        found = set()
        for score, own, argument, test in zip(self.scores, self.when, arguments, when, strict=True):
            absent = argument == 0 or argument is None
            if absent != (score is None) or (score is not None and own != test):
                return None
            if score is not None:
                found.add(ratio(argument, score))
        return _one_number(found)

    def covers(self, other: Score) -> Any:
        """The positive number times which another score is this one, at some of its points; None where it is not."""
        found = set()
        for score, own, inner, test in zip(self.scores, self.when, other.scores, other.when, strict=True):
            if inner is None:
                continue
            if score is None or not set(own or ()) <= set(test or ()):
                return None
            found.add(ratio(inner, score))
        return _one_number(found)


def _one_number(found: set[Any]) -> Any:
    if len(found) != 1:
        return None
    (number,) = found
    return number if number.is_number and number.is_positive else None


@dataclass
class Reference:
    """A gauge under construction: its score, and the reduction that it is, if it is one."""

    of: Score
    rho: Any
    y: Any
    maker: str = ""
    op: str = "max"
    reduction: str | None = None
    uses: set[Any] = field(default_factory=set)  # the multiples of the score that exponents take


@dataclass(frozen=True)
class Wish:
    """How a stage is to be kept, where there is a choice.

    `least`: scores to take in the place of their multiples. `wider`: pairs of scores, the second of which serves
    the first. `centred`: powers of a score are kept about a value near its mean: plain sums of squares would
    cancel. `one_sided`: an exponent that is bounded from above needs no reference, its sum being only added up.
    """

    least: tuple[Score, ...] = ()
    wider: tuple[tuple[Score, Score], ...] = ()
    centred: bool = True
    one_sided: bool = True

    def score(self, arguments: Phis, when: Whens) -> Score:
        """The score whose reference is to serve these arguments."""
        kept = tuple(None if test is None or a == 0 else a for a, test in zip(arguments, when, strict=True))
        whens = tuple(None if score is None else test for score, test in zip(kept, when, strict=True))
        wide = (wide for narrow, wide in self.wider if narrow.multiple(kept, whens) is not None)
        return next(wide, self.least_of(Score(kept, whens)))

    def least_of(self, score: Score) -> Score:
        """The score that this one is a multiple of, where that is wished."""
        found = ((own, own.multiple(score.scores, score.when)) for own in self.least)
        return next((own for own, times in found if times is not None and times > 1), score)


def arguments_of(phis: Phis) -> Phis:
    """The exponents of phis, 0 where there is none."""
    return tuple(exponent_of(phi) if phi != 0 else sympy.Integer(0) for phi in phis)


def smaller(references: Iterable[Reference]) -> tuple[Score, ...]:
    """The scores of which those of a reference are a multiple, where exponents take them.

    exp(2 * S) beside exp(S) keeps the maximum of S, in whatever order they come.
    """
    found = []
    for item in references:
        least = min(item.uses, default=sympy.Integer(1))
        if least < 1:
            scores = tuple(None if score is None else least * score for score in item.of.scores)
            found.append(Score(scores, item.of.when))
    return tuple(found)


def is_moment(phis: Phis, when: Whens, score: Score) -> bool:
    """Whether every phi is a power of the score at its segment, and at the very points that the reference sees."""
    rows = zip(phis, when, score.scores, score.when, strict=True)
    return all(phi == 0 or (power_of(phi, own) and test == seen) for phi, test, own, seen in rows)


def same_score(phis: Phis) -> Phis:
    """Phis in the form by which equal ones are told."""
    return tuple(None if phi is None else normal(phi) for phi in phis)
