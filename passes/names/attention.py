"""One attention resolved: declarations, left sides, right sides, then what only the whole program shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from attnc.diagnostics import AttnError, error
from attnc.ir import syntax
from attnc.ir.cascade import Carry, Cascade, Expr, Part, PassLimit, Step, Tensor
from attnc.ir.types import wider
from attnc.passes.names.arguments import callers, in_callee
from attnc.passes.names.calls import called, inline
from attnc.passes.names.checks import Checks
from attnc.passes.names.clauses import carry, defaults, pass_limit, requirements
from attnc.passes.names.declarations import declare_all
from attnc.passes.names.duplicates import duplicates
from attnc.passes.names.einsum import right_side
from attnc.passes.names.expressions import Resolver
from attnc.passes.names.left import Side, left_side
from attnc.passes.names.mistakes import follows, unknown
from attnc.passes.names.modules import Module
from attnc.passes.names.order import ordered
from attnc.passes.names.reads import axes
from attnc.passes.names.scope import Callee, Scope
from attnc.source import Span

NESTED = 20  # calls of attentions within calls

Parts = dict[str, tuple[Part, ...]]


@dataclass
class Resolution:
    """The resolution of one attention for given options; `within` are the attentions that call it."""

    module: Module
    attention: syntax.Attention
    options: Mapping[str, object]
    within: tuple[syntax.Attention, ...] = ()
    call: Span | None = None
    given: tuple[Expr, ...] = ()
    resolver: Resolver = field(init=False)

    def __post_init__(self) -> None:
        """The scope, empty but for what the file defines."""
        missing = frozenset(name for item in self.module.file.uses for name in item.names)
        scope = Scope(self.module.functions, given=self.given, call=self.call, missing=missing)
        scope.attentions = {name: self._callee(*found) for name, found in self.module.attentions.items()}
        self.resolver = Resolver(scope)

    def cascade(self) -> Cascade:
        """The cascade; one error with every independent mistake."""
        attention, resolver, scope = self.attention, self.resolver, self.resolver.scope
        scope.mistakes.add(duplicates(attention, self.module.named))
        scope.mistakes.told()
        values = declare_all(resolver, attention, self.options)
        limits = self._requirements()
        parts = self._parts()
        defaults(resolver, attention)
        carries = self._carries()
        self._outputs(parts)
        _settle_types(scope, parts)
        checks = Checks(scope, parts)
        checks.each()
        steps: tuple[Step, ...] = ()
        before = len(scope.mistakes.found)
        with scope.mistakes.kept():
            steps = ordered(self._tensors(checks.parts), checks.facts)
        if len(scope.mistakes.found) == before:
            parts = checks.placed()
            carries = tuple(replace(item, value=checks.settled(item.value)) for item in carries)
            for name, item in scope.inputs.items():
                if item.default is not None:
                    scope.inputs[name] = replace(item, default=checks.settled(item.default))
        scope.mistakes.told()
        if scope.broken:  # of what a `use` should have brought: told where the module is read
            raise follows()
        tensors = self._tensors(parts)
        return Cascade(
            attention.name,
            tuple(scope.inputs.values()),
            tuple(values.items()),
            tuple(scope.ranges.values()),
            tensors,
            steps,
            attention.outputs,
            tuple(scope.requires),
            limits,
            carries,
            attention.doc or self.module.file.doc,
            span=attention.span,
        )

    def _tensors(self, parts: Parts) -> tuple[Tensor, ...]:
        scope = self.resolver.scope
        return tuple(
            Tensor(name, tuple(axes(scope, scope.lefts[name])), scope.types[name], found, span=found[0].span)
            for name, found in parts.items()
        )

    # ---- statements ------------------------------------------------------------------------

    def _requirements(self) -> tuple[PassLimit, ...]:
        limits: list[PassLimit] = []
        tests: list[syntax.Require] = []
        for item in self.attention.body:
            match item:
                case syntax.Require(syntax.Compare(ops, (syntax.At(syntax.Name("passes"), subs), limit))):
                    with self.resolver.scope.mistakes.kept():
                        limits.append(pass_limit(self.resolver, item, ops, subs, limit))
                case syntax.Require():
                    tests.append(item)
        requirements(self.resolver, tests)
        return tuple(limits)

    def _parts(self) -> Parts:
        """The parts of every tensor by name; a mistake in one statement does not hide those in others."""
        scope, parts = self.resolver.scope, Parts()
        statements = [
            item
            for item in self.attention.body
            if isinstance(item, syntax.Define) and item.places[0].name in scope.places
        ]
        sides = {number: self._sides(item) for number, item in enumerate(statements)}
        scope.sized = True
        for statement in statements:
            for place in statement.places:
                scope.types.setdefault(place.name, "bool")
        for number, statement in enumerate(statements):
            left = sides[number]
            found = self._defined(statement, left) if left is not None else None
            for part in found or ():
                parts[part.tensor] = (*parts.get(part.tensor, ()), part)
            if found is None:
                scope.broken.update(place.name for place in statement.places)
        return parts

    def _sides(self, statement: syntax.Define) -> list[Side] | None:
        """The left sides of a statement; None where there is a mistake in them."""
        scope = self.resolver.scope
        with scope.mistakes.kept():
            sides = [left_side(self.resolver, place) for place in statement.places]
            for place, (left, _) in zip(statement.places, sides, strict=True):
                _check_rank(scope, place, left)
            for place, (left, _) in zip(statement.places, sides, strict=True):
                scope.lefts.setdefault(place.name, []).append(left)
            return sides
        return None

    def _defined(self, statement: syntax.Define, sides: list[Side]) -> list[Part] | None:
        """What a statement defines: one part, or those of the attention that it calls; None for a mistake."""
        resolver = self.resolver
        with resolver.scope.mistakes.kept():
            if called(resolver, statement):
                return inline(resolver, statement, sides)
            if len(statement.places) > 1:
                raise error("A126", "several names are defined by a call only", statement.span, "not a call")
            left, indices = sides[0]
            value = right_side(resolver, statement.value, indices)
            return [Part(statement.places[0].name, left, indices, value, span=statement.span)]
        return None

    def _carries(self) -> tuple[Carry, ...]:
        scope, carries = self.resolver.scope, list[Carry]()
        for item in self.attention.body:
            if isinstance(item, syntax.Carry):
                with scope.mistakes.kept():
                    carries.append(carry(self.resolver, item, [one.name for one in carries]))
        return tuple(carries)

    def _outputs(self, parts: Parts) -> None:
        scope, attention = self.resolver.scope, self.attention
        for output in attention.outputs:
            if output not in parts and output not in scope.inputs and output not in scope.broken:
                close = unknown(output, attention.span, [*parts, *scope.inputs]).diagnostics[0].helps
                with scope.mistakes.kept():
                    raise error(
                        "A112",
                        f"output `{output}` is not defined",
                        _header(attention),
                        "named here",
                        helps=(*close, f"define `{output}[..] = ..`"),
                    )

    # ---- calls -----------------------------------------------------------------------------

    def _callee(self, attention: syntax.Attention, home: Module) -> Callee:
        """How a statement's call of an attention resolves it: for its options, and knowing what the caller requires."""

        def resolved(options: Mapping[str, Expr], caller: Scope, span: Span) -> Cascade:
            within = (*self.within, self.attention)
            if any(attention is one for one in within):
                raise _recursive(attention, span)
            if len(within) > NESTED:
                raise error("A117", f"the calls of attentions nest deeper than {NESTED}", span, "one more here")
            given = tuple(callers(test) for test in (*caller.given, *(item.test for item in caller.requires)))
            values = {name: in_callee(value) for name, value in options.items()}
            return Resolution(home, attention, values, within, span, given).cascade()

        return Callee(attention, resolved)


