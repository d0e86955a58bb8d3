"""Which statements walk the fibres of an index, and how they reach each tensor along it.

A fibre is the line of points along one index. It may be cut into tiles: where an axis is read at
`n1 * N0 + n0`, the index n is the pair (n1, n0), the outer one first. Where a tensor that carries n is
read at another index, that index walks the same fibre.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from attnc.ir.cascade import Cascade, Coord, Expr, Map, Order, Part, Read, Reduce
from attnc.ir.indices import free_indices
from attnc.ir.walk import walk


@dataclass(frozen=True, slots=True)
class Fibre:
    """An index and the indices it is cut into, outermost first; itself alone if it is not cut."""

    index: str
    ranks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """How one statement reads one tensor along a fibre.

    `carries`: the subscripts move along the fibre, `whole`: over all of it. `carried`: the tensor itself
    has the fibre as an axis. `in_order`: the statement needs the points in the order in which they come.
    """

    tensor: str
    part: int | None
    carries: bool
    whole: bool
    carried: bool
    in_order: bool


@dataclass(frozen=True, slots=True)
class Visit:
    """What one statement does along a fibre.

    `whole`: it visits all of it. `keeps_outer`: the result still has the outermost rank. `reduces_outer`:
    it folds the outermost rank of per-tile values. `gathers`: each result needs all points (sorting).
    `left_axes` are the axes of the result that lie along the fibre.
    """

    whole: bool
    keeps_outer: bool
    reduces_outer: bool
    gathers: bool
    left_axes: tuple[int, ...]
    accesses: tuple[Access, ...]


def fibre_of(cascade: Cascade, index: str) -> Fibre:
    """The fibre of an index, cut as the cascade cuts it if no statement walks it uncut."""
    axes = carrying_axes(cascade, index)
    cuts: list[tuple[str, ...]] = []
    for part in _parts(cascade):
        for read in _reads(part):
            for axis in axes.get(read.tensor, ()):
                cut = _cut(read.subs[axis])
                if len(cut) > 1 and cut not in cuts:
                    cuts.append(cut)
    walked = any(index in (*part.indices, *_bound(part.value)) for part in _parts(cascade))
    return Fibre(index, cuts[0] if cuts and not walked else (index,))


def _parts(cascade: Cascade) -> Iterator[Part]:
    for tensor in cascade.tensors:
        yield from tensor.parts


def _reads(part: Part) -> Iterator[Read]:
    for root in (part.value, *part.when):
        yield from (node for node in walk(root) if isinstance(node, Read))


def _bound(value: Expr) -> tuple[str, ...]:
    return tuple(index for node in walk(value) if isinstance(node, Reduce | Order) for index in node.over)


def _cut(sub: Expr) -> tuple[str, ...]:
    """The indices of `i1 * c + i0`, the one with the factor first; one index, or none, as they come."""
    match sub:
        case Coord(index):
            return (index,)
        case Map("add", (Map("mul", (Coord(outer), factor)), Coord(inner))) if not free_indices(factor):
            return (outer, inner)
        case Map("add", (Map("mul", (factor, Coord(outer))), Coord(inner))) if not free_indices(factor):
            return (outer, inner)
        case Map("add", (Coord(inner), Map("mul", (Coord(outer), factor)))) if not free_indices(factor):
            return (outer, inner)
        case _:
            return ()


def carrying_axes(cascade: Cascade, index: str) -> dict[str, tuple[int, ...]]:
    """The axes of every tensor that lie along an index: named by it, or copied from such an axis."""
    return _carrying_axes(cascade, Fibre(index, (index,)))


@lru_cache(maxsize=256)
def _carrying_axes(cascade: Cascade, fibre: Fibre) -> dict[str, tuple[int, ...]]:
    axes = {item.name: _positions(item.indices, fibre.index) for item in cascade.inputs}
    changed = True
    while changed:
        changed = False
        for part in _parts(cascade):
            walkers = _walkers(part, fibre, axes)
            found = {axis for axis, sub in enumerate(part.left) if free_indices(sub) & walkers}
            old = axes.get(part.tensor, ())
            new = tuple(sorted(found.union(old)))
            changed = changed or new != old
            axes[part.tensor] = new
    return axes


def _positions(indices: tuple[str, ...], index: str) -> tuple[int, ...]:
    return tuple(axis for axis, name in enumerate(indices) if name == index)


def _walkers(part: Part, fibre: Fibre, axes: dict[str, tuple[int, ...]]) -> frozenset[str]:
    """The statement's indices that move along the fibre."""
    own = frozenset((*part.indices, *_bound(part.value), *(i for test in part.when for i in _bound(test))))
    members = own & {fibre.index, *fibre.ranks}
    if members:
        return members
    for read in _reads(part):
        for axis in axes.get(read.tensor, ()):
            moved = free_indices(read.subs[axis]) & own
            if moved and _in_order(read.subs[axis]):
                return moved
    return frozenset()


def visits_of(cascade: Cascade, part: Part, fibre: Fibre) -> Visit:
    """How a statement moves along a fibre."""
    axes = _carrying_axes(cascade, fibre)
    walkers = _walkers(part, fibre, axes)
    outer, whole = _extent(walkers, fibre)
    kept = frozenset().union(*(free_indices(sub) for sub in part.left)) & walkers
    folded = frozenset(_bound(part.value)) & walkers
    ordered = frozenset(i for node in walk(part.value) if isinstance(node, Order) for i in node.over) & walkers
    return Visit(
        whole=whole,
        keeps_outer=bool(outer & kept),
        reduces_outer=bool(outer & (folded | ordered)),
        gathers=bool(ordered),
        left_axes=tuple(axis for axis, sub in enumerate(part.left) if free_indices(sub) & walkers),
        accesses=tuple(_access(read, walkers, fibre, axes) for read in _reads(part)),
    )


def _extent(walkers: frozenset[str], fibre: Fibre) -> tuple[frozenset[str], bool]:
    """The outermost of the walking indices, and whether together they cover the fibre."""
    if fibre.index in walkers or not walkers & set(fibre.ranks):
        return walkers, bool(walkers)
    return walkers & {fibre.ranks[0]}, walkers >= set(fibre.ranks)


def _access(read: Read, walkers: frozenset[str], fibre: Fibre, axes: dict[str, tuple[int, ...]]) -> Access:
    moving = frozenset().union(*(free_indices(sub) for sub in read.subs)) & walkers
    carried = axes.get(read.tensor, ())
    ordered = bool(moving) and all(_in_order(read.subs[axis]) for axis in carried if free_indices(read.subs[axis]))
    fixed = any(not free_indices(read.subs[axis]) & walkers for axis in carried)
    return Access(
        tensor=read.tensor,
        part=read.part,
        carries=bool(moving),
        whole=bool(moving) and _extent(moving, fibre)[1],
        carried=bool(carried),
        in_order=ordered and not fixed,
    )


def _in_order(sub: Expr) -> bool:
    """Whether a subscript grows with its indices: i, i + c, i // c, i % c, i1 * c + i0."""
    match sub:
        case Coord():
            return True
        case Map("add", (a, b)):
            return all(_in_order(x) for x in (a, b) if free_indices(x))
        case Map("sub" | "floordiv" | "mod", (a, b)):
            return _in_order(a) and not free_indices(b)
        case Map("mul", (a, b)):
            return sum(bool(free_indices(x)) for x in (a, b)) == 1 and all(
                _in_order(x) for x in (a, b) if free_indices(x)
            )
        case _:
            return False
