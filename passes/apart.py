"""Indices that are folded inside a tile have names of their own where the tile walks one of that name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import cast

from attnc.ir.cascade import Cascade, Coord, Expr, Range, Reduce, Tensor
from attnc.ir.indices import at
from attnc.ir.walk import rebuild, walk
from attnc.passes.families import Shapes


def apart(cascade: Cascade) -> Cascade:
    """The cascade with no reduction inside another value over an index that this value walks.

    Before   dK[j,u] = sum[m](dO[m] * (K[j,u] - sum[u](K[j,u])))
    After    dK[j,u] = sum[m](dO[m] * (K[j,u] - sum[u_in](K[j,u_in])))
    Holds    because a bound index may have any name; a tile of u is not all of u. Features are whole in every tile:
             they keep theirs, so that what is read of them is read once.
    """
    names = _Names(cascade, Shapes(cascade).features)
    tensors = tuple(_renamed(names, tensor) for tensor in cascade.tensors)
    if not names.found:
        return cascade
    return replace(cascade, tensors=tensors, ranges=(*cascade.ranges, *names.found.values()))


def _renamed(names: _Names, tensor: Tensor) -> Tensor:
    parts = []
    for part in tensor.parts:
        scope = frozenset(part.indices) - names.features
        when = tuple(names.own(test, scope) for test in part.when)
        parts.append(replace(part, value=names.own(part.value, scope), when=when))
    return replace(tensor, parts=tuple(parts))


@dataclass
class _Names:
    """The new indices, each by the one that it stands for."""

    cascade: Cascade
    features: frozenset[str]
    found: dict[str, Range] = field(default_factory=dict)

    def own(self, expr: Expr, scope: frozenset[str]) -> Expr:
        """The expression with its reductions over indices that are not in scope."""
        if not any(isinstance(node, Reduce) for node in walk(expr)):
            return expr
        if isinstance(expr, Reduce):
            other = {index: self._other(index) for index in expr.over if index in scope}
            change: dict[str, Expr] = {index: Coord(name) for index, name in other.items()}
            over = tuple(other.get(index, index) for index in expr.over)
            body, when = at(expr.body, change), tuple(at(test, change) for test in expr.when)
            expr = replace(expr, over=over, body=body, when=when) if other else expr
            scope |= frozenset(over) - self.features
        return rebuild(expr, lambda child: self.own(cast(Expr, child), scope))

    def _other(self, index: str) -> str:
        """The index over the same range that stands for this one inside."""
        if index not in self.found:
            taken = {item.index for item in (*self.cascade.ranges, *self.found.values())}
            name = f"{index}_in"
            while name in taken:
                name += "_"
            self.found[index] = replace(self.cascade.range(index), index=name)
        return self.found[index].index
