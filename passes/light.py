"""Operands that a stage finds computed: no kernel makes them, or each tile of its rows would make them anew."""

from __future__ import annotations

from collections.abc import Iterable

from attnc.ir.cascade import Grad, Order, Reduce, Size, Tensor
from attnc.ir.walk import walk
from attnc.passes.defined import dependencies
from attnc.passes.direct import Direct, called_for_features
from attnc.passes.draft import Draft, Group
from attnc.passes.families import Shapes, is_pointwise
from attnc.passes.stages import Role


def light(draft: Draft, group: Group) -> frozenset[str]:
    """Operands with reductions of their own that do not run along both axes: computed before the stage."""
    shapes = draft.shapes
    found = set()
    for member in group.members:
        for name in dependencies(shapes, member):
            if name in group.members or name in found:
                continue
            if name in draft.group_of or name in draft.host or is_light(shapes, name, group):
                found.add(name)
    return frozenset(found)


def is_light(shapes: Shapes, name: str, group: Group) -> bool:
    """Whether a value is computed before a stage that needs it."""
    if dependencies(shapes, name) & set(group.members):
        return False
    tensor = shapes.tensors[name]
    if any(isinstance(node, Order | Grad) for node in walk(tensor)):
        return True  # no kernel computes it
    if _folded(tensor) & _outer(group.role):
        return True  # inside the stage that index is one point, or a tile
    if _folds_another_length(shapes, name, group) or _calls_for_features(shapes, name, group):
        return True
    if name in shapes.recurrent or (len(tensor.parts) > 1 and not _all_pointwise(shapes, name)):
        return not _along_both(shapes, name, group)
    return not _all_pointwise(shapes, name) and not _along_both(shapes, name, group)


def _folded(tensor: Tensor) -> set[str]:
    """The indices that a definition folds."""
    return {index for node in walk(tensor) if isinstance(node, Reduce) for index in node.over}


def _outer(role: Role) -> set[str | None]:
    """The indices of a stage that its programs and its loop point by point stand at."""
    own = {role.index, role.loop} if isinstance(role, Direct) else set()
    return {role.parallel, *role.grid, *own}


def _folds_another_length(shapes: Shapes, name: str, group: Group) -> bool:
    """Whether a value folds over an index as long as a length, as a running total over positions does."""
    for node in walk(shapes.tensors[name]):
        for index in node.over if isinstance(node, Reduce) else ():
            sizes = {item.index for item in walk(shapes.cascade.range(index)) if isinstance(item, Size)} - {index}
            lengths = {item for item in sizes if item not in shapes.features}
            if shapes.family[index] != group.role.family and lengths:
                return True
    return False


def _calls_for_features(shapes: Shapes, name: str, group: Group) -> bool:
    """Whether functions are called for every feature of every position along the rows or along the stream.

    KR[n,e] = K[n,e] * cos(n * w[e]) is such an operand. Each tile of rows would make it anew, and the product that
    waits for it would be one of float32: once it is stored, as narrow as the inputs may be, it is what a projection is.
    """
    role = group.role
    if _along_both(shapes, name, group) or (
        _only_rows(role) and not _indices(shapes, name) < {role.parallel, *role.grid, *role.inner}
    ):
        return False
    along = called_for_features(shapes, name)
    return any(role.parallel in indices or _along_stream(shapes, indices, group) for indices in along)


def _only_rows(role: Role) -> bool:
    return isinstance(role, Direct) and role.columns is None


def _indices(shapes: Shapes, name: str) -> set[str]:
    return {index for part in shapes.tensors[name].parts for index in part.indices}


def _all_pointwise(shapes: Shapes, name: str) -> bool:
    names = {name} | dependencies(shapes, name)
    return all(is_pointwise(part.value) for item in names for part in shapes.tensors[item].parts)


def _along_both(shapes: Shapes, name: str, group: Group) -> bool:
    """Whether a value is for each pair of a tile; there is none where only rows are tiled."""
    indices = _indices(shapes, name)
    return not _only_rows(group.role) and group.role.parallel in indices and _along_stream(shapes, indices, group)


def _along_stream(shapes: Shapes, indices: Iterable[str], group: Group) -> bool:
    walked = shapes.cascade.range(group.role.index).walks
    return any(i in walked or shapes.family[i] == group.role.family for i in indices)
