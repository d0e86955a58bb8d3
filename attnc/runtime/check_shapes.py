"""Extents for random inputs of a check: several shapes, mended until the spec's requirements hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from random import Random

from attnc.diagnostics import AttnError
from attnc.ir.cascade import Cascade, Const, Expr, Map, Range, Size
from attnc.ir.sizes import evaluate, whole

SHAPES: tuple[dict[str, int], ...] = (
    {},
    {"m": 1},
    {"m": 7, "n": 7},
    {"m": 3, "n": 10},
    {"b": 1, "h": 1, "m": 12, "n": 12},
)
FEW, EXTENT, LARGEST = {"b", "h", "g"}, 4, 256
TRIES = 60

Stated = Callable[[Mapping[str, int]], Cascade]


def shapes(indices: Sequence[str], stated: Stated) -> Iterator[tuple[dict[str, int], Cascade]]:
    """Shapes at which a check can be tried, and the program at each; `stated` gives the program at a shape."""
    usual = {index: 2 if index in FEW else EXTENT for index in indices}
    found = list(usable(({**usual, **_of(usual, shape)} for shape in SHAPES), stated))
    if not found:
        random = Random(5)
        tries = ({index: random.randint(1, 6) for index in indices} for _ in range(TRIES))
        found = list(usable(tries, stated))[:2]
    yield from found


def _of(usual: Mapping[str, int], shape: Mapping[str, int]) -> dict[str, int]:
    return {index: extent for index, extent in shape.items() if index in usual}


def usable(tries: Iterable[dict[str, int]], stated: Stated) -> Iterator[tuple[dict[str, int], Cascade]]:
    """Those extents, mended, at which what the program requires holds, and the program at each."""
    seen = []
    for sizes in tries:
        found = mended(sizes, stated)
        if found is not None and found[0] not in seen:
            seen.append(found[0])
            yield found


def mended(sizes: dict[str, int], stated: Stated, largest: int = LARGEST) -> tuple[dict[str, int], Cascade] | None:
    """The extents with what the program says of them put right, if substitution does that, none beyond `largest`."""
    for _ in range(4):
        cascade = stated(sizes)
        try:
            better = _better(cascade, sizes)
            if max(better.values(), default=0) > max(largest, *sizes.values()):
                return None
            if better == sizes:
                return (sizes, cascade) if all(evaluate(need.test, sizes) for need in cascade.requires) else None
        except AttnError:  # a size that has no value at these extents
            return None
        sizes = better
    return None


def _better(cascade: Cascade, sizes: Mapping[str, int]) -> dict[str, int]:
    found = dict(sizes)
    for item in cascade.ranges:
        if item.index in found:
            found[item.index] = max(0, _extent(item, found))
    for need in cascade.requires:
        for test in _conjuncts(need.test):
            found |= _solved(test, found)
    return found


def _extent(item: Range, sizes: Mapping[str, int]) -> int:
    return whole(item.hi, sizes) - whole(item.lo, sizes)


def _conjuncts(test: Expr) -> list[Expr]:
    return (
        [part for arg in test.args for part in _conjuncts(arg)]
        if isinstance(test, Map) and test.op == "and"
        else [test]
    )


def _solved(test: Expr, sizes: Mapping[str, int]) -> dict[str, int]:
    """What an equality, a divisibility or a lower bound says of one extent."""
    match test:
        case Map("eq", (Size(index), other)) | Map("eq", (other, Size(index))) if not isinstance(other, Size):
            return {index: whole(other, sizes)}
        case Map("eq", (Size(index), Size(other))):
            return {index: sizes[other]}
        case Map("eq", (Map("mod", (Size(index), step)), Const(0))):
            width = max(1, whole(step, sizes))
            return {index: -(-sizes[index] // width) * width}
        case Map("ge", (Size(index), other)) | Map("le", (other, Size(index))):
            return {index: max(sizes[index], whole(other, sizes))}
    return {}
