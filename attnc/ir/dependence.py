"""What depends on what: which tensors lie between a value and what it is differentiated by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from attnc.ir.cascade import Cascade, Coord, Expr, Grad, Order, Read, Reduce, Softmax
from attnc.ir.node import Node
from attnc.ir.walk import children, walk

Reads = Mapping[str, frozenset[str]]


def read_names(node: Node) -> frozenset[str]:
    """The tensors and inputs that a node reads."""
    return frozenset(item.tensor for item in walk(node) if isinstance(item, Read))


def reads_of(cascade: Cascade) -> dict[str, frozenset[str]]:
    """What each defined tensor reads."""
    return {tensor.name: read_names(tensor) for tensor in cascade.tensors}


def sources(reads: Reads, names: Iterable[str]) -> frozenset[str]:
    """These and everything that they are computed from."""
    found, queue = set[str](), list(names)
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue += reads.get(name, ())
    return frozenset(found)


def dependents(reads: Reads, name: str) -> frozenset[str]:
    """Every defined tensor that is computed from this one; itself only if it is a recurrence."""
    found = set[str]()
    while True:
        more = {other for other, read in reads.items() if name in read or read & found} - found
        if not more:
            return frozenset(found)
        found |= more


def piece(cascade: Cascade, names: Iterable[str]) -> frozenset[str]:
    """The tensors that must be evaluated together to have these: a derivative needs all that lies between.

    Before   loss[i] = f(hid);  hid[i] = g(W);  step[e] = grad(sum[i](loss[i]), W[e])
    After    piece(step) = loss, hid, step
    """
    return pieces_of(cascade)(names)


def pieces_of(cascade: Cascade) -> Callable[[Iterable[str]], frozenset[str]]:
    """`piece` of a cascade for several names in turn."""
    return partial(sources, _between(cascade))


def _between(cascade: Cascade) -> Reads:
    """For each tensor that is made of derivatives, what lies between; a recurrence is evaluated as a whole."""
    taken = [(tensor.name, node) for tensor in cascade.tensors for node in walk(tensor) if isinstance(node, Grad)]
    if not taken:
        return {}
    reads = reads_of(cascade)
    steps = {name: step.tensors for step in cascade.steps for name in step.tensors}
    found: dict[str, frozenset[str]] = {}
    for name, node in taken:
        through = dependents(reads, node.x.tensor) & sources(reads, read_names(node.y))
        members = {member for other in through for member in steps[other]}
        found[name] = found.get(name, frozenset()) | members
    return found


def aligned_indices(expr: Grad, cascade: Cascade) -> frozenset[str]:
    """The indices of y and x such that y at a position depends on x's tensor at that position alone.

    The derivative of the sum over such an index holds that of every single y.
    """
    found = set[str]()
    for axis, sub in enumerate(expr.x.subs):
        if isinstance(sub, Coord) and _Alignment(cascade, expr.x.tensor, axis).follows(expr.y, sub.index):
            found.add(sub.index)
    return frozenset(found)


class _Alignment:
    """Whether values depend on a tensor at one position along one of its axes alone."""

    def __init__(self, cascade: Cascade, tensor: str, axis: int) -> None:
        """For this axis of this tensor."""
        self.cascade = cascade
        self.touched = dependents(reads_of(cascade), tensor) | {tensor}
        self.known = {(tensor, axis)} if cascade.input(tensor) else set[tuple[str, int]]()
        self.failed = set[tuple[str, int]]()
        self.target = tensor, axis

    def follows(self, expr: Node, index: str) -> bool:
        """Whether the expression at a position of the index needs the tensor at that position alone."""
        match expr:
            case Read(tensor, subs):
                axes = [axis for axis, sub in enumerate(subs) if sub == Coord(index)]
                return tensor not in self.touched or any(self._carries(tensor, axis) for axis in axes)
            case Reduce(_, over) | Softmax(over) | Order(_, over) if index in over:
                return not read_names(expr) & self.touched
            case _:
                return all(self.follows(child, index) for child in children(expr))

    def _carries(self, tensor: str, axis: int) -> bool:
        """Whether a tensor at a position along its axis needs the target at that position alone."""
        if (tensor, axis) in self.known:
            return True
        if (tensor, axis) in self.failed or (tensor == self.target[0] and axis != self.target[1]):
            return False
        defined = self.cascade.tensor(tensor)
        assert defined is not None, f"{tensor} is not defined"
        before, self.known = self.known, self.known | {(tensor, axis)}  # a recurrence: so it is, if it is so before
        fits = all(self._along(part.left[axis], part.value) for part in defined.parts)
        if not fits:
            self.known = before
            self.failed.add((tensor, axis))
        return fits

    def _along(self, left: Expr, value: Expr) -> bool:
        if isinstance(left, Coord):
            return self.follows(value, left.index)
        return not read_names(value) & self.touched
