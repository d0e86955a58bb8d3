"""Maxima by which no output changes: softmax is the same about any reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from attnc.ir.cascade import Cascade, Choose, Const, Coord, Expr, Map, Part, Read, Reduce, Tensor
from attnc.ir.dependence import read_names, reads_of, sources
from attnc.ir.indices import free_indices
from attnc.ir.node import Node
from attnc.ir.operators import COMPARISONS
from attnc.ir.walk import substitute, walk

Degree = Counter[tuple[Expr, ...]]
"""By which elements of the maximum a value is scaled: exp(-c) to this power as the element at these subscripts grows by
c, whatever c is. None stands for 0, which is scaled by anything.
"""


class _ShowsError(Exception):
    """A value shows the maximum otherwise than by being scaled."""


def held(cascade: Cascade, given: Collection[str]) -> dict[str, frozenset[str]]:
    """The maxima that may be held as they are where what comes in at the outputs `given` is handed on.

    With each the tensors that it scales: what these hand on to it is what it hands on itself, the other way.

    Before   A_max = max[n](S);  A_exp = exp(shift(S, A_max));  A_sum = sum[n](A_exp);  A = A_exp / A_sum
    After    A_max, and A_exp and A_sum, which it scales
    Holds    because these are scaled alike by exp(-A_max), and A, their quotient, is not.
    """
    apart, found = stopped(cascade), dict[str, frozenset[str]]()
    for item in cascade.tensors:
        if is_maximum(item) and item.name not in apart and item.name not in given:
            scaled = _scaled(cascade, item.name)
            if scaled.shows.isdisjoint(given) and not any(scaled.degrees.get(name) for name in given):
                found[item.name] = frozenset(name for name, degree in scaled.degrees.items() if degree)
    return found


def is_maximum(tensor: Tensor) -> bool:
    """Whether a tensor is a maximum over something, in all its parts."""
    return all(isinstance(part.value, Reduce) and part.value.op == "max" for part in tensor.parts)


def stopped(cascade: Cascade) -> frozenset[str]:
    """What a stopped value is computed from: there a change of reference may cancel that of the value alone."""
    found = [node for tensor in cascade.tensors for node in walk(tensor) if isinstance(node, Map) and node.op == "stop"]
    return sources(reads_of(cascade), (name for node in found for name in read_names(node)))


def _scaled(cascade: Cascade, top: str) -> _Scaled:
    scaled = _Scaled(top)
    for step in cascade.steps:
        scaled.follow([item for name in step.tensors if (item := cascade.tensor(name)) is not None and name != top])
    return scaled


@dataclass
class _Scaled:
    """How values are scaled by one maximum: the degrees of those that are, the names of those that it shows in."""

    top: str
    degrees: dict[str, Degree] = field(default_factory=dict)
    axes: dict[str, tuple[Expr, ...]] = field(default_factory=dict)
    shows: set[str] = field(default_factory=set)

    def follow(self, tensors: list[Tensor]) -> None:
        """Say how the tensors of a step are scaled, all before them being known; those that read themselves are not."""
        if all(self._apart(part.value) and all(map(self._apart, part.when)) for item in tensors for part in item.parts):
            return
        names = {item.name for item in tensors}
        again = any(isinstance(node, Read) and node.tensor in names for item in tensors for node in walk(item))
        if again:
            self.degrees |= {name: Degree() for name in names}
        for item in tensors:
            try:
                found = self._alike(self._of_part(part, item.parts[0].left) for part in item.parts) or Degree()
                if again:
                    _nothing(found)
            except _ShowsError:
                self.shows |= names if again else {item.name}
            else:
                self.degrees[item.name], self.axes[item.name] = found, item.parts[0].left

    def _of_part(self, part: Part, axes: tuple[Expr, ...]) -> Degree | None:
        """How a part is scaled, in the indices of the first."""
        for test in part.when:
            self._plain(test)
        found = self._of(part.value)
        if found and not all(isinstance(left, Coord) for left in (*part.left, *axes)):
            raise _ShowsError
        return _moved(found, part.left, axes) if found else found

    def _apart(self, node: Node) -> bool:
        """Whether a value has nothing to do with the maximum."""
        known = {self.top, *self.degrees, *self.shows}
        return not any(isinstance(item, Read) and item.tensor in known for item in walk(node))

    def _plain(self, expr: Expr) -> None:
        """Refuse what is scaled."""
        _nothing(self._of(expr))

    def _of(self, expr: Expr) -> Degree | None:
        if self._apart(expr):
            return None if isinstance(expr, Const) and expr.value == 0 else Degree()
        match expr:
            case Read(tensor, subs):
                return self._of_read(tensor, subs)
            case Map("exp", (power,)):
                return self._of_power(power)
            case Map("mul", (a, b)):
                return self._product(self._of(a), self._of(b), 1)
            case Map("div", (a, b)):
                return self._product(self._of(a), self._of(b), -1)
            case Map("neg", (a,)):
                return self._of(a)
            case Map("add" | "sub" | "max" | "min", args):
                return self._alike(map(self._of, args))
            case Map(op, args) if op in COMPARISONS:
                self._alike(map(self._of, args))
                return Degree()
            case Choose(test, then, other):
                self._plain(test)
                return self._alike((self._of(then), self._of(other)))
            case Reduce("sum" | "max" | "min", over, body, when):
                return self._of_fold(over, body, when)
            case Map(_, args):
                for arg in args:
                    self._plain(arg)
                return Degree()
            case _:
                for node in walk(expr):
                    if isinstance(node, Read):
                        self._plain(node)
                return Degree()

    def _of_read(self, tensor: str, subs: tuple[Expr, ...]) -> Degree:
        if tensor == self.top or tensor in self.shows or not all(map(self._apart, subs)):
            raise _ShowsError
        found = self.degrees[tensor]
        return _moved(found, self.axes[tensor], subs) if found else found

    def _of_power(self, power: Expr) -> Degree:
        """exp of something less the maximum, or less other references."""
        found = Degree()
        while isinstance(power, Map) and power.op in ("shift", "sub"):
            power, reference = power.args
            if isinstance(reference, Read) and reference.tensor == self.top and all(map(self._apart, reference.subs)):
                found[reference.subs] += 1
            else:
                self._plain(reference)
        self._plain(power)
        return found

    def _of_fold(self, over: tuple[str, ...], body: Expr, when: tuple[Expr, ...]) -> Degree | None:
        for test in when:
            self._plain(test)
        found = self._of(body)
        if any(not free_indices(sub).isdisjoint(over) for key in found or () for sub in key):
            raise _ShowsError
        return found

    def _product(self, one: Degree | None, other: Degree | None, sign: int) -> Degree | None:
        if one is None or other is None:
            return None
        keys = {*one, *other}
        return Degree({key: power for key in keys if (power := one[key] + sign * other[key])})

    def _alike(self, found: Iterable[Degree | None]) -> Degree | None:
        """The one degree that all values have."""
        known = [item for item in found if item is not None]
        if any(item != known[0] for item in known):
            raise _ShowsError
        return known[0] if known else None


def _nothing(found: Degree | None) -> None:
    """Refuse what is scaled."""
    if found:
        raise _ShowsError


def _moved(found: Degree, old: tuple[Expr, ...], new: tuple[Expr, ...]) -> Degree:
    """The same with other subscripts in the place of indices."""
    subs: dict[Node, Node] = dict(zip(old, new, strict=True))
    total = Degree()
    for key, power in found.items():
        total[tuple(substitute(sub, subs) for sub in key)] += power
    return Degree({key: power for key, power in total.items() if power})
