"""Which reductions can be kept while one axis is streamed, and which of them share a stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from attnc.ir.cascade import Expr, Map, Part, Reduce
from attnc.ir.indices import free_indices
from attnc.passes.across import is_column, is_factor, joins, lacked, rows_of_matrix, varies
from attnc.passes.defined import dependencies
from attnc.passes.derive.reductions import cut
from attnc.passes.families import Shapes


@dataclass(frozen=True)
class Role:
    """How a reduction is streamed: the index it folds, the tiled index, the grid, the axes kept whole.

    `shares`: the rows of a tile share something that is read. Where they do not, a stage of its own gains nothing.
    """

    index: str
    family: str
    parallel: str
    grid: tuple[str, ...]
    inner: tuple[str, ...]
    shares: bool

    @property
    def key(self) -> tuple[object, ...]:
        """Reductions with one key can share a stage."""
        return self.family, self.parallel, self.grid

    def fits(self, other: Role) -> bool:
        """Whether every program of the other's stage could compute this reduction."""
        same = (self.family, self.parallel) == (other.family, other.parallel)
        return same and set(self.grid) <= set(other.grid)


def role_of(shapes: Shapes, name: str, kept: frozenset[str], among: frozenset[str]) -> Role | None:
    """How a tensor's reduction streams, or None where it does not: it is cheap, or has no stream.

    `kept` are reductions that stream themselves: their values are rows, not pairs. The stream is one of `among`.

    Before   O[b,h,m,f] = sum[n](A[b,h,m,n] * V[b,h,n,f])
    After    stream n, parallel m (which V lacks), grid b and h, inner f
    Holds    where something but a product carries both m and n, or a condition does; a plain matrix product is
             left to PyTorch.
    """
    tensor = shapes.tensors[name]
    if len(tensor.parts) != 1 or name in shapes.recurrent:
        return None
    part = tensor.parts[0]
    if not isinstance(part.value, Reduce) or part.value.op in ("argmax", "argmin"):
        return None
    found = [role for index in part.value.over if index in among and (role := _role(shapes, part, index, kept))]
    return found[0] if len(found) == 1 else None


def _role(shapes: Shapes, part: Part, index: str, kept: frozenset[str]) -> Role | None:
    reduce, indices = cast(Reduce, part.value), part.indices
    pieces = cut(shapes, reduce, index)
    if pieces is None:
        return None
    family = shapes.family[index]
    bodies = _along(shapes, [piece.body for piece in pieces], family, kept)
    tests = _along(shapes, [test for piece in pieces for test in piece.when], family, kept)
    compared = {item for test in tests for item in free_indices(test)}
    beside = {
        item for test in tests for atom in _atoms(test) if varies(shapes, atom, family) for item in free_indices(atom)
    }
    meeting = [
        item
        for item in indices
        if item not in shapes.features and (item in compared or any(joins(shapes, x, item, family) for x in bodies))
    ]
    if not meeting:
        return None
    stored = kept | _projections(shapes, part.tensor, set(meeting), family)
    operands = _along(shapes, [expr for piece in pieces for expr in (piece.body, *piece.when)], family, stored)
    shared = [item for item in meeting if lacked(shapes, operands, family, item)]
    candidates = shared or meeting
    parallel = _rows(shapes, candidates, [item for item in candidates if item in beside])
    inner = tuple(item for item in indices if item != parallel and is_column(shapes, bodies, family, item))
    inner = inner or tuple(item for item in indices if item != parallel and item in shapes.short)
    inner = inner or tuple(item for item in indices if is_factor(shapes, bodies, family, parallel, item))[-1:]
    if columns := rows_of_matrix(shapes, inner):
        parallel, inner = columns[0], tuple(item for item in inner if item != columns[0])
    grid = tuple(item for item in indices if item != parallel and item not in inner)
    return Role(index, family, parallel, grid, inner, bool(shared))


def _projections(shapes: Shapes, name: str, meeting: set[str], family: str) -> set[str]:
    """Folds that the stage finds computed, as they lack an index of its rows: it reads them, not what they fold.

    What has a value for each pair of positions is no such fold, whatever else it lacks.
    """
    needed = (shapes.tensors[other] for other in dependencies(shapes, name))
    folds = (tensor for tensor in needed if any(isinstance(part.value, Reduce) for part in tensor.parts))
    rows = meeting & shapes.walked

    def is_projection(part: Part) -> bool:
        streamed = any(shapes.family[index] == family for index in part.indices)
        return not meeting <= set(part.indices) and not (streamed and rows & set(part.indices))

    return {tensor.name for tensor in folds if any(map(is_projection, tensor.parts))}


def _along(shapes: Shapes, exprs: Sequence[Expr], family: str, kept: frozenset[str]) -> tuple[Expr, ...]:
    """The expressions that vary along the stream, every definition in them opened."""
    opened = (shapes.open_all(item, kept) for item in exprs)
    return tuple(item for item in opened if varies(shapes, item, family))


def _rows(shapes: Shapes, candidates: Sequence[str], compared: Sequence[str]) -> str:
    """The index to tile: the last that a condition compares with the stream, and no short one if there is another."""
    long = [item for item in compared if item not in shapes.short]
    return (long or compared or candidates)[-1]


def _atoms(test: Expr) -> Iterator[Expr]:
    """The comparisons and values that a condition is made of."""
    if isinstance(test, Map) and test.op in ("and", "or", "not"):
        for arg in test.args:
            yield from _atoms(arg)
    else:
        yield test


def roles(shapes: Shapes) -> dict[str, Role]:
    """Every streamable reduction with its role, in the order of computation.

    Reductions over positions come first; what folds the values that they leave row by row is a plain product.
    """
    names = sorted(shapes.tensors, key=shapes.position.__getitem__)
    found = _outermost(shapes, {name: role_of(shapes, name, frozenset(), shapes.walked) for name in names})
    kept = frozenset(found)
    found = {name: role for name in found if (role := role_of(shapes, name, kept - {name}, shapes.walked))}
    others = {name: role_of(shapes, name, frozenset(found), shapes.lengths) for name in names if name not in found}
    together = _outermost(shapes, found | others)
    return {name: together[name] for name in names if name in together}


def _outermost(shapes: Shapes, found: Mapping[str, Role | None]) -> dict[str, Role]:
    """Without those inside another stream, and without those that share nothing and have no stage to join."""
    shared = [role for role in found.values() if role is not None and role.shares]
    kept = {name: role for name, role in found.items() if role is not None and any(map(role.fits, shared))}
    return {name: role for name, role in kept.items() if not _nested(shapes, name, role, kept)}


def _nested(shapes: Shapes, name: str, role: Role, found: dict[str, Role]) -> bool:
    """Whether a reduction is the inside of another stream: it has a value for each pair of positions of its tile.

    Rows for each head, and so on, are few, no more than an input has: they are stored, and the reduction streams.
    """
    indices = shapes.tensors[name].parts[0].indices
    if any(set(indices) <= set(item.indices) for item in shapes.cascade.inputs if item.name in _inputs(shapes, name)):
        return False
    for other, outer in found.items():
        along = [index for index in indices if shapes.family[index] == outer.family]
        elsewhere = outer.family != role.family and name in dependencies(shapes, other)
        pairs = along and outer.parallel in shapes.walked & set(indices) and outer.parallel not in along
        if elsewhere and pairs:
            return True
    return False


def _inputs(shapes: Shapes, name: str) -> set[str]:
    """The inputs that a tensor's value comes from."""
    return {item for other in (name, *dependencies(shapes, name)) for item in shapes.operands[other]}
