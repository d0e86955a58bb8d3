"""Values that wait for no fold over positions: each tile of rows, or of rows and columns, is made by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import cast

from attnc.ir.cascade import Coord, Expr, Grad, Map, Order, Part, Read, Reduce
from attnc.ir.indices import free_indices
from attnc.ir.walk import walk
from attnc.passes.defined import dependencies
from attnc.passes.families import Shapes, is_pointwise
from attnc.passes.operations import FUNCTIONS
from attnc.passes.stages import Role

LINEAR = ("mul", "div", "neg", "real")


@dataclass(frozen=True)
class Direct(Role):
    """How a value is made tile by tile: `index` are its columns, or its rows where only these are tiled.

    `inner`: features that rows are whole in. `loop`: what is folded besides, point by point.
    """

    columns: str | None = None
    loop: str | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """Values with one key can share a stage."""
        return self.parallel, self.columns, self.grid, self.loop


def direct(shapes: Shapes, streamed: Mapping[str, Role]) -> dict[str, Direct]:
    """Every tensor that a stage of its own makes tile by tile; a plain product of weights is left to PyTorch.

    Before   D[b,h,m] = sum[f](dO[b,h,m,f] * O[b,h,m,f]);  G[h,m,n] = sum[b](exp(S[b,h,m,n] - L[b,h,m]))
    After    rows m, grid b and h;  rows m, columns n, grid h, a loop over b
    Holds    where nothing that it needs for a pair of positions folds positions, but for what is known of whole rows:
             it is given out by the stage that folds them. A fold that others share a stream with stays there.
    """
    found, known = dict[str, Direct](), lengths(shapes, streamed)
    for name in sorted(shapes.tensors, key=shapes.position.__getitem__):
        part, *others = shapes.tensors[name].parts
        plain = not others and name not in shapes.recurrent and part.left == tuple(map(Coord, part.indices))
        whole = shapes.features.isdisjoint(part.indices) and not any(map(_is_apart, walk(part)))
        if plain and not whole and (role := _of_features(shapes, part)) is not None:
            found[name] = role
        elif plain and whole:
            waits = frozenset(dependencies(shapes, name) & (streamed.keys() - found.keys()))
            pairs = None if _shares(shapes, name, streamed) else _of_pairs(shapes, part, known, waits)
            role = _of_rows(shapes, part) or pairs
            found |= {name: role} if role is not None else {}
    return found


def lengths(shapes: Shapes, streamed: Mapping[str, Role]) -> set[str]:
    """The families of indices that a program walks or takes in tiles."""
    found = {shapes.family[index] for role in streamed.values() for index in (role.parallel, role.index)}
    return found | {shapes.family[index] for index in shapes.walked}


def _is_apart(node: object) -> bool:
    """Whether a node is no arithmetic that kernels have."""
    return isinstance(node, Order | Grad) or (isinstance(node, Reduce) and node.op in ("argmax", "argmin"))


def _shares(shapes: Shapes, name: str, streamed: Mapping[str, Role]) -> bool:
    """Whether a streamed fold is needed by another one of its stream."""
    role = streamed.get(name)
    users = (other for other in streamed if name in dependencies(shapes, other))
    return role is not None and any(streamed[other].key == role.key for other in users)


# ---- rows -----------------------------------------------------------------------------------


def _of_rows(shapes: Shapes, part: Part) -> Direct | None:
    """A contraction over features of which two factors lie along the rows, and all along the same ones."""
    reduce = part.value
    if not isinstance(reduce, Reduce) or reduce.op != "sum" or not set(reduce.over) <= shapes.features:
        return None
    along = [free_indices(item) for item in _factors(reduce.body) if free_indices(item) & set(reduce.over)]
    rows = [index for index in part.indices if sum(index in free for free in along) > 1]
    apart = {index for one, other in permutations(along, 2) for index in (one - other) & set(part.indices)}
    if not rows or apart:
        return None
    return _role(shapes, part, rows[-1], None, None)


def _factors(expr: Expr) -> Iterator[Expr]:
    match expr:
        case Map("mul", (a, b)):
            yield from (*_factors(a), *_factors(b))
        case Map("div" | "neg" | "real", (a, *_)):
            yield from _factors(a)
        case _:
            yield expr


def _of_features(shapes: Shapes, part: Part) -> Direct | None:
    """A value for each feature of a row that functions are called for, like a key that is turned by its position.

    Rows of more than one axis of features fill no registers that a GPU has.
    """
    inner = tuple(index for index in part.indices if index in shapes.features)
    rows = [index for index in part.indices if index not in inner]
    if not rows or len(inner) != 1 or not any(rows[-1] in along for along in called_for_features(shapes, part.tensor)):
        return None
    return _role(shapes, part, rows[-1], None, None, inner)


def called_for_features(shapes: Shapes, name: str) -> list[frozenset[str]]:
    """The indices of each function's call that features are among; none where a value is not pointwise in folds."""
    values = [shapes.open_all(part.value, shapes.reduced) for part in shapes.tensors[name].parts]
    if not all(map(is_pointwise, values)):
        return []
    called = (node for value in values for node in walk(value) if isinstance(node, Map) and node.op in FUNCTIONS)
    return [along for node in called if (along := free_indices(node)) & shapes.features]


