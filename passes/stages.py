"""Which reductions can be kept while one axis is streamed, and which of them share a stage."""

from __future__ import annotations

from dataclasses import dataclass

from attnc.ir.cascade import Expr, Read, Reduce
from attnc.ir.indices import free_indices
from attnc.ir.walk import walk
from attnc.passes.derive.reductions import cut
from attnc.passes.families import Shapes, joint


@dataclass(frozen=True)
class Role:
    """How a reduction is streamed: the index it folds, the tiled index, the grid, the axes kept whole."""

    index: str
    family: str
    parallel: str
    grid: tuple[str, ...]
    inner: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str, tuple[str, ...]]:
        """Reductions with one key can share a stage."""
        return self.family, self.parallel, self.grid


def role_of(shapes: Shapes, name: str) -> Role | None:
    """How a tensor's reduction streams, or None where it does not: it is cheap, or has no stream.

    Before   O[b,h,m,f] = sum[n](A[b,h,m,n] * V[b,h,n,f])
    After    stream n, parallel m (which V lacks), grid b and h, inner f
    Holds    where something but a product carries both m and n; a plain matrix product is left to PyTorch.
    """
    tensor = shapes.tensors[name]
    if len(tensor.parts) != 1 or name in shapes.recurrent:
        return None
    part = tensor.parts[0]
    if not isinstance(part.value, Reduce) or part.value.op in ("argmax", "argmin"):
        return None
    found = [role for index in part.value.over if (role := _role(shapes, part.value, part.indices, index))]
    return found[0] if len(found) == 1 else None


def _role(shapes: Shapes, reduce: Reduce, indices: tuple[str, ...], index: str) -> Role | None:
    if index in shapes.features:
        return None
    pieces = cut(shapes, reduce, index)
    if pieces is None:
        return None
    opened = [shapes.open_all(item, frozenset()) for piece in pieces for item in (piece.body, *piece.when)]
    tests = [shapes.open_all(item, frozenset()) for piece in pieces for item in piece.when]
    family = shapes.family[index]
    inside = tuple(item for item in opened if _along(shapes, item, family))
    candidates = [
        item
        for item in indices
        if item not in shapes.features
        and _lacked(shapes, inside, family, item)
        and any(_joint(shapes, expr, item, family) for expr in inside)
    ]
    if not candidates:
        return None
    compared = [item for item in candidates if any(item in free_indices(test) for test in tests)]
    parallel = (compared or candidates)[-1]
    inner = tuple(item for item in indices if item in shapes.features)
    grid = tuple(item for item in indices if item != parallel and item not in inner)
    return Role(index, family, parallel, grid, inner)


def _along(shapes: Shapes, expr: Expr, family: str) -> bool:
    return any(shapes.family[index] == family for index in free_indices(expr))


def _joint(shapes: Shapes, expr: Expr, item: str, family: str) -> bool:
    """Whether the two meet in more than a product; a whole tensor given over both counts."""
    for index in free_indices(expr):
        if shapes.family[index] == family:
            reads = (node for node in walk(expr) if isinstance(node, Read))
            if joint(expr, item, index) or any({item, index} <= free_indices(read) for read in reads):
                return True
    return False


def _lacked(shapes: Shapes, inside: tuple[Expr, ...], family: str, item: str) -> bool:
    """Whether some operand of the stream lacks the index, or there is none: rows of a tile share what is read."""
    reads = [node for expr in inside for node in walk(expr) if isinstance(node, Read) and _along(shapes, node, family)]
    return not reads or any(item not in free_indices(read) for read in reads)


def roles(shapes: Shapes) -> dict[str, Role]:
    """Every streamable reduction with its role, in the order of computation."""
    names = sorted(shapes.tensors, key=shapes.position.__getitem__)
    found = {name: role_of(shapes, name) for name in names}
    kept = {name: role for name, role in found.items() if role is not None}
    return {name: role for name, role in kept.items() if not _nested(shapes, name, role, kept)}


def _nested(shapes: Shapes, name: str, role: Role, found: dict[str, Role]) -> bool:
    """Whether a reduction is the inside of another stream: it has a value for each point of that stream's tile."""
    indices = shapes.tensors[name].parts[0].indices
    for other, outer in found.items():
        along = [index for index in indices if shapes.family[index] == outer.family]
        elsewhere = other != name and outer.family != role.family
        if elsewhere and along and outer.parallel in indices and outer.parallel not in along:
            return True
    return False