def _check_rank(scope: Scope, place: syntax.Place, left: tuple[Expr, ...]) -> None:
    """All parts of a tensor have as many axes."""
    earlier = scope.lefts.get(place.name)
    if earlier and len(earlier[0]) != len(left):
        first = next(item for item in scope.places[place.name][0].places if item.name == place.name)
        raise error(
            "A105",
            f"`{place.name}` has {len(earlier[0])} and {len(left)} axes in two statements",
            place.span,
            f"{len(left)} here",
            clashes=((first.span, f"{len(earlier[0])} here"),),
        )


def _header(attention: syntax.Attention) -> Span:
    span = attention.span
    end = span.text.find("\n")
    return Span(span.source, span.start, span.start + end) if end > 0 else span


def _recursive(attention: syntax.Attention, span: Span) -> AttnError:
    return error(
        "A128",
        f"`{attention.name}` calls itself",
        span,
        "an attention cannot recur",
        clashes=((_header(attention), "defined here"),),
        helps=("write a recurrence: `State[i+1] = f(State[i])`",),
    )


def _settle_types(scope: Scope, parts: Parts) -> None:
    """The types of all tensors, by repeating until nothing widens (recurrences read themselves)."""
    changed = True
    while changed:
        changed = False
        for name, found in parts.items():
            kind = scope.types[name]
            for part in found:
                kind = wider(kind, scope.kind(part.value))
            changed = changed or kind != scope.types[name]
            scope.types[name] = kind
