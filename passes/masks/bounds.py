"""Conditions on a streamed position solved for it: what each row of a program may see, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

from attnc.ir.cascade import Const, Coord, Expr, Map, Size
from attnc.ir.indices import free_indices
from attnc.ir.walk import walk
from attnc.passes.masks.conjuncts import AtLeastZero, Conjunct, KindOf, alternatives
from attnc.passes.sums import from_terms, linear_terms


@dataclass(frozen=True, slots=True)
class Branch:
    """One alternative: the stream lies in [max of lows, min of highs), where all `gates` are at least 0.

    Lows, highs and gates do not mention the stream; they may mention the row. `gaps` are conjuncts on the
    stream that leave gaps or have no closed form: every tile must test them.
    """

    lows: tuple[Expr, ...] = ()
    highs: tuple[Expr, ...] = ()
    gates: tuple[Expr, ...] = ()
    gaps: tuple[Conjunct, ...] = ()


def solve(tests: tuple[Expr, ...], stream: str, kind: KindOf) -> tuple[Branch, ...]:
    """The alternatives of the tests, each solved for the stream.

    Before   n <= m and m // 64 - n // 64 <= 1
    After    lows m // 64 * 64 - 64; highs m + 1
    Holds    because floor(n / 64) >= q says n >= 64 q, and each comparison has one sign of n.
    """
    return tuple(_branch(conjuncts, stream) for conjuncts in alternatives(tests, kind))


def _branch(conjuncts: tuple[Conjunct, ...], stream: str) -> Branch:
    lows: dict[Expr, None] = {}
    highs: dict[Expr, None] = {}
    gates: dict[Expr, None] = {}
    gaps: dict[Conjunct, None] = {}
    for conjunct in conjuncts:
        if not isinstance(conjunct, AtLeastZero):
            gaps[conjunct] = None
            continue
        if stream not in free_indices(conjunct.value):
            gates[conjunct.value] = None
            continue
        found = _solved(conjunct.value, stream)
        if found is None:
            gaps[conjunct] = None
        else:
            (lows if found[0] else highs)[found[1]] = None
    return Branch(tuple(lows), tuple(highs), tuple(gates), tuple(gaps))


def _solved(value: Expr, stream: str) -> tuple[bool, Expr] | None:
    """`value >= 0` as stream >= e (true, e) or stream < e (false, e)."""
    terms = linear_terms(value)
    along = [term for term in terms if stream in free_indices(term)]
    if len(along) != 1:
        return None
    (term,) = along
    factor = terms.pop(term)
    if factor > 0:
        low = _divided(_negative(terms), factor, up=True)  # term >= ceil(-rest / factor)
        return _above(term, low, stream)
    high = _divided(from_terms(terms), -factor, up=False)  # term <= floor(rest / -factor)
    return _below(term, high, stream)


def _negative(terms: dict[Expr, int]) -> Expr:
    return from_terms({term: -factor for term, factor in terms.items()})


def _divided(value: Expr, by: int, *, up: bool) -> Expr:
    if by == 1:
        return value
    return Map("floordiv", (_plus(value, by - 1) if up else value, Const(by)))


def _plus(value: Expr, number: int) -> Expr:
    return from_terms(linear_terms(Map("add", (value, Const(number)))))


def _above(term: Expr, low: Expr, stream: str) -> tuple[bool, Expr] | None:
    """term >= low."""
    match term:
        case Coord(index) if index == stream:
            return True, low
        case Map("floordiv", (x, by)) if _positive(by):
            return _solved(Map("sub", (x, Map("mul", (low, by)))), stream)
        case _:
            return None


def _below(term: Expr, high: Expr, stream: str) -> tuple[bool, Expr] | None:
    """term <= high."""
    match term:
        case Coord(index) if index == stream:
            return False, _plus(high, 1)
        case Map("floordiv", (x, by)) if _positive(by):
            last = Map("sub", (Map("mul", (_plus(high, 1), by)), Const(1)))
            return _solved(Map("sub", (last, x)), stream)
        case _:
            return None


def _positive(divisor: Expr) -> bool:
    """Whether a divisor is positive wherever the quotient exists."""
    if isinstance(divisor, Const):
        return divisor.value > 0
    return all(isinstance(node, Size | Const) or _keeps_sign(node) for node in walk(divisor))


def _keeps_sign(node: object) -> bool:
    return isinstance(node, Map) and node.op in ("mul", "floordiv", "add")


# ---- extremes over the rows of a tile -------------------------------------------------------


def trend(value: Expr, row: str) -> int | None:
    """1 where the value never falls as the row grows, -1 where it never rises, 0 where it is constant, else None."""
    if row not in free_indices(value):
        return 0
    terms = linear_terms(value)
    if len(terms) > 1 or value not in terms:
        return _joined([_signed(trend(term, row), factor) for term, factor in terms.items()])
    match value:
        case Coord():
            return 1
        case Map("floordiv", (a, b)) if row not in free_indices(b) and _positive(b):
            return trend(a, row)
        case Map("mul", (a, b)) if row not in free_indices(b) and _positive(b):
            return trend(a, row)
        case Map("mul", (a, b)) if row not in free_indices(a) and _positive(a):
            return trend(b, row)
        case Map("min" | "max", args):
            return _joined([trend(arg, row) for arg in args])
        case _:
            return None


def _signed(sign: int | None, factor: int) -> int | None:
    return None if sign is None else sign if factor > 0 else -sign


def _joined(signs: list[int | None]) -> int | None:
    found = set(signs) - {0}
    if None in found or len(found) > 1:
        return None
    return found.pop() if found else 0
