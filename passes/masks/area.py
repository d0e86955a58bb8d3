"""How many points and tiles a mask leaves, from its closed form: no array over rows and positions is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from attnc.ir.cascade import Choose, Const, Coord, Expr, Map, Size
from attnc.ir.indices import free_indices
from attnc.ir.sizes import SCALAR
from attnc.passes.masks.bounds import Branch
from attnc.passes.masks.conjuncts import AtLeastZero
from attnc.passes.sums import linear_terms


@dataclass(frozen=True)
class Area:
    """The tiles of a stream by class and the points that its conditions leave, per head and batch element.

    `exact` is false where a condition has no closed form: then `points` is an upper bound.
    """

    empty: int
    full: int
    partial: int
    points: int
    exact: bool


@dataclass(frozen=True)
class Residue:
    """The positions that leave `remainder` when divided by `modulus`; the remainder may depend on the row."""

    remainder: Expr
    modulus: int


Span = tuple[int, int]
Spans = list[list[Span]]  # for each row, for each alternative


class _UnknownError(Exception):
    """A bound depends on data or on a head: it has no value here."""


def measured(
    branches: Sequence[Branch],
    stream: str,
    axis: Span,
    rows: tuple[str | None, range],
    sizes: Mapping[str, int],
    tile: tuple[int, int],
) -> Area:
    """The area of a mask given by its alternatives, in time linear in the number of rows.

    `axis` are the ends of the stream's axis, `rows` the tiled index and its positions, `tile` rows and
    positions of a tile.
    """
    row, places = rows
    known = [_known(branch, stream) for branch in branches]
    exact = all(found is not None for found in known) and (len(branches) < 2 or not any(found for found in known))
    spans: Spans = []
    for place in places:
        at, complete = _row_spans(branches, {row or "": place}, axis, sizes)
        spans.append(at)
        exact = exact and complete
    points = 0
    for place, at in zip(places, spans, strict=True):
        residue = known[0] if len(branches) == 1 else None
        points += _points(at, residue, {row or "": place}, sizes)
    whole = [exact and not found and not branch.gaps for found, branch in zip(known, branches, strict=True)]
    empty = full = partial = 0
    for first in range(0, len(spans), tile[0]):
        counts = _classes(spans[first : first + tile[0]], whole, axis, tile[1])
        empty, full, partial = empty + counts[0], full + counts[1], partial + counts[2]
    return Area(empty, full, partial, points, exact)


def _row_spans(
    branches: Sequence[Branch], row: Mapping[str, int], axis: Span, sizes: Mapping[str, int]
) -> tuple[list[Span], bool]:
    """What each alternative leaves to one row, and whether every bound had a value."""
    spans, complete = [], True
    for branch in branches:
        lo, hi = axis
        for items, lower in ((branch.lows, True), (branch.highs, False)):
            for item in items:
                try:
                    value = number(item, row, sizes)
                except _UnknownError:
                    complete = False
                    continue
                lo, hi = (max(lo, value), hi) if lower else (lo, min(hi, value))
        for gate in branch.gates:
            try:
                hi = hi if number(gate, row, sizes) >= 0 else lo
            except _UnknownError:
                complete = False
        spans.append((lo, max(lo, hi)))
    return spans, complete


def number(expr: Expr, row: Mapping[str, int], sizes: Mapping[str, int]) -> int:
    """The value of an integer expression at a row; `_UnknownError` where data decide it."""
    match expr:
        case Const(value):
            return int(value)
        case Size(index):
            return sizes[index]
        case Coord(index) if index in row:
            return row[index]
        case Choose(test, then, other):
            return number(then if number(test, row, sizes) else other, row, sizes)
        case Map("floordiv" | "mod", (_, b)) if number(b, row, sizes) == 0:
            raise _UnknownError
        case Map(op, args):
            return int(SCALAR[op](*(number(arg, row, sizes) for arg in args)))
        case _:
            raise _UnknownError


# ---- residues -------------------------------------------------------------------------------


def _known(branch: Branch, stream: str) -> tuple[Residue, ...] | None:
    """The residues that an alternative asks for; None where it has conditions without closed form."""
    values = [gap.value for gap in branch.gaps if isinstance(gap, AtLeastZero)]
    if len(values) != len(branch.gaps):
        return None
    found = []
    for value in values:
        terms = linear_terms(value)
        opposite = {term: -factor for term, factor in terms.items()}
        if not any(linear_terms(other) == opposite for other in values):
            return None
        residue = _residue(terms, stream)
        if residue is None:
            return None
        found.append(residue)
    kinds = {residue.modulus for residue in found}
    return tuple(found[:1]) if len(kinds) <= 1 and len(found) <= 2 else None


def _residue(terms: dict[Expr, int], stream: str) -> Residue | None:
    """`factor * (x % k) + rest == 0` as n = remainder modulo k."""
    along = [term for term in terms if stream in free_indices(term)]
    match along:
        case [Map("mod", (x, Const(int() as modulus))) as term] if modulus > 0 and abs(terms[term]) == 1:
            inside = linear_terms(x)
            factor = inside.pop(Coord(stream), 0)
            if abs(factor) != 1 or any(stream in free_indices(other) for other in inside):
                return None
            sign = terms[term]
            wanted = _sum({other: -sign * count for other, count in terms.items() if other != term})
            remainder = Map("sub", (wanted, _sum(inside)))
            return Residue(remainder if factor > 0 else Map("neg", (remainder,)), modulus)
        case _:
            return None


def _sum(terms: dict[Expr, int]) -> Expr:
    total: Expr = Const(0)
    for term, factor in terms.items():
        total = Map("add", (total, Map("mul", (Const(factor), term))))
    return total


def _points(
    spans: list[Span], residues: tuple[Residue, ...] | None, row: Mapping[str, int], sizes: Mapping[str, int]
) -> int:
    if not residues:
        return _length(spans)
    ((lo, hi),) = spans
    modulus = residues[0].modulus
    first = number(residues[0].remainder, row, sizes) % modulus
    return max(0, (hi - first + modulus - 1) // modulus) - max(0, (lo - first + modulus - 1) // modulus)


def _length(spans: Sequence[Span]) -> int:
    """How many positions lie in some of the spans."""
    return sum(hi - lo for lo, hi in _merged(spans))


def _merged(spans: Sequence[Span]) -> Iterator[Span]:
    end: int | None = None
    for lo, hi in sorted(span for span in spans if span[0] < span[1]):
        start = lo if end is None else max(lo, end)
        if start < hi:
            yield start, hi
            end = hi


# ---- tiles ----------------------------------------------------------------------------------


def _classes(spans: Spans, whole: list[bool], axis: Span, width: int) -> tuple[int, int, int]:
    """Empty, full and partial tiles beside one tile of rows, as the loops visit them."""
    lo, hi = axis
    count = -(-(hi - lo) // width) if hi > lo else 0
    visited, full = [], []
    for place, is_whole in enumerate(whole):
        own = [row[place] for row in spans if row[place][0] < row[place][1]]
        if not own:
            continue
        visited.append((_tile(min(a for a, _ in own), lo, width), -_tile(-max(b for _, b in own), -lo, width)))
        first, last = max(a for a, _ in own), min(b for _, b in own)
        if is_whole and len(own) == len(spans):
            end = count if last >= hi else (last - lo) // width
            full.append((-_tile(-first, -lo, width), end))
    seen, certain = _length(visited), _length([(a, b) for a, b in full if a < b])
    return count - seen, certain, seen - certain


def _tile(position: int, start: int, width: int) -> int:
    return (position - start) // width
