"""The order of evaluation: tensors after what they read; cycles become recurrences along one axis."""

from __future__ import annotations

import networkx

from attnc.diagnostics import AttnError, error
from attnc.ir.cascade import Choose, Const, Coord, Default, Exists, Expr, Map, Part, Read, Reduce, Step, Tensor
from attnc.ir.indices import free_indices
from attnc.ir.node import Node
from attnc.ir.operators import COMPARISONS
from attnc.ir.print_expression import show
from attnc.ir.walk import children, walk
from attnc.passes.names.points import Conditions, points
from attnc.passes.prove import Facts
from attnc.passes.sums import linear_terms

Gap = tuple[str, str, int]  # the reader, what it reads, how much earlier
Inner = tuple[Part, Read, Conditions]  # a read inside the cycle, where it stands


def ordered(tensors: tuple[Tensor, ...], facts: Facts) -> tuple[Step, ...]:
    """The steps of evaluation; error A110 for a tensor that needs itself."""
    by_name = {tensor.name: tensor for tensor in tensors}
    place = {tensor.name: number for number, tensor in enumerate(tensors)}
    graph: networkx.DiGraph[str] = networkx.DiGraph()
    graph.add_nodes_from(by_name)
    for tensor in tensors:
        graph.add_edges_from((read.tensor, tensor.name) for read in _reads(tensor) if read.tensor in by_name)
    whole = networkx.condensation(graph)
    order = networkx.lexicographical_topological_sort(
        whole, key=lambda n: min(place[m] for m in whole.nodes[n]["members"])
    )
    steps = []
    for number in order:
        members = sorted(whole.nodes[number]["members"], key=place.__getitem__)
        looped = len(members) > 1 or graph.has_edge(members[0], members[0])
        steps.append(_recurrence([by_name[name] for name in members], facts) if looped else Step(tuple(members)))
    return tuple(steps)


def _reads(tensor: Tensor) -> list[Read]:
    return [node for part in tensor.parts for node in walk(part.value) if isinstance(node, Read)]


def _recurrence(tensors: list[Tensor], facts: Facts) -> Step:
    """The axis of each tensor along which every read inside the cycle comes strictly earlier, or later."""
    names = {tensor.name for tensor in tensors}
    inner = [
        (part, node, around)
        for tensor in tensors
        for part in tensor.parts
        for node, around in points(part.value)
        if isinstance(node, Read) and node.tensor in names
    ]
    for forward in (True, False):
        for axis in range(len(tensors[0].axes)):
            axes = _followed(tensors, inner, axis)
            gaps = _gaps(inner, axes, forward, facts) if axes is not None else None
            lags = _lags(names, gaps) if gaps is not None else None
            if axes is None or gaps is None or lags is None:
                continue
            order = _within(tensors, gaps, lags)
            if order is not None:
                _check_start(tensors)
                places = tuple(axes[name] for name in order)
                return Step(tuple(order), places, forward, tuple(lags[name] for name in order), span=tensors[0].span)
    raise _no_order(tensors, inner, facts)


def _followed(tensors: list[Tensor], inner: list[Inner], axis: int) -> dict[str, int] | None:
    """The axis of every tensor of the cycle along which it moves as the first one does along this axis."""
    found = {tensors[0].name: axis}
    before = 0
    while before < len(found) < len(tensors):
        before = len(found)
        for part, read, _ in inner:
            _follow(part, read, found)
    return found if len(found) == len(tensors) else None


def _follow(part: Part, read: Read, found: dict[str, int]) -> None:
    if part.tensor in found and read.tensor not in found:
        own = free_indices(part.left[found[part.tensor]])
        places = [at for at, sub in enumerate(read.subs) if own and own <= free_indices(sub)]
        if len(places) == 1:
            found[read.tensor] = places[0]
    elif read.tensor in found and part.tensor not in found:
        own = free_indices(read.subs[found[read.tensor]])
        places = [at for at, left in enumerate(part.left) if own & free_indices(left)]
        if len(places) == 1:
            found[part.tensor] = places[0]


def _gaps(inner: list[Inner], axes: dict[str, int], forward: bool, facts: Facts) -> list[Gap] | None:
    """For every read inside the cycle how much earlier it lies at least; None where one cannot be compared."""
    found = []
    for part, read, around in inner:
        left, sub = part.left[axes[part.tensor]], read.subs[axes[read.tensor]]
        gap = _gap((left, sub) if forward else (sub, left), around, facts)
        if gap is None:
            return None
        found.append((part.tensor, read.tensor, gap))
    return found


