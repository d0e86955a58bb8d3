"""Sums over the points where a score is its own maximum, in the pass that finds the maximum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from attnc.ir.cascade import Const, Expr, Map
from attnc.passes.derive.algebra import Algebra
from attnc.passes.derive.reductions import Piece, Streamed
from attnc.passes.derive.written import STEEP


def steep(members: tuple[Streamed, ...], algebra: Algebra) -> tuple[Streamed, ...]:
    """The reductions with such conditions as factors.

    Before   sum[n](X where S == max[n](S))
    After    sum[n](X * exp(c * (S - max[n](S)))) with c beyond all bounds
    Holds    because no score is above its maximum: the factor is 1 where they are equal and 0 elsewhere. As any sum
             relative to a maximum it is corrected when that moves: what was added up before is then dropped.
    """
    tops = {item.tensor: item for item in members if item.op == "max" and not item.inner}
    tests = (test for item in members for piece in item.pieces for test in piece.when)
    algebra.closed = any(algebra.completed(top) in tops for test in tests for _, top in _sides(test))
    return tuple(_steep(item, tops, algebra) if item.op == "sum" and not item.inner else item for item in members)


def _steep(item: Streamed, tops: Mapping[str, Streamed], algebra: Algebra) -> Streamed:
    pieces = tuple(found for piece in item.pieces if (found := _factored(piece, tops, algebra)) is not None)
    return replace(item, pieces=pieces) if len(pieces) == len(item.pieces) else item


def _factored(piece: Piece, tops: Mapping[str, Streamed], algebra: Algebra) -> Piece | None:
    """The piece with its condition on a maximum as a factor; None where it has none."""
    for test in piece.when:
        for score, top in _sides(test):
            rest = tuple(other for other in piece.when if other != test)
            if _is_maximum(score, rest, piece, tops.get(algebra.completed(top) or ""), algebra):
                power = Map("exp", (Map("mul", (Const(float(STEEP)), Map("sub", (score, top)))),))
                return Piece(piece.segment, Map("mul", (piece.body, power)), rest)
    return None


def _sides(test: Expr) -> tuple[tuple[Expr, Expr], ...]:
    match test:
        case Map("eq", (a, b)):
            return ((a, b), (b, a))
        case _:
            return ()


def _is_maximum(score: Expr, tests: tuple[Expr, ...], piece: Piece, top: Streamed | None, algebra: Algebra) -> bool:
    """Whether this is the maximum of just that score at just these points."""
    own = next((item for item in top.pieces if item.segment == piece.segment), None) if top is not None else None
    return own is not None and set(own.when) == set(tests) and algebra.of(own.body) == algebra.of(score)