# ---- pairs ----------------------------------------------------------------------------------


def _of_pairs(shapes: Shapes, part: Part, known: set[str], waits: frozenset[str]) -> Direct | None:
    """A value for each row and column, folded at most over one more index that is no inner one.

    What it waits for are values of fewer indices than its own: they are read, where all else is computed again.
    """
    folded = [index for index in _over(part.value) if index in shapes.lengths]
    fewer = all(_indices(shapes, name) < set(part.indices) for name in waits)
    if len(folded) > 1 or not fewer or (folded and waits):
        return None
    value = cast(Reduce, part.value).body if folded else part.value
    before = waits | _before(shapes, part, known)
    body, *tests = (shapes.open_all(item, before) for item in (value, *_tests(part)))
    sums = [node for item in (body, *tests) for node in walk(item) if isinstance(node, Reduce)]
    sides = (item for node in sums for item in _sides(node, part.indices, folded))
    pair = next((item[:2] for item in sides if _is_pair(shapes, body, item, known)), None)
    if pair is None:
        return None
    plain = not (folded or tests or _meet(body, *pair))
    if plain and part.tensor not in shapes.cascade.outputs:
        return None  # statements read it: a plain product is left to PyTorch as they are
    inside = (node for node in sums if set(pair) <= free_indices(node))
    if any(set(node.over) & shapes.lengths or _is_apart(node) for node in inside):
        return None
    return _role(shapes, part, *pair, folded[0] if folded else None)


def _before(shapes: Shapes, part: Part, known: set[str]) -> set[str]:
    """Folds that lack a length of the value's own, as projections do: they are read too."""
    along = {index for index in part.indices if shapes.family[index] in known}
    needed = dependencies(shapes, part.tensor)
    folds = (name for name in needed if any(isinstance(item.value, Reduce) for item in shapes.tensors[name].parts))
    return {name for name in folds if not along <= _indices(shapes, name)}


def _indices(shapes: Shapes, name: str) -> set[str]:
    return {index for part in shapes.tensors[name].parts for index in part.indices}


Sides = tuple[str, str, bool]


def _sides(node: Reduce, indices: tuple[str, ...], folded: list[str]) -> Iterator[Sides]:
    """The last index that one operand has and another lacks, the last the other way round; whether there is no more."""
    reads = (item for item in walk(node.body) if isinstance(item, Read) and free_indices(item) & set(node.over))
    sides = dict.fromkeys(free_indices(item) & {*indices, *folded} for item in reads)
    for one, other in permutations(sides, 2):
        rows, columns = ([index for index in indices if index in side] for side in (one - other, other - one))
        if rows and columns and indices.index(rows[-1]) < indices.index(columns[-1]):
            yield rows[-1], columns[-1], len(one - other) == len(other - one) == 1 and bool(one & other)


def _is_pair(shapes: Shapes, body: Expr, sides: Sides, known: set[str]) -> bool:
    """Whether these are rows and columns: both lengths, or all that is not shared, and met in more than a product."""
    rows, columns, alone = sides
    return {shapes.family[rows], shapes.family[columns]} <= known or (alone and _meet(body, rows, columns))


def _meet(expr: Expr, a: str, b: str) -> bool:
    """Whether a function or a sum of terms carries both indices."""
    nodes = (node for node in walk(expr) if isinstance(node, Map) and node.op not in LINEAR)
    return any({a, b} <= free_indices(node) for node in nodes)


def _over(value: Expr) -> tuple[str, ...]:
    return value.over if isinstance(value, Reduce) else ()


def _tests(part: Part) -> tuple[Expr, ...]:
    return (*part.when, *(part.value.when if isinstance(part.value, Reduce) else ()))


def _role(
    shapes: Shapes, part: Part, rows: str, columns: str | None, loop: str | None, inner: tuple[str, ...] = ()
) -> Direct:
    grid = tuple(index for index in part.indices if index not in (rows, columns, *inner))
    index = columns or rows
    return Direct(index, shapes.family[index], rows, grid, inner, True, columns, loop)