def _lags(names: set[str], gaps: list[Gap]) -> dict[str, int] | None:
    """How many positions each tensor runs behind, so that no read looks ahead; None where no lag is enough.

    Before   R[t+1] reads A[t], A[t] reads h[t+1]
    After    A runs one position behind: it is made when h stands at t + 1
    """
    lags = dict.fromkeys(names, 0)
    for _ in range(len(names) + 1):
        before = dict(lags)
        for reader, other, gap in gaps:
            lags[reader] = max(lags[reader], lags[other] - gap)
        if lags == before:
            return lags
    return None


def _gap(pair: tuple[Expr, Expr], around: Conditions, facts: Facts) -> int | None:
    """How much earlier a read lies, at least; negative where it lies later, None where that is not plain."""
    difference = linear_terms(Map("sub", pair))
    number = difference.pop(Const(1), 0)
    if not difference:
        return number
    here = facts.also(*(item.test for item in around))
    return next((least for least in (1, 0) if here.implies(Map("ge", (Map("sub", pair), Const(least))))), None)


def _within(tensors: list[Tensor], gaps: list[Gap], lags: dict[str, int]) -> list[str] | None:
    """The order of a cycle's tensors at one position; None where they wait for one another there."""
    graph: networkx.DiGraph[str] = networkx.DiGraph()
    graph.add_nodes_from(tensor.name for tensor in tensors)
    graph.add_edges_from((other, reader) for reader, other, gap in gaps if gap + lags[reader] - lags[other] == 0)
    try:
        return list(networkx.topological_sort(graph))
    except networkx.NetworkXUnfeasible:
        return None


def _no_order(tensors: list[Tensor], inner: list[Inner], facts: Facts) -> AttnError:
    """The error for a cycle in which some element needs itself, or what is not there yet."""
    stuck = [(part, read) for part, read, around in inner if not _earlier(part, read, around, facts)]
    needs: dict[str, tuple[Part, Read]] = {}
    for part, read in stuck or [(part, read) for part, read, _ in inner]:
        needs.setdefault(part.tensor, (part, read))
    part, _ = next(iter(needs.values()))
    chain = ", ".join(f"`{name}` reads `{read.tensor}`" for name, (_, read) in needs.items())
    notes = ("a recurrence reads strictly earlier (or strictly later) positions along one axis",)
    return error(
        "A110",
        f"`{_element(part)}` depends on itself",
        part.span,
        "defined here",
        clashes=[(read.span, "needs what is not there yet") for _, read in needs.values()],
        notes=(chain, *notes) if len(tensors) > 1 else notes,
    )


def _earlier(part: Part, read: Read, around: Conditions, facts: Facts) -> bool:
    """Whether a read lies strictly before or behind its place along some axis."""
    pairs = [pair for left, sub in zip(part.left, read.subs, strict=False) for pair in ((left, sub), (sub, left))]
    return any((_gap(pair, around, facts) or 0) > 0 for pair in pairs)


def _element(part: Part) -> str:
    """A part's left side as it is written."""
    return f"{part.tensor}[{','.join(show(sub) for sub in part.left)}]" if part.left else part.tensor


def _check_start(tensors: list[Tensor]) -> None:
    """A cycle all of whose parts need an element of the cycle has no value anywhere: error A204."""
    names = {tensor.name for tensor in tensors}
    parts = [part for tensor in tensors for part in tensor.parts]
    if not all(_needs(part.value, names) for part in parts):
        return
    part = parts[0]
    place = next((axis for axis, sub in enumerate(part.left) if not isinstance(sub, Coord)), 0)
    subs = [sub.span.text or "..." for sub in part.left]
    subs[place] = "0"
    raise error(
        "A204",
        f"`{part.tensor}` has no value at its start, so no point of it exists",
        part.span,
        "reads itself" if len(tensors) == 1 else f"needs {' and '.join(f'`{name}`' for name in sorted(names))}",
        helps=(f"add `{part.tensor}[{','.join(subs)}] = 0`",),
    )


def _needs(node: Node, names: set[str]) -> bool:
    """Whether a value exists only where some element of these tensors does.

    A reduction may fold nothing, a choice or default may do without, and booleans exist always.
    """
    match node:
        case Reduce() | Default() | Choose() | Exists() | Map("and" | "or" | "not"):
            return False
        case Map(op) if op in COMPARISONS:
            return False
        case Read(tensor) if tensor in names:
            return True
        case _:
            return any(_needs(child, names) for child in children(node))
