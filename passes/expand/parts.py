"""Where a tensor exists: the conditions of its parts, re-indexed to the point that is read."""

from __future__ import annotations

from dataclasses import dataclass

from attnc.ir.cascade import Const, Coord, Expr, Map, Part, Range, Size, Tensor
from attnc.ir.indices import at, free_indices
from attnc.ir.walk import walk
from attnc.passes.expand.site import Expansion
from attnc.passes.simplify import conjunction, disjunction
from attnc.passes.sums import linear_terms, normal

ZERO: Expr = Const(0)
ONE: Expr = Const(1)


@dataclass(frozen=True, slots=True)
class Image:
    """The positions lo <= position < hi that a left subscript takes; `dense` if it takes all of them."""

    lo: Expr
    hi: Expr
    dense: bool


@dataclass(frozen=True, slots=True)
class _Digit:
    """One term `factor * (index - lo)` of a subscript, 0 <= index - lo < extent; backward: `hi - 1 - index`."""

    range: Range
    factor: Expr
    forward: bool

    @property
    def extent(self) -> Expr:
        return normal(Map("sub", (self.range.hi, self.range.lo)))


def existence(state: Expansion, tensor: Tensor, subs: tuple[Expr, ...], only: int | None) -> tuple[Expr, ...]:
    """The conditions under which the element at `subs` exists, its axes being in range.

    One part that fills the tensor: its conditions, each by itself. Several: one condition, in which part
    the point falls and that part's conditions; none if the parts fill the tensor unconditionally.
    """
    if only is not None:
        return _solved(state, tensor, tensor.parts[only], subs)[1]
    solved = [_solved(state, tensor, part, subs) for part in tensor.parts]
    if len(solved) == 1 and not solved[0][0]:
        return solved[0][1]
    if fills(state, tensor) and not any(when for _, when in solved):
        return ()
    return (disjunction(tuple(conjunction(inside + when) for inside, when in solved)),)


def fills(state: Expansion, tensor: Tensor) -> bool:
    """Whether the parts take every point: along the one axis in which they differ they follow each other."""
    lefts = [part.left for part in tensor.parts]
    differing = [axis for axis in range(len(tensor.axes)) if len({left[axis] for left in lefts}) > 1]
    for axis, (lo, hi) in enumerate(tensor.axes):
        images = [image(state, left[axis]) for left in lefts]
        if axis in differing:
            if len(differing) > 1 or not (_chained(images, lo, hi) or _interleaved(state, lefts, axis, lo, hi)):
                return False
        elif images and not _is(images[0], lo, hi):
            return False
    return True


def image(state: Expansion, left: Expr) -> Image:
    """The positions that a left subscript takes."""
    first, digits = _digits(state, left)
    last, dense, reach = first, True, ONE
    for digit in digits:
        last = Map("add", (last, Map("mul", (digit.factor, Map("sub", (digit.extent, ONE))))))
        dense = dense and normal(digit.factor) == reach
        reach = normal(Map("mul", (digit.factor, digit.extent)))
    return Image(normal(first), normal(Map("add", (last, ONE))), dense)


def _is(one: Image, lo: Expr, hi: Expr) -> bool:
    return one.dense and one.lo == normal(lo) and one.hi == normal(hi)


def _chained(images: list[Image], lo: Expr, hi: Expr) -> bool:
    rest, point = list(images), normal(lo)
    while rest:
        following = next((item for item in rest if item.dense and item.lo == point), None)
        if following is None:
            return False
        rest.remove(following)
        point = following.hi
    return point == normal(hi)


def _interleaved(state: Expansion, lefts: list[tuple[Expr, ...]], axis: int, lo: Expr, hi: Expr) -> bool:
    """c*i + 0, c*i + 1, .., c*i + c - 1 over one extent."""
    pairs = [_digits(state, left[axis]) for left in lefts]
    if any(len(digits) != 1 or digits[0].factor != Const(len(lefts)) for _, digits in pairs):
        return False
    offsets = {normal(Map("sub", (first, lo))) for first, _ in pairs}
    ends = {normal(Map("sub", (hi, Map("mul", (digits[0].factor, digits[0].extent))))) for _, digits in pairs}
    return offsets == {Const(number) for number in range(len(lefts))} and ends == {normal(lo)}


def _solved(
    state: Expansion, tensor: Tensor, part: Part, subs: tuple[Expr, ...]
) -> tuple[tuple[Expr, ...], tuple[Expr, ...]]:
    """The tests of whether a point lies in a part, and that part's conditions there."""
    inside: tuple[Expr, ...] = ()
    values: dict[str, Expr] = {}
    for (lo, hi), left, sub in zip(tensor.axes, part.left, subs, strict=True):
        if left == sub:
            continue
        tests, found = _solve(state, left, sub, (normal(lo), normal(hi)))
        inside += tests
        values |= found
    return inside, tuple(at(test, values) for test in part.when)


def _solve(
    state: Expansion, left: Expr, sub: Expr, axis: tuple[Expr, Expr]
) -> tuple[tuple[Expr, ...], dict[str, Expr]]:
    """For which values of its indices the subscript `left` equals `sub`, and under which tests."""
    first, digits = _digits(state, left)
    if not digits:
        return (Map("eq", (sub, left)),), {}
    taken = image(state, left)
    tests: list[Expr] = []
    if taken.lo != axis[0]:
        tests.append(Map("le", (taken.lo, sub)))
    if taken.hi != axis[1]:
        tests.append(Map("lt", (sub, taken.hi)))
    values: dict[str, Expr] = {}
    rest = normal(Map("sub", (sub, first)))
    for digit in reversed(digits):
        place = rest if digit.factor == ONE else Map("floordiv", (rest, digit.factor))
        rest = ZERO if digit.factor == ONE else Map("mod", (rest, digit.factor))
        if not taken.dense and digit is not digits[-1]:
            tests.append(Map("lt", (place, digit.extent)))
        low = Map("add", (digit.range.lo, place)) if digit.forward else None
        values[digit.range.index] = normal(low or Map("sub", (Map("sub", (digit.range.hi, ONE)), place)))
    if rest != ZERO:
        tests.append(Map("eq", (rest, ZERO)))
    return tuple(tests), values


def _digits(state: Expansion, left: Expr) -> tuple[Expr, list[_Digit]]:
    """A left subscript as its smallest value and its digits, the smallest factor first."""
    first: Expr = ZERO
    digits: list[_Digit] = []
    for term, factor in linear_terms(left).items():
        found = free_indices(term)
        if not found:
            first = Map("add", (first, Map("mul", (Const(factor), term))))
            continue
        (index,) = found
        scale = normal(Map("mul", (Const(abs(factor)), _scale(term))))
        range = state.range(index)
        digits.append(_Digit(range, scale, factor > 0))
        low = range.lo if factor > 0 else Map("sub", (ONE, range.hi))
        first = Map("add", (first, Map("mul", (scale, low))))
    return normal(first), sorted(digits, key=_weight)


def _scale(term: Expr) -> Expr:
    """c of the term c * index."""
    match term:
        case Coord():
            return ONE
        case Map("mul", (a, b)):
            return normal(Map("mul", (_scale(a), b) if free_indices(a) else (a, _scale(b))))
        case _:
            raise AssertionError("a left side is affine in its indices")


def _weight(digit: _Digit) -> tuple[int, int]:
    sizes = sum(isinstance(node, Size) for node in walk(digit.factor))
    numbers = [node.value for node in walk(digit.factor) if isinstance(node, Const)]
    return sizes, int(max(numbers, default=1))
