"""Sums of choices become choices and sums of sums, where a choice would keep a completed value from the stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import cast

from attnc.ir.cascade import Cascade, Choose, Const, Expr, Map, Part, Read, Reduce, Step, Tensor
from attnc.ir.indices import free_indices
from attnc.ir.node import Node
from attnc.ir.types import types_of
from attnc.ir.walk import bottom_up, rebuild, walk
from attnc.passes.defined import dependencies
from attnc.passes.families import Shapes, is_pointwise
from attnc.passes.simplify import FALSE, TRUE, conjunction, negation, simplify

MOST = 8  # more sums than this are no gain


def choices(cascade: Cascade) -> Cascade:
    """The cascade with each sum over a choice of values, of which one waits for a row, as a sum for each case.

    Before   O[m,f] = sum[n]((A[m,n] / D[m] if p[n] else A[m,n]) * V[n,f]), with D folded over n
    After    O_case[m,f] = sum[n](A * V / D where p[n]); O_case2[m,f] = sum[n](A * V where not p[n]); O their sum
    Holds    because the points of a sum fall into those where a condition holds and the others. A condition that is
             the same all along the sum chooses between two sums.
    """
    shapes, tensors, steps = Shapes(cascade), list[Tensor](), list[Step]()
    for step in cascade.steps:
        made = [] if step.axes else _parted(shapes, step.tensors[0])
        tensors += made or [shapes.tensors[name] for name in step.tensors]
        steps += [Step((tensor.name,)) for tensor in made] or [step]
    return replace(cascade, tensors=tuple(tensors), steps=tuple(steps)) if steps != list(cascade.steps) else cascade


def _parted(shapes: Shapes, name: str) -> list[Tensor]:
    """The sums of the cases, and the tensor over them; nothing where it stays as it is."""
    tensor = shapes.tensors[name]
    part, *others = tensor.parts
    if others or not isinstance(part.value, Reduce) or part.value.op != "sum":
        return []
    cases = _Cases(shapes, tensor, part.value)
    value = cases.of(cases.opened(part.value))
    few = 1 < len(cases.made) <= MOST and all(map(cases.gains, cases.made))
    return [*cases.made, replace(tensor, parts=(replace(part, value=value),))] if few else []


@dataclass
class _Cases:
    """The cases of one sum; `made` are their tensors."""

    shapes: Shapes
    tensor: Tensor
    source: Reduce
    made: list[Tensor] = field(default_factory=list)

    def of(self, reduce: Expr) -> Expr:
        """The sum, as a choice or a sum of the sums of its cases."""
        if not isinstance(reduce, Reduce):
            return reduce
        test = next(self._tests(reduce.body), None)
        if test is None:
            return self._named(reduce)
        yes, no = (self._given(reduce, test, known) for known in (True, False))
        if not free_indices(test) & set(reduce.over):
            return Choose(test, self.of(yes), self.of(no), span=reduce.span)
        sums = (self._where(yes, test), self._where(no, negation(test)))
        found = [self.of(item) for item in sums if item != Const(0.0)]
        return found[0] if len(found) == 1 else Map("add", tuple(found), span=reduce.span)

    def gains(self, made: Tensor) -> bool:
        """Whether the sum of a case is no plain product for each row: it waits for rows, or is the same for several."""
        return self._waits(made.parts[0].value) or len(made.axes) < len(self.tensor.axes)

    def opened(self, expr: Expr) -> Reduce:
        """The sum with every value opened that is made of choices to be told apart."""

        def rule(node: Node) -> Node:
            if isinstance(node, Read) and self._hides(node):
                value = self.shapes.opened(node)
                return node if value is None else rule(value)
            return rebuild(node, lambda child: rule(child))

        return cast(Reduce, rule(expr))

    def _hides(self, read: Read) -> bool:
        """Whether a read value is made of such a choice."""
        value = self.shapes.opened(read)
        if value is None or not is_pointwise(value):
            return False
        if next(self._tests(value), None) is not None:
            return True
        return any(self._hides(node) for node in walk(value) if isinstance(node, Read))

    def _tests(self, expr: Expr) -> Iterator[Expr]:
        """The conditions of choices between values of the stream that wait for a row, outermost first.

        Not those that wait for their own row: the sum waits for them in any case.
        """
        for node in _outside(expr):
            if isinstance(node, Choose) and self._waits(node) and self._runs(node) and not self._own(node.test):
                yield node.test

    def _own(self, test: Expr) -> bool:
        """Whether a condition on the points of a row is known once all of them are seen."""
        rows = set(self.tensor.parts[0].indices) & self.shapes.walked
        return self._waits(test) and self._runs(test) and bool(free_indices(test) & rows)

    def _runs(self, expr: Expr) -> bool:
        return bool(free_indices(expr) & set(self.source.over))

    def _waits(self, expr: Expr) -> bool:
        """Whether a value needs a reduction over what this sum runs over."""
        names = {node.tensor for node in walk(expr) if isinstance(node, Read) and node.tensor in self.shapes.tensors}
        names |= {other for name in names for other in dependencies(self.shapes, name)}
        values = (part.value for name in names for part in self.shapes.tensors[name].parts)
        return any(isinstance(value, Reduce) and set(self.source.over) & set(value.over) for value in values)

    def _given(self, reduce: Reduce, test: Expr, known: bool) -> Reduce:
        """The sum where a condition is known to hold, or not to."""
        facts = dict(_facts(test, known))

        def rule(node: Node) -> Node | None:
            return facts.get(cast(Expr, node))

        kinds = types_of(self.shapes.cascade).__getitem__
        body = simplify(cast(Expr, bottom_up(reduce.body, rule)), kinds)
        when = conjunction(tuple(simplify(cast(Expr, bottom_up(item, rule)), kinds) for item in reduce.when))
        return replace(reduce, body=body, when=() if when == TRUE else (when,))

    def _where(self, reduce: Reduce, test: Expr) -> Expr:
        """The sum over the points where a condition holds besides; 0 where there are none."""
        when = simplify(conjunction((*reduce.when, test)), types_of(self.shapes.cascade).__getitem__)
        nothing = when == FALSE or reduce.body in (Const(0), Const(0.0))
        return Const(0.0) if nothing else replace(reduce, when=(when,))

    def _named(self, reduce: Reduce) -> Read:
        """A tensor of its own for the sum of a case, along the indices that it varies along."""
        (part,) = self.tensor.parts
        name = f"{self.tensor.name}_case{len(self.made) + 1 if self.made else ''}"
        while name in self.shapes.tensors or self.shapes.cascade.input(name) is not None:
            name += "_"
        free = free_indices(reduce)
        axes = [place for place, left in enumerate(part.left) if free_indices(left) & free]
        left = tuple(part.left[place] for place in axes)
        indices = tuple(index for index in part.indices if any(index in free_indices(item) for item in left))
        own = Part(name, left, indices, reduce, span=part.span)
        self.made.append(replace(self.tensor, name=name, axes=tuple(self.tensor.axes[a] for a in axes), parts=(own,)))
        return Read(name, left, span=part.span)


def _facts(test: Expr, known: bool) -> Iterator[tuple[Expr, Const]]:
    """What is known of a condition and of those that it is made of."""
    yield test, Const(known)
    match test:
        case Map("not", (inner,)):
            yield from _facts(inner, not known)
        case Map("and" | "or" as op, args) if known == (op == "and"):
            for arg in args:
                yield from _facts(arg, known)


def _outside(expr: Expr) -> Iterator[Expr]:
    """The nodes of an expression that no reduction holds inside, a node before those below it."""
    yield expr
    if isinstance(expr, Reduce):
        return
    match expr:
        case Map(_, args):
            below: tuple[Expr, ...] = args
        case Choose(test, then, other):
            below = (test, then, other)
        case _:
            below = ()
    for item in below:
        yield from _outside(item)
