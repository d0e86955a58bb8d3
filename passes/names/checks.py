"""What must hold of a resolved program and only shows there: types, divisors, subscripts, left sides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from attnc.diagnostics import Diagnostic, error
from attnc.ir.cascade import Expr, Map, Part, Read
from attnc.ir.indices import free_indices
from attnc.ir.walk import walk
from attnc.passes.names.divisors import zero_divisors
from attnc.passes.names.inside import Inside
from attnc.passes.names.kinds import mistyped, unfit
from attnc.passes.names.left import meeting, repeated
from attnc.passes.names.scope import Scope
from attnc.source import Span

Parts = Mapping[str, tuple[Part, ...]]


class Checks:
    """The checks of one attention, all of whose statements are resolved; mistakes are kept in its scope.

    What depends on a statement that is a mistake already is left alone.
    """

    def __init__(self, scope: Scope, parts: Parts) -> None:
        """Looks at the parts of every tensor by name."""
        self.scope = scope
        self.facts = scope.facts()
        self.inside = Inside(scope, self.facts)
        self.wrong: set[Span] = set()
        self.told: set[Span | None] = set()
        broken = _broken(scope, parts)
        self.parts = {name: found for name, found in parts.items() if name not in broken}

    def each(self) -> None:
        """Types, divisors and left sides, statement by statement."""
        scope = self.scope
        for claim in scope.claims:
            if not _reads(claim.value) & scope.broken:
                wrong = list(unfit(scope, claim))
                scope.mistakes.add(wrong)
                self.told |= {item.span for item in wrong}
        self._sizes()
        for name, found in self.parts.items():
            if name not in scope.inlined:
                for part in found:
                    self._part(part)
                scope.mistakes.add(meeting(self.facts, found))

    def placed(self) -> dict[str, tuple[Part, ...]]:
        """The parts with every read tested where it must be."""
        for item in self.scope.slices:
            if item.tensor in self.scope.inputs or item.tensor in self.parts:
                self.inside.settled(item)
        return {name: tuple(self._placed(part) for part in found) for name, found in self.parts.items()}

    def _sizes(self) -> None:
        """Constants that are named like extents, and divisors in sizes and ranges."""
        scope = self.scope
        scope.mistakes.add(_named_like_extents(scope, self.inside))
        for name, statement in scope.sizes.items():
            if name in scope.constants:
                scope.mistakes.add(zero_divisors(scope, self.facts, scope.constants[name], statement.span))
        for index in scope.indices():
            if index not in scope.broken:
                item = scope.ranges[index]
                for end in (item.lo, item.hi):
                    scope.mistakes.add(zero_divisors(scope, self.facts, end, item.span))

    def _part(self, part: Part) -> None:
        scope, before = self.scope, len(self.scope.mistakes.found)
        scope.mistakes.add(item for item in mistyped(scope, part.value, part.span) if item.span not in self.told)
        for root in (part.value, *part.left):
            scope.mistakes.add(zero_divisors(scope, self.facts, root, part.span))
        scope.mistakes.add(repeated(scope, self.facts, part))
        if len(scope.mistakes.found) > before:
            self.wrong.add(part.span)

    def _placed(self, part: Part) -> Part:
        if part.span in self.wrong:
            return part
        return replace(part, value=self.inside.settled(part.value, own=part.tensor not in self.scope.inlined))

    def settled(self, value: Expr) -> Expr:
        """A default or a carried value, checked and its reads tested."""
        scope, before = self.scope, len(self.scope.mistakes.found)
        if _reads(value) & scope.broken:
            return value
        scope.mistakes.add(mistyped(scope, value, value.span))
        scope.mistakes.add(zero_divisors(scope, self.facts, value, value.span))
        return value if len(scope.mistakes.found) > before else self.inside.settled(value)


def _reads(value: Expr) -> set[str]:
    return {node.tensor for node in walk(value) if isinstance(node, Read)}


def _broken(scope: Scope, parts: Parts) -> set[str]:
    """The tensors that are, or read, or run over, what is a mistake already."""
    broken = scope.broken
    while broken:
        new = {name for name, found in parts.items() if any(_depends(part, broken) for part in found)} - broken
        if not new:
            break
        broken |= new
    return broken


def _depends(part: Part, broken: set[str]) -> bool:
    indices = {*part.indices, *free_indices(part.value)}
    bound = {index for node in walk(part.value) for index in getattr(node, "over", ())}
    return bool(broken & (_reads(part.value) | indices | bound))


def _named_like_extents(scope: Scope, inside: Inside) -> Iterator[Diagnostic]:
    """Options and sizes that are used by a name that is also an extent's, unless they are the same number."""
    for name, span in scope.bare.items():
        for index in (index for index in scope.indices() if index.upper() == name and index != name):
            if index not in scope.broken and not inside.facts.implies(
                Map("eq", (scope.constants[name], scope.extent(index)))
            ):
                kind = "size" if name in scope.sizes else "option"
                yield from error(
                    "A102",
                    f"`{name}` is {'an' if kind == 'option' else 'a'} {kind} and the extent of index `{index}`",
                    span,
                    "either could be meant",
                    clashes=((scope.ranges[index].span, f"{index} comes from here"),),
                    helps=(f"write `extent({index})` for the extent, and rename the {kind}",),
                ).diagnostics
