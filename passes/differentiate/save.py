"""What is held from the forward to the backward, and what is computed again: a minimum cut."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf, prod
from typing import Any

import networkx

from attnc.ir.adjoint import Adjoint
from attnc.ir.cascade import Cascade, Const, Expr, Size
from attnc.ir.dependence import piece, read_names
from attnc.ir.sizes import whole
from attnc.ir.stage import Host, Plan
from attnc.ir.walk import walk

POINTS = 4096  # how long an axis is taken to be: what is known of extents here is which are equal
SOURCE, SINK = ("source", ""), ("sink", "")


def saved(cascade: Cascade, plan: Plan, steps: Iterable[Adjoint]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tensors to hold, and the host stages to run again.

    Before   Y = X * gain, which a stream reads, and whose backward reads it
    After    X and gain are held, which the caller holds as well; Y is computed again
    Holds    because the narrowest cut between what there is and what the backward reads is what is held: each tensor
             is an edge as wide as it is large; streams and heavy statements are not run twice.
    """
    steps = tuple(steps)
    flow = _Flow(cascade, {n: s for s in plan.stages if isinstance(s, Host) and not s.heavy for n in s.tensors})
    for step in steps:
        for name in _reads(cascade, step):
            flow.need(name, step.cascade or cascade)
    held, run = flow.cut()
    return held, tuple(stage.name for stage in plan.stages if stage.name in run)


def _reads(cascade: Cascade, step: Adjoint) -> frozenset[str]:
    """The tensors of the forward that a step reads."""
    if step.cascade is not None:
        return frozenset(item.name for item in step.cascade.inputs) - {name for _, name in step.incoming}
    tensors = (tensor for tensor in cascade.tensors if tensor.name in step.tensors)
    return frozenset[str]().union(*map(read_names, tensors)) - set(step.tensors)


def operands(cascade: Cascade, stage: Host) -> frozenset[str]:
    """The tensors that a host stage reads."""
    own = piece(cascade, stage.tensors)
    tensors = (tensor for tensor in cascade.tensors if tensor.name in own)
    return frozenset[str]().union(*map(read_names, tensors)) - own


@dataclass
class _Flow:
    """What flows from the inputs to the backward; `light` are the tensors that may be computed again."""

    cascade: Cascade
    light: dict[str, Host]
    graph: Any = field(default_factory=networkx.DiGraph)

    def need(self, name: str, reader: Cascade) -> None:
        """The backward reads this tensor, which `reader` declares."""
        self._behind(name, reader)
        self.graph.add_edge(("out", name), SINK, capacity=inf)

    def _behind(self, name: str, reader: Cascade) -> None:
        if ("in", name) in self.graph:
            return
        self.graph.add_edge(("in", name), ("out", name), capacity=self._width(name, reader))
        before = operands(self.cascade, self.light[name]) if name in self.light else frozenset[str]()
        if not before:
            self.graph.add_edge(SOURCE, ("in", name), capacity=inf)
        for other in before:
            self._behind(other, self.cascade)
            self.graph.add_edge(("out", other), ("in", name), capacity=inf)

    def _width(self, name: str, reader: Cascade) -> float:
        """How much more memory a tensor takes if it is held: next to nothing where the caller holds it."""
        if self.cascade.input(name) is not None or name in self.cascade.outputs:
            return 1
        return 1 + prod(_extent(lo, hi) for lo, hi in _axes(name, self.cascade, reader))

    def cut(self) -> tuple[tuple[str, ...], set[str]]:
        """The tensors that are held, and the names of the stages that are run again."""
        self.graph.add_nodes_from((SOURCE, SINK))
        _, (left, right) = networkx.minimum_cut(self.graph, SOURCE, SINK)
        held = sorted(name for kind, name in left if kind == "in" and ("out", name) in right)
        return tuple(held), {self.light[name].name for kind, name in right if kind == "in" and name in self.light}


def _axes(name: str, cascade: Cascade, reader: Cascade) -> tuple[tuple[Expr, Expr], ...]:
    tensor = cascade.tensor(name)
    if tensor is not None:
        return tensor.axes
    given = reader.input(name)
    assert given is not None, f"{name} is neither computed nor given"
    return tuple((reader.range(index).lo, reader.range(index).hi) for index in given.indices)


def _extent(lo: Expr, hi: Expr) -> int:
    sizes = {node.index: POINTS for expr in (lo, hi) for node in walk(expr) if isinstance(node, Size)}
    return max(0, whole(hi, sizes) - whole(lo, sizes)) if hi != Const(0) else 0
