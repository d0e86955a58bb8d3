"""Which reference keeps a sum in range: one there is, a new one, or none."""

from __future__ import annotations

from typing import Any

import sympy

from attnc.ir.cascade import Expr, Map, Reduce
from attnc.ir.indices import free_indices
from attnc.passes.derive.bounds import Interval
from attnc.passes.derive.exponents import exponent_of, without_exponent
from attnc.passes.derive.forms import Phis, base_of, ratio
from attnc.passes.derive.references import SAFE_EXPONENT, Score, Whens, arguments_of, is_moment
from attnc.passes.derive.state import State


def gauge_for(state: State, phis: Phis, when: Whens, inner: tuple[str, ...]) -> int | None:
    """The reference that keeps these phis in range: one there is, a new one, or none where none is needed."""
    arguments = arguments_of(phis)
    if all(argument == 0 for argument in arguments):
        moments = state.wish.centred and not any(varies(state, phi, inner) for phi in phis)
        return _moment_gauge(state, phis, when) if moments else None
    low, high = exponents(state, phis, when)
    if high <= SAFE_EXPONENT and (low >= -SAFE_EXPONENT or state.wish.one_sided):
        return None
    place = state.reference(state.wish.score(arguments, when))
    reference = state.references[place]
    pairs = zip(arguments, reference.of.scores, strict=True)
    reference.uses |= {ratio(argument, own) for argument, own in pairs if argument != 0}
    return place


def exponents(state: State, phis: Phis, when: Whens) -> Interval:
    """Between which numbers the exponents lie."""
    pairs = zip(arguments_of(phis), when, strict=True)
    found = [state.algebra.bounds(argument, tests or ()) for argument, tests in pairs if argument != 0]
    return min((low for low, _ in found), default=0.0), max((high for _, high in found), default=0.0)


def _moment_gauge(state: State, phis: Phis, when: Whens) -> int | None:
    """Powers of a score are kept about a value near its mean."""
    for place, reference in enumerate(state.references):
        if reference.op == "mean" and is_moment(phis, when, reference.of):
            return place
    bases = tuple(base_of(phi) or (phi if phi in state.bases else None) for phi in phis)
    if any(base is None and phi != 0 for base, phi in zip(bases, phis, strict=True)) or not any(bases):
        return None
    whens = tuple(None if base is None else test for base, test in zip(bases, when, strict=True))
    return state.reference(Score(bases, whens), op="mean")


def varies(state: State, value: Any, inner: tuple[str, ...]) -> bool:
    """Whether a value varies along an index that is folded with the stream."""
    atoms = (state.algebra.atoms.get(symbol) for symbol in value.free_symbols)
    return any(atom is not None and free_indices(atom) & set(inner) for atom in atoms)


def outside(state: State, phi: Any, tests: tuple[Expr, ...] | None, inner: tuple[str, ...]) -> Any:
    """A phi whose exponent no index varies that is folded with the stream.

    Before   exp(S), S over n and j
    After    exp(S - max[j](S)) * exp(max[j](S)), the first factor as it is, at most 1
    Holds    by the laws of exponents: the reference is then one for all of j.
    """
    argument = exponent_of(phi) if phi is not None and phi != 0 else sympy.Integer(0)
    if not varies(state, argument, inner):
        return phi
    top = extremum_inside(state, "max", argument, tests, inner)
    score = state.algebra.expr(argument, {})
    below = state.algebra.atom(Map("exp", (Map("shift", (score, state.algebra.atoms[top])),)))
    return without_exponent(phi) * below * sympy.exp(top)


def extremum_inside(state: State, op: str, score: Any, tests: tuple[Expr, ...] | None, inner: tuple[str, ...]) -> Any:
    """The extremum of a score over the indices that are folded with the stream, as a value of the stream."""
    inside = tuple(test for test in tests or () if free_indices(test) & set(inner))
    return state.algebra.atom(Reduce(op, inner, state.algebra.expr(score, {}), inside))


def without(tests: tuple[Expr, ...] | None, inner: tuple[str, ...]) -> tuple[Expr, ...] | None:
    """The conditions that do not mention these indices."""
    return None if tests is None else tuple(test for test in tests if not free_indices(test) & set(inner))
