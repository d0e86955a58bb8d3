"""The order of evaluation: tensors after what they read; cycles become recurrences along one axis."""

from __future__ import annotations

import networkx

from attnc.diagnostics import AttnError, error
from attnc.ir.cascade import Const, Coord, Expr, Map, Part, Range, Read, Step, Tensor
from attnc.ir.indices import free_indices
from attnc.ir.walk import walk
from attnc.passes.sums import linear_terms

Gap = tuple[str, str, int]  # the reader, what it reads, how much earlier


def ordered(tensors: tuple[Tensor, ...], ranges: dict[str, Range]) -> tuple[Step, ...]:
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
        steps.append(_recurrence([by_name[name] for name in members], ranges) if looped else Step(tuple(members)))
    return tuple(steps)


def _reads(tensor: Tensor) -> list[Read]:
    return [node for part in tensor.parts for node in walk(part.value) if isinstance(node, Read)]


def _recurrence(tensors: list[Tensor], ranges: dict[str, Range]) -> Step:
    """The axis of each tensor along which every read inside the cycle comes strictly earlier, or later."""
    names = {tensor.name for tensor in tensors}
    for forward in (True, False):
        for axis in range(len(tensors[0].axes)):
            axes = _followed(tensors, names, axis)
            gaps = _gaps(tensors, names, axes, forward) if axes is not None else None
            lags = _lags(names, gaps) if gaps is not None else None
            if axes is None or gaps is None or lags is None:
                continue
            order = _within(tensors, gaps, lags)
            if order is not None:
                places = tuple(axes[name] for name in order)
                return Step(tuple(order), places, forward, tuple(lags[name] for name in order), span=tensors[0].span)
    raise _no_order(tensors, names)


def _followed(tensors: list[Tensor], names: set[str], axis: int) -> dict[str, int] | None:
    found = {tensors[0].name: axis}
    for _ in tensors:
        for tensor in tensors:
            for part in tensor.parts:
                for read in (node for node in walk(part.value) if isinstance(node, Read) and node.tensor in names):
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


def _gaps(tensors: list[Tensor], names: set[str], axes: dict[str, int], forward: bool) -> list[Gap] | None:
    """For every read inside the cycle how much earlier it lies at least; None where one cannot be compared."""
    found = []
    for tensor in tensors:
        for part in tensor.parts:
            left = part.left[axes[tensor.name]]
            for read in (node for node in walk(part.value) if isinstance(node, Read) and node.tensor in names):
                gap = _gap(left, read, axes, part, forward)
                if gap is None:
                    return None
                found.append((tensor.name, read.tensor, gap))
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


def _gap(left: Expr, read: Read, axes: dict[str, int], part: Part, forward: bool) -> int | None:
    """How much earlier a read lies, at least; negative where it lies later, None where that is not plain."""
    sub = read.subs[axes[read.tensor]]
    if _bounded(left, sub, part, forward):
        return 1
    difference = linear_terms(Map("sub", (left, sub) if forward else (sub, left)))
    number = difference.pop(Const(1), 0)
    if not difference:
        return number
    if number > 0 and all(isinstance(term, Coord) and factor > 0 for term, factor in difference.items()):
        return number
    return _floored(left, sub)


def _floored(left: Expr, sub: Expr) -> int | None:
    """i // c * c is at most i: as early as i, and strictly earlier than i + 1."""
    terms = linear_terms(left)
    ahead = terms.pop(Const(1), 0)
    match sub:
        case Map("mul", (Map("floordiv", (base, c)), d)) if c == d and terms == linear_terms(base):
            return min(ahead, 1) if ahead >= 0 else None
        case _:
            return None


def _bounded(left: Expr, sub: Expr, part: Part, forward: bool) -> bool:
    """A read inside a reduction that a condition keeps below the left side: `where j < i`."""
    from attnc.ir.cascade import Where

    less, more = ("lt", "gt") if forward else ("gt", "lt")
    for node in walk(part.value):
        if isinstance(node, Where):
            for test in walk(node.test):
                if test in (Map(less, (sub, left)), Map(more, (left, sub))):
                    return True
    return False


def _within(tensors: list[Tensor], gaps: list[Gap], lags: dict[str, int]) -> list[str] | None:
    """The order of a cycle's tensors at one position; None where they wait for one another there."""
    graph: networkx.DiGraph[str] = networkx.DiGraph()
    graph.add_nodes_from(tensor.name for tensor in tensors)
    graph.add_edges_from((other, reader) for reader, other, gap in gaps if gap + lags[reader] - lags[other] == 0)
    try:
        return list(networkx.topological_sort(graph))
    except networkx.NetworkXUnfeasible:
        return None


def _no_order(tensors: list[Tensor], names: set[str]) -> AttnError:
    tensor = tensors[0]
    part = tensor.parts[-1]
    read = next(
        node
        for item in tensors
        for p in item.parts
        for node in walk(p.value)
        if isinstance(node, Read) and node.tensor in names
    )
    return error(
        "A110",
        f"`{tensor.name}` depends on itself",
        part.span,
        "defined here",
        clashes=((read.span, "needs what is not there yet"),),
        notes=("a recurrence reads strictly earlier (or strictly later) positions along one axis",),
    )


def check_starts(tensors: tuple[Tensor, ...], steps: tuple[Step, ...]) -> None:
    """A recurrence whose only parts read themselves has no value anywhere: error A204."""
    by_name = {tensor.name: tensor for tensor in tensors}
    for step in steps:
        if not step.axes:
            continue
        for name in step.tensors:
            parts = by_name[name].parts
            if len(step.tensors) == 1 and all(_needs_itself(part) for part in parts):
                left = ",".join("0" if at == step.axes[0] else ".." for at in range(len(parts[0].left)))
                raise error(
                    "A204",
                    f"`{name}` has no value at its start, so no point of it exists",
                    parts[0].span,
                    "reads itself",
                    helps=(f"add `{name}[{left}] = 0`",),
                )


def _needs_itself(part: Part) -> bool:
    """Whether a part reads its own tensor outside any reduction, which may fold nothing."""
    from attnc.ir.cascade import Choose, Default, Reduce
    from attnc.ir.walk import children

    stack = [part.value]
    while stack:
        node = stack.pop()
        if isinstance(node, Reduce | Default | Choose):
            continue
        if isinstance(node, Read) and node.tensor == part.tensor:
            return True
        stack += list(children(node))  # type: ignore[arg-type]
    return False
