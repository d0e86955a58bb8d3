"""The backward of a program: rewritten first, differentiated second, stage by stage from the outputs on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from attnc.ir.adjoint import Adjoint, Backward, Kept
from attnc.ir.cascade import Cascade, Choose, Expr, Grad, Map, Order, Read, Reduce
from attnc.ir.dependence import piece, pieces_of, read_names, reads_of, sources
from attnc.ir.node import Node
from attnc.ir.stage import Host, Plan, Stage, Stream
from attnc.ir.types import types_of
from attnc.ir.walk import walk
from attnc.passes.differentiate.ends import WHOLE
from attnc.passes.differentiate.held import held
from attnc.passes.differentiate.pullback import FLAT
from attnc.passes.differentiate.save import saved
from attnc.passes.differentiate.stage import Differentiated

Planner = Callable[[Cascade], tuple[Cascade, Plan]]


def backward(
    cascade: Cascade,
    plan: Plan,
    wanted: Iterable[str],
    given: Iterable[str],
    planned: Planner,
    *,
    precise: bool = False,
) -> Backward:
    """The gradients of the `wanted` inputs from what comes in at the outputs `given`.

    They are `precise` if none is made of the first output as it is given out, rounded.

    Before   stages, each computing tensors from inputs and tensors of earlier stages
    After    for each stage, last first, a cascade from what comes in at its outputs to what comes in at its inputs
    Holds    by the chain rule: what comes in at a tensor is the sum of what its readers hand on.
    """
    types = types_of(cascade)
    incoming = {name for name in given if types[name] == "real"}
    still = held(cascade, incoming)
    active = _active(cascade, plan, set(wanted)) - still.keys()
    steps: list[Adjoint] = []
    kept: dict[str, tuple[Kept, ...]] = {}
    for stage in reversed(plan.stages):
        reached = tuple(name for name in emitted(stage) if name in incoming)
        reads = {name for name in differentiable(cascade, stage) if name in active and types[name] == "real"}
        if not reached or not reads:
            continue
        own = statements(cascade, plan, stage)
        if isinstance(stage, Stream) and not _hides(cascade, own, stage):
            sides = frozenset(reads), frozenset(reached)
            found = Differentiated(stage, cascade, *sides, still=still, precise=precise)
            step, kept[stage.name] = _streamed(found, planned)
        else:
            names = tuple(sorted(reads))
            gradients, given_by = (tuple((name, f"d{name}") for name in side) for side in (names, reached))
            step = Adjoint(stage.name, gradients, given_by, tensors=own)
        if step.gradients:
            steps.append(step)
            incoming |= {name for name, _ in step.gradients}
    read, again = saved(cascade, plan, steps)
    return Backward(tuple(steps), tuple((name, items) for name, items in kept.items() if items), read, again)


def _streamed(found: Differentiated, planned: Planner) -> tuple[Adjoint, tuple[Kept, ...]]:
    name, gradients = found.stream.name, found.gradients()
    if not gradients:
        return Adjoint(name, (), ()), ()
    own, plan = planned(found.cascade(tuple(gradients.values())))
    used = {item.name for item in own.inputs}
    incoming = tuple((tensor, given) for tensor, given in found.incoming.items() if given in used)
    return Adjoint(name, tuple(gradients.items()), incoming, own, plan), found.needed()


def emitted(stage: Stage) -> tuple[str, ...]:
    """The tensors that a stage computes."""
    if isinstance(stage, Host):
        return stage.tensors
    return tuple(dict.fromkeys(finish.tensor for finish in stage.monoid.finishes))


def statements(cascade: Cascade, plan: Plan, stage: Stage) -> tuple[str, ...]:
    """The tensors whose statements compute what a stage emits from inputs and from what other stages emit."""
    stored = {name for other in plan.stages if other is not stage for name in emitted(other)}
    reads, together, found, queue = reads_of(cascade), pieces_of(cascade), set[str](), list(emitted(stage))
    while queue:
        name = queue.pop()
        if name in reads and name not in found and name not in stored:
            found |= together((name,))
            queue += reads[name]
    return tuple(name for step in cascade.steps for name in step.tensors if name in found)


def _hides(cascade: Cascade, names: tuple[str, ...], stage: Stream) -> bool:
    """Whether a statement stops the derivative of what is folded in the same pass: a state does not show that."""
    reads = reads_of(cascade)
    tensors = [tensor for tensor in cascade.tensors if tensor.name in names]
    walked = {segment.index for segment in stage.monoid.segments}
    folds = [(t.name, node) for t in tensors for node in walk(t) if isinstance(node, Reduce)]
    folded = {name for name, node in folds if not walked.isdisjoint(node.over)}
    stopped = [node for tensor in tensors for node in walk(tensor) if isinstance(node, Map) and node.op == "stop"]
    within = frozenset(names)
    return any(sources(reads, read_names(node)) & folded & within for node in stopped)


def _active(cascade: Cascade, plan: Plan, wanted: set[str]) -> set[str]:
    """The tensors that change with one that is wanted."""
    found = set(wanted)
    for stage in plan.stages:
        if found & differentiable(cascade, stage):
            found |= set(emitted(stage))
    return found


def differentiable(cascade: Cascade, stage: Stage) -> set[str]:
    """The tensors of which a stage's values are functions that have a derivative."""
    if isinstance(stage, Stream):
        return set(_through(stage.monoid))
    names = piece(cascade, stage.tensors)
    tensors = [tensor for tensor in cascade.tensors if tensor.name in names]
    return {name for tensor in tensors for part in tensor.parts for name in _through(part.value)} - names


def _through(node: Node) -> Iterator[str]:
    """The tensors that are read where a derivative passes."""
    match node:
        case Read(tensor):
            yield tensor
        case Map(op, args):
            for arg in () if op in FLAT else args:
                yield from _through(arg)
        case Choose(_, then, other):
            yield from _through(then)
            yield from _through(other)
        case Reduce(op, _, body) | Order(op, _, _, _, body):
            if op not in WHOLE:
                yield from _through(body)
        case Grad():
            yield from (item.tensor for item in walk(node) if isinstance(item, Read))
        case _:
            yield from _of_stage(node)


def _of_stage(node: Node) -> Iterator[str]:
    """The same for a monoid: through its lifts and its outputs, not through their conditions."""
    lifts = [lift.body for part in getattr(node, "parts", ()) for lift in part.lifts]
    values: list[Expr] = [finish.value for finish in getattr(node, "finishes", ())]
    for expr in (*lifts, *values):
        yield from _through(expr)
