"""Which indices run along the same axis, which are features, and which are lengths."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from attnc.ir.cascade import Choose, Const, Coord, Expr, Grad, Map, Order, Read, Reduce, Size, Uniform
from attnc.ir.indices import free_indices
from attnc.ir.node import Node
from attnc.ir.operators import COMPARISONS
from attnc.ir.sizes import whole
from attnc.ir.walk import top_down, walk
from attnc.passes.defined import Definitions
from attnc.passes.sums import from_terms, linear_terms

SHORT = 64  # a constant extent of so many points is no length
POLYNOMIAL = ("add", "sub", "mul", "div", "neg", "real", "int", "stop")


@dataclass(frozen=True)
class Shapes(Definitions):
    """Facts about an explicit cascade that staging and derivation share."""

    @cached_property
    def features(self) -> frozenset[str]:
        """The indices kept whole: they are the last axis of every real tensor with two axes or more that has them.

        A layout convention, not a matter of meaning: it decides what is tiled, never what is computed.
        """
        return frozenset(index for index, last in self._lasts.items() if all(last)) - self._positions

    @cached_property
    def lengths(self) -> frozenset[str]:
        """The indices that a stream may walk: positions, those folded by more than a sum of products, and those
        that are the last axis of no real tensor.

        In Y[b,n,o] = sum[d](X[b,n,d] * W[d,o]) d is none: it is contracted, and X keeps it last.
        """
        never_last = {index for index, last in self._lasts.items() if not any(last)}
        never_last |= {item.index for item in self.cascade.ranges if item.index not in self._lasts}
        return frozenset((self.walked | never_last) - self.features - self.short)

    @cached_property
    def walked(self) -> frozenset[str]:
        """The indices that the program treats as positions, whatever the layout of its inputs."""
        return frozenset((self._positions | self._folded) - self.features - self.short)

    @cached_property
    def _lasts(self) -> dict[str, list[bool]]:
        """For each index of a real input with two axes or more, where it stands: whether last, tensor by tensor.

        An index of no input, as a called attention has them, stands where one of the same range does.
        """
        found: dict[str, list[bool]] = {}
        for item in self.cascade.inputs:
            if item.type == "real" and len(item.indices) > 1:
                for place, index in enumerate(item.indices, 1):
                    found.setdefault(index, []).append(place == len(item.indices))
        alike = {(item.lo, item.hi): found[item.index] for item in self.cascade.ranges if item.index in found}
        others = {item.index: alike.get((item.lo, item.hi)) for item in self.cascade.ranges}
        return {index: lasts for index, lasts in others.items() if lasts is not None} | found

    @cached_property
    def _folded(self) -> set[str]:
        """The indices of maxima, of orders, and of sums of anything but products."""
        found: set[str] = set()
        for tensor in self.cascade.tensors:
            for node in walk(tensor):
                if isinstance(node, Order) or (isinstance(node, Reduce) and node.op != "sum"):
                    found |= set(node.over)
                elif isinstance(node, Reduce):
                    opened = (self.open_all(item, self.reduced) for item in (node.body, *node.when))
                    inside = {index for expr in opened for item in walk(expr) for index in _bent(item)}
                    found |= inside & set(node.over)
        return found

    @cached_property
    def short(self) -> set[str]:
        """The indices of a constant extent of a few points."""
        ranges = (item for item in self.cascade.ranges if not any(isinstance(node, Size) for node in walk(item)))
        return {item.index for item in ranges if whole(item.hi, {}) - whole(item.lo, {}) <= SHORT}

    @cached_property
    def reduced(self) -> frozenset[str]:
        """The tensors that are defined by a reduction."""
        parts = ((tensor.name, part) for tensor in self.cascade.tensors for part in tensor.parts)
        return frozenset(name for name, part in parts if isinstance(part.value, Reduce))

    @cached_property
    def _positions(self) -> frozenset[str]:
        """The indices that are compared with, or added to, another one: positions along a sequence.

        In K[j * 16 + u] they are digits of one position, and neither need be long; in K[first[b] + i] b finds a place,
        and is none.
        """
        found: set[str] = set()
        for tensor in self.cascade.tensors:
            for node in walk(tensor):
                subs = node.subs if isinstance(node, Read) else ()
                tests = node.args if isinstance(node, Map) and node.op in COMPARISONS else ()
                for expr in (*map(_without_digits, subs), *((node,) if tests and all(map(_whole, tests)) else ())):
                    indices = {item.index for item in walk(_without_reads(expr)) if isinstance(item, Coord)}
                    if len(indices) > 1 and isinstance(expr, Map):
                        found |= indices
        return frozenset(found)

    @cached_property
    def family(self) -> dict[str, str]:
        """For each index the first index of its family: those joined by an axis that is defined by parts."""
        root = {item.index: item.index for item in self.cascade.ranges}

        def find(index: str) -> str:
            while root[index] != index:
                index = root[index]
            return index

        for tensor, axis in self.union_axes:
            found = [i for part in tensor.parts for i in sorted(free_indices(part.left[axis]))]
            found += [i for read in self._reads(tensor.name) for i in self._walker(read, axis)]
            for index in found[1:]:
                one, other = sorted((find(found[0]), find(index)), key=list(root).index)
                root[other] = one
        return {index: find(index) for index in root}

    def _reads(self, name: str) -> list[Read]:
        return [
            node
            for tensor in self.cascade.tensors
            for node in walk(tensor)
            if isinstance(node, Read) and node.tensor == name
        ]

    def _walker(self, read: Read, axis: int) -> list[str]:
        sub = read.subs[axis]
        return [sub.index] if isinstance(sub, Coord) and read.part is None else []


def _bent(node: Node) -> frozenset[str]:
    """The indices along which a node is more than a polynomial of what it is made of; a choice is so along its test."""
    match node:
        case Choose(test=test):
            return free_indices(test)
        case Map("pow", (_, Const())):
            return frozenset()
        case Map(op) if op in POLYNOMIAL:
            return frozenset()
        case Map() | Uniform():
            return free_indices(node)
        case _:
            return frozenset()


def _whole(expr: Expr) -> bool:
    """Whether an expression is made of positions and sizes alone."""
    return not any(isinstance(node, Read | Reduce) for node in walk(expr))


def _without_digits(sub: Expr) -> Expr:
    """A subscript without the terms that are a multiple of a position."""
    if not isinstance(sub, Map) or sub.op not in ("add", "sub"):
        return sub
    terms = linear_terms(sub)
    scaled = {t for t, factor in terms.items() if abs(factor) > 1 or (isinstance(t, Map) and t.op == "mul")}
    return from_terms({term: factor for term, factor in terms.items() if term not in scaled})


def _without_reads(expr: Expr) -> Expr:
    """An expression with some number in place of whatever it reads."""
    return top_down(expr, lambda node: Const(0) if isinstance(node, Read) else None)  # type: ignore[no-any-return]


def is_pointwise(expr: Expr) -> bool:
    """Whether an expression is maps and reads only."""
    return not any(isinstance(node, Reduce | Order | Uniform | Grad) for node in walk(expr))


def joint(expr: Expr, a: str, b: str) -> bool:
    """Whether something but a product carries both indices: a reduction, a function, a comparison."""
    for node in walk(expr):
        linear = isinstance(node, Map) and node.op in ("mul", "div", "neg", "real")
        if isinstance(node, Map | Reduce) and not linear and {a, b} <= free_indices(node):
            return True
    return False
