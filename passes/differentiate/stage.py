"""A streamed stage under differentiation: its outputs as functions of its sums, its sums as folds of its lifts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from attnc.ir.adjoint import Kept
from attnc.ir.cascade import Cascade, Coord, Expr, Input, Map, Read, Var
from attnc.ir.indices import free_indices
from attnc.ir.node import Node
from attnc.ir.stage import Accumulator, Finish, Gauge, Lift, Stream
from attnc.ir.walk import bottom_up, substitute, walk
from attnc.passes.derive.probe import depends
from attnc.passes.differentiate.folds import folded_roots
from attnc.passes.differentiate.kept import state_of
from attnc.passes.differentiate.places import cases, placed
from attnc.passes.differentiate.pullback import ONE, ZERO, mul, neg
from attnc.passes.differentiate.reverse import Root, Term, reverse, together
from attnc.passes.differentiate.writer import Writer
from attnc.passes.simplify import TRUE

STATE = "@"  # before the name of a component of the state, as an expression reads it


class Differentiated:
    """The backward of one stage, written step by step: at its sums, at its elements, at the tensors it reads."""

    def __init__(
        self,
        stream: Stream,
        cascade: Cascade,
        wanted: frozenset[str],
        given: frozenset[str],
        *,
        still: Mapping[str, frozenset[str]],
        precise: bool,
    ) -> None:
        """Names what comes in, and says how the state is read.

        Maxima that are held `still` hand nothing on for the tensors that they scale.
        """
        self.stream, self.monoid, self.forward = stream, stream.monoid, cascade
        self.wanted, self.still, self.writer = wanted, still, Writer(stream, cascade, self._read_state)
        self.finishes = tuple(finish for finish in self.monoid.finishes if finish.tensor in given)
        self.incoming = {item.tensor: self.writer.fresh(f"d{item.tensor}") for item in self.finishes}
        types = self.writer.types
        self.state = state_of(stream, cascade.outputs[0], types.__getitem__, self.writer.fresh, precise=precise)
        for part in self.monoid.parts:
            types[STATE + part.name] = self.state[part.name].type

    # ---- gradients -------------------------------------------------------------------------

    def gradients(self) -> dict[str, str]:
        """For each tensor that is wanted and reached the tensor of its gradient."""
        found: dict[str, list[tuple[Read, Term]]] = {}
        for read, terms in self._elements():
            found.setdefault(read.tensor, []).extend(case for term in terms for case in cases(read, term))
        return {name: self._gradient(name, found[name]) for name in sorted(found)}

    def _gradient(self, name: str, terms: list[tuple[Read, Term]]) -> str:
        axes = self.writer.axes(name)
        own = frozenset(axes)
        moved = (placed(self.writer, read, self._gathered(read, term, f"d{name}_of"), axes) for read, term in terms)
        sums = [self.writer.summed(term, own, f"d{name}_rows") for term in moved]
        if len(sums) > 1:
            sums = [self.writer.settled(term, f"d{name}_part") for term in sums]
        return self.writer.tensor(f"d{name}", axes, self.writer.value(together(sums))).tensor

    def _gathered(self, read: Read, term: Term, name: str) -> Term:
        """What comes in at an element that is found by more than its indices, summed first over all that it lacks.

        Before   what comes in at K[b,h // r,n,e] over (b, h, m, n, e)
        After    dK_of[b,h,n,e] = sum[m](..), of which r heads each are added up
        Holds    because sums commute; the long one is then a stream as any other.
        """
        own = free_indices(read) | (term.scope & set(self.stream.grid))
        plain = all(isinstance(sub, Coord) for sub in read.subs)
        at_hand = term.scope <= own and isinstance(term.value, Read)
        pairs = len(own & set(self.writer.walked)) > 1  # never one for each pair of positions
        return term if plain or at_hand or pairs else self.writer.stored(self.writer.summed(term, own), name)

    def _elements(self) -> Iterator[tuple[Read, list[Term]]]:
        """What comes in at every element that the outputs read, and at every one that the lifts read."""
        found = self._at_elements(self._finish_roots(self.finishes))
        yield from ((read, terms) for read, terms in found.items() if not read.tensor.startswith(STATE))
        lifts = self._lift_roots(_at_state(found))
        yield from reverse(lifts, self._is_wanted, self._stored_sum).items()

    def _at_elements(self, roots: Iterable[Root]) -> dict[Read, list[Term]]:
        """What comes in at every element that outputs read, the state's among them."""
        found = reverse(roots, self._is_wanted, self.writer.summed)
        return {read: [self._resolved(term) for term in terms] for read, terms in found.items()}

    def _stored_sum(self, term: Term, own: frozenset[str]) -> Term:
        """What comes in between, summed over a length, is a tensor of its own; sums over the grid wait for the end."""
        summed = self.writer.summed(term, own | (term.scope & set(self.stream.grid)))
        along = set(self.writer.walked) & (term.scope - own)
        return self.writer.stored(summed) if along else summed

    def _is_wanted(self, read: Read) -> bool:
        return read.tensor in self.wanted or read.tensor.startswith(STATE)

    # ---- roots -----------------------------------------------------------------------------

    def _finish_roots(self, finishes: Iterable[Finish]) -> Iterator[Root]:
        for finish in finishes:
            value = Read(self.incoming[finish.tensor], finish.left, span=finish.span)
            term = Term(value, frozenset(finish.indices), tuple(map(self._over_state, finish.when)))
            yield Root(self._over_state(finish.value), self._once(term))

    def _once(self, term: Term) -> Term:
        """At the first point of each grid index that an output lacks: all programs along it write the same."""
        lacked = tuple(index for index in self.stream.grid if index not in term.scope)
        first = (Map("eq", (Coord(index), self.forward.range(index).lo)) for index in lacked)
        return Term(term.value, term.scope | frozenset(lacked), term.when).where(*first)

    def _lift_roots(self, at_sums: dict[str, list[Term]]) -> Iterator[Root]:
        for item in self.monoid.accumulators:
            if item.name in at_sums:
                yield from self._folded(item, self._at_sum(item, at_sums[item.name]))
        for gauge in self.monoid.gauges:
            total = self._at_reference(gauge)
            if total is not None:
                yield from self._folded(gauge, total)

    def _folded(self, item: Accumulator | Gauge, term: Term) -> Iterator[Root]:
        lifts = tuple(Lift(lift.segment, self._lifted(lift.body, lift.segment), lift.when) for lift in item.lifts)
        op = item.op if isinstance(item, Accumulator) else "max"
        axes = self._axes(item)
        yield from folded_roots(self.writer, op, f"{item.name}", axes, lifts, term)

    def _at_sum(self, item: Accumulator | Gauge, terms: list[Term]) -> Term:
        """What comes in at a sum, at its own axes."""
        own = frozenset(self._axes(item))
        total = together([self.writer.summed(term, own) for term in terms])
        return self.writer.settled(Term(self.writer.simple(self.writer.value(total)), own), f"d{item.name}")

    def _at_reference(self, gauge: Gauge) -> Term | None:
        """What comes in at a maximum that shows in an output: through itself, and through the sums relative to it.

        A sum relative to a reference changes with it as its correction does.
        """
        scaled = self.still.get(gauge.name, ())
        showing = [item for item in self.finishes if item.tensor not in scaled and depends(self.monoid, item, gauge)]
        at_state = _at_state(self._at_elements(self._finish_roots(showing)))
        terms = list(at_state.get(gauge.name, ()))
        for item in self.monoid.accumulators:
            if item.gauge == gauge.name and item.name in at_state:
                slope = self._resolved(Term(self._slope(item, gauge), frozenset(self._axes(item))))
                incoming = self._at_sum(item, at_state[item.name])
                terms.append(Term(neg(mul(incoming.value, slope.value)), incoming.scope, incoming.when))
        return self._at_sum(gauge, terms) if terms else None

    def _slope(self, item: Accumulator, gauge: Gauge) -> Expr:
        """How fast the correction of a sum changes it as the reference falls."""
        total: Expr = ZERO
        shift = Read(STATE + gauge.shift, ())
        for coefficient, name in item.keep:
            root = Root(cast(Expr, substitute(coefficient, {Var(gauge.shift): shift})), Term(ONE, frozenset()))
            found = reverse([root], lambda read: read == shift, lambda term, own: term).get(shift, ())
            for term in found:
                at_rest = cast(Expr, substitute(term.value, {shift: ZERO}))
                total = Map("add", (total, mul(at_rest, self._over_state(Var(name)))))
        return total

    # ---- the state -------------------------------------------------------------------------

    def _axes(self, item: Accumulator | Gauge) -> tuple[str, ...]:
        return (*self.stream.grid, *item.axes)

    def _over_state(self, expr: Expr) -> Expr:
        """An expression of a finish with each component of the state as an element of a tensor."""
        reads: dict[Node, Node] = {
            Var(part.name): Read(STATE + part.name, tuple(map(Coord, self._axes(part)))) for part in self.monoid.parts
        }
        return cast(Expr, substitute(expr, reads))

    def _read_state(self, expr: Expr) -> Expr:
        """The expression with each component of the state read as the backward does."""

        def rule(node: Node) -> Node | None:
            own = isinstance(node, Read) and node.tensor.startswith(STATE)
            return self.state[node.tensor.removeprefix(STATE)].whole if own and isinstance(node, Read) else None

        return cast(Expr, bottom_up(expr, rule))

    def _resolved(self, term: Term) -> Term:
        """The same of a term; conditions that then hold are dropped."""
        tests = tuple(self.writer.simple(self._read_state(test)) for test in term.when)
        value = self.writer.simple(self._read_state(term.value))
        return Term(value, term.scope, tuple(test for test in tests if test != TRUE))

    def _lifted(self, body: Expr, segment: int) -> Expr:
        """A lift's body with the shifted scores written out."""
        values: dict[Node, Node] = {}
        for gauge in self.monoid.gauges:
            lift = next((lift for lift in gauge.lifts if lift.segment == segment), None)
            if lift is not None:
                op = "shift" if gauge.op == "max" else "sub"
                value: Expr = lift.body
                for held in self.state[gauge.name].parts:
                    value = Map(op, (value, held.read), span=lift.body.span)
                values[Var(gauge.shifted)] = value
        return cast(Expr, substitute(body, values))

    # ---- the whole -------------------------------------------------------------------------

    def needed(self) -> tuple[Kept, ...]:
        """The components of the state that the backward reads and no output is."""
        found = []
        for part in self.monoid.parts:
            for item in self.state[part.name].parts:
                if isinstance(item.read, Read) and not item.output and item.read.tensor in self._read():
                    found.append(Kept(item.read.tensor, self._axes(part), item.type, item.value))
        return tuple(found)

    def _read(self) -> list[str]:
        """The tensors that the backward reads and does not compute."""
        own = {tensor.name for tensor in self.writer.tensors}
        read = (node for tensor in self.writer.tensors for node in walk(tensor) if isinstance(node, Read))
        return sorted({node.tensor for node in read} - own)

    def cascade(self, outputs: tuple[str, ...]) -> Cascade:
        """The backward cascade; its inputs are the tensors it reads."""
        inputs = tuple(Input(name, self._input_axes(name), self.writer.types[name]) for name in self._read())
        rows = tuple(name for name in self.writer.rows if name not in outputs)
        return self.writer.cascade(f"{self.forward.name}_backward", (*rows, *outputs), inputs)

    def _input_axes(self, name: str) -> tuple[str, ...]:
        for tensor, incoming in self.incoming.items():
            if name == incoming:
                return self.writer.axes(tensor)
        for part in self.monoid.parts:
            held = [item.read for item in self.state[part.name].parts if not item.output]
            if any(isinstance(read, Read) and read.tensor == name for read in held):
                return self._axes(part)
        return self.writer.axes(name)


def _at_state(found: dict[Read, list[Term]]) -> dict[str, list[Term]]:
    """What comes in at the components of the state, by their names."""
    state = {read: terms for read, terms in found.items() if read.tensor.startswith(STATE)}
    return {read.tensor.removeprefix(STATE): terms for read, terms in state.items()}
