"""What is not tested at run time is inside its axis: by enumeration, in every program of the literature."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from attnc.ir import syntax
from attnc.ir.cascade import Cascade, Choose, Const, Coord, Expr, Map, Read, Size
from attnc.ir.indices import at, free_indices
from attnc.ir.node import Node
from attnc.ir.sizes import evaluate
from attnc.ir.walk import bottom_up, walk
from attnc.library import Library, parse_source
from attnc.passes.names import resolve
from attnc.passes.names.points import points
from attnc.source import Source
from tests.names.resolved import resolved
from tests.thinned import thinned

ROOT = Path(__file__).parents[2]
SPECS = [*sorted((ROOT / "tests" / "language").glob("*.attn")), ROOT / "stdlib" / "attention.attn"]
SIZES, POINTS = 6, 20
EXTENTS = (0, 1, 2, 3, 4, 5, 8, 16, 17, 32, 64, 100, 256)


def plain(expr: Expr) -> bool:
    """Whether an expression is over positions and sizes alone."""
    return all(isinstance(node, Coord | Size | Const | Map | Choose) for node in walk(expr))


def fitting(cascade: Cascade, draw: random.Random) -> Iterator[dict[str, int]]:
    """Extents of inputs for which the program's requirements hold, and its ranges are as long as its axes."""
    indices = sorted({index for item in cascade.inputs for index in item.indices})
    for _ in range(400):
        few = draw.sample(EXTENTS, 2)
        sizes = {index: draw.choice(few) for index in indices}
        ends = [(sizes[i], max(0, span(cascade, i, sizes))) for i in indices]
        if all(a == b for a, b in ends) and all(evaluate(item.test, sizes) for item in cascade.requires):
            yield sizes


def span(cascade: Cascade, index: str, sizes: dict[str, int]) -> int:
    item = cascade.range(index)
    return int(evaluate(item.hi, sizes)) - int(evaluate(item.lo, sizes))


def positions(
    cascade: Cascade, indices: list[str], sizes: dict[str, int], draw: random.Random
) -> dict[str, Expr] | None:
    """A point of these indices; None where there is none."""
    found: dict[str, Expr] = {}
    for index in indices:
        item = cascade.range(index)
        lo, hi = int(evaluate(item.lo, sizes)), int(evaluate(item.hi, sizes))
        if lo >= hi:
            return None
        found[index] = Const(draw.choice((lo, hi - 1, draw.randrange(lo, hi))))
    return found


def axes(cascade: Cascade, name: str) -> list[tuple[Expr, Expr]]:
    given, tensor = cascade.input(name), cascade.tensor(name)
    if given is not None:
        return [(cascade.range(index).lo, cascade.range(index).hi) for index in given.indices]
    assert tensor is not None
    return list(tensor.axes)


def outside(cascade: Cascade, draw: random.Random) -> Iterator[str]:
    """The reads that leave an axis that they are not tested along."""
    every = list(fitting(cascade, draw))[:SIZES]
    for tensor in cascade.tensors:
        for part in tensor.parts:
            for node, around in points(part.value):
                if isinstance(node, Read) and node.part is None:
                    tests = [item.test for item in around if plain(item.test)]
                    for axis, sub in enumerate(node.subs):
                        if axis not in node.tested and plain(sub):
                            yield from leaving(cascade, node, axis, tests, every, draw)


def leaving(
    cascade: Cascade, node: Read, axis: int, tests: list[Expr], every: list[dict[str, int]], draw: random.Random
) -> Iterator[str]:
    sub, (lo, hi) = node.subs[axis], axes(cascade, node.tensor)[axis]
    indices = sorted(free_indices(sub).union(*(free_indices(test) for test in tests)))
    for sizes in every:
        for _ in range(POINTS):
            point = positions(cascade, indices, sizes, draw)
            if point is None or not all(evaluate(at(test, point), sizes) for test in tests):
                continue
            place = evaluate(at(sub, point), sizes)
            if not evaluate(lo, sizes) <= place < evaluate(hi, sizes):
                yield f"{node.span.text} axis {axis} at {place}, {sizes}"
                return


@pytest.mark.parametrize("path", thinned(SPECS, 3), ids=lambda path: path.stem)
def test_reads_that_are_not_tested_stay_inside(path: Path) -> None:
    file = parse_source(Source(path.name, path.read_text(encoding="utf-8")))
    for item in file.definitions:
        if isinstance(item, syntax.Attention):
            cascade = resolve(file, item.name, {}, Library(path.parent).use)
            assert list(outside(cascade, random.Random(path.stem))) == []


@pytest.mark.parametrize("line", ["Y[n] = X[n - 1]", "Y[n] = X[(n + 2) // 2]", "Y[n] = X[n + 1] where n > 0"])
def test_a_missing_test_is_noticed(line: str) -> None:
    cascade = resolved(f"attention t(X[n]) -> Y:\n    {line}\n")

    def untested(node: Node) -> Node | None:
        return replace(node, tested=()) if isinstance(node, Read) else None

    assert list(outside(cascade, random.Random(1))) == []
    assert list(outside(bottom_up(cascade, untested), random.Random(1))) != []
