"""What lies across a tile: which indices are whole inside it, and what its rows share."""

from __future__ import annotations

from attnc.ir.cascade import Coord, Expr, Read
from attnc.ir.indices import free_indices
from attnc.ir.walk import walk
from attnc.passes.families import Shapes, joint


def is_column(shapes: Shapes, bodies: tuple[Expr, ...], family: str, item: str) -> bool:
    """Whether an index is whole inside a tile: a feature, or the last axis of streamed values that all scores lack."""
    if item in shapes.features:
        return True
    found = (node for expr in bodies for node in walk(expr) if isinstance(node, Read) and item in free_indices(node))
    reads = [read for read in found if varies(shapes, read, family)]
    last = all(node.subs[-1] == Coord(item) for node in reads) and bool(reads)
    return last and not any(joins(shapes, expr, item, family) for expr in bodies)


def is_factor(shapes: Shapes, bodies: tuple[Expr, ...], family: str, parallel: str, item: str) -> bool:
    """Whether an index is one of some streamed factor that all rows share and of no other, wherever it stands there.

    Before   Y[b,n,d] = sum[c](relu(sum[e](U[c,e] * X[b,n,e])) * W[d,c])
    After    d is whole inside a tile: what c brings is computed once for all d
    """
    reads = [node for expr in bodies for node in walk(expr) if isinstance(node, Read) and varies(shapes, node, family)]
    having = [read for read in reads if item in free_indices(read)]
    shared = all(parallel not in free_indices(read) for read in having) and item not in {parallel, *shapes.walked}
    return shared and 0 < len(having) < len(reads) and not any(joins(shapes, expr, item, family) for expr in bodies)


def rows_of_matrix(shapes: Shapes, inner: tuple[str, ...]) -> list[str]:
    """Where a row would keep a matrix, the axes of it that can be tiled in its stead.

    Before   dW[q,l,k] = sum[b](X[b,l] * g(b, q, k)), rows q, each with all l and k
    After    rows l, a program for each q: what the stream brings is there once for all l
    """
    long = [item for item in inner if item not in shapes.short]
    return [item for item in long if item not in shapes.features] if len(long) > 1 else []


def lacked(shapes: Shapes, inside: tuple[Expr, ...], family: str, item: str) -> bool:
    """Whether some operand of the stream lacks the index, or there is none: rows of a tile share what is read."""
    reads = [node for expr in inside for node in walk(expr) if isinstance(node, Read) and varies(shapes, node, family)]
    return not reads or any(item not in free_indices(read) for read in reads)


def joins(shapes: Shapes, expr: Expr, item: str, family: str) -> bool:
    """Whether the two meet in more than a product."""
    along = (index for index in free_indices(expr) if shapes.family[index] == family)
    return any(joint(expr, item, index) for index in along)


def varies(shapes: Shapes, expr: Expr, family: str) -> bool:
    """Whether a value changes along the stream."""
    return any(shapes.family[index] == family for index in free_indices(expr))
