"""One stage to derive, and what its algebra sees through."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from attnc.ir.cascade import Const, Expr, Map, Read
from attnc.ir.indices import free_indices
from attnc.ir.walk import walk
from attnc.passes.derive.algebra import Algebra, MixedError
from attnc.passes.derive.bounds import interval
from attnc.passes.derive.reductions import Streamed
from attnc.passes.families import Shapes


class RefusedError(Exception):
    """A reduction of the stage cannot be kept in the same pass as those it depends on."""

    def __init__(self, tensor: str, factor: Expr | None) -> None:
        """Names the reduction and the factor that mixes."""
        super().__init__(tensor)
        self.tensor = tensor
        self.factor = factor


@dataclass(frozen=True)
class Problem:
    """One stage to derive: its reductions in order, what it emits, and what earlier stages have stored."""

    shapes: Shapes
    members: tuple[Streamed, ...]
    emits: tuple[str, ...]
    stored: frozenset[str]
    outer: tuple[str, ...]  # grid indices: scalars inside a program
    order: tuple[str, ...]  # the order of axes: parallel first, then inner


def algebra_of(problem: Problem) -> Algebra:
    """The symbols of a stage: what varies along its stream, what earlier stages have stored, its own reductions."""
    members = {item.tensor: item for item in problem.members}
    shapes = problem.shapes
    families = {shapes.family[i] for item in problem.members for i in item.source.over if i not in item.inner}

    def is_full(expr: Expr) -> bool:
        return any(shapes.family[index] in families for index in free_indices(expr)) or _unions(shapes, expr, families)

    def completed(expr: Expr) -> str | None:
        if not isinstance(expr, Read) or expr.tensor not in members:
            return None
        if expr.subs != shapes.tensors[expr.tensor].parts[0].left:
            raise MixedError(expr)  # the value of another row, which this one's state does not know
        return expr.tensor

    def inline(expr: Expr) -> Expr:
        if not isinstance(expr, Read) or expr.tensor in problem.stored or expr.tensor in members:
            return expr
        value = shapes.opened(expr)
        if value is None:
            return expr
        clean = not _reaches(shapes, value, members.keys(), problem.stored)
        if clean and not isinstance(value, Map | Read | Const):
            return shapes.own(expr)
        return inline(value)

    def waits(expr: Expr) -> bool:
        return _reaches(shapes, expr, members.keys(), problem.stored)

    def opened(expr: Expr) -> Expr:
        return shapes.open_all(expr, problem.stored | frozenset(members))

    def lowest(name: str) -> float:
        return interval(shapes.open_all(members[name].source, problem.stored))[0]

    return Algebra(inline, is_full, completed, waits, opened, lowest)


def _unions(shapes: Shapes, expr: Expr, families: set[str]) -> bool:
    """Whether an expression reads one part of an axis of the stream, as a virtual key does."""
    return any(
        isinstance(node, Read)
        and node.part is not None
        and any(tensor.name == node.tensor for tensor, _ in shapes.union_axes)
        for node in walk(expr)
    )


def _reaches(shapes: Shapes, expr: Expr, names: Iterable[str], stored: frozenset[str]) -> bool:
    """Whether the value of an expression depends on one of these tensors."""
    for node in walk(expr):
        if isinstance(node, Read):
            if node.tensor in names:
                return True
            if node.tensor in shapes.tensors and node.tensor not in stored:
                value = shapes.opened(node)
                if value is not None and _reaches(shapes, value, names, stored):
                    return True
    return False
