"""What names mean in one attention: inputs, options, indices, sizes, tensors, and the defs it can call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from attnc.diagnostics import AttnError, error
from attnc.ir import syntax
from attnc.ir.cascade import Cascade, Const, Expr, Input, Map, Range, Type
from attnc.source import Span


@dataclass
class Scope:
    """One attention under resolution. Definitions are resolved when first needed, in any order."""

    functions: Mapping[str, syntax.Function]
    inputs: dict[str, Input] = field(default_factory=dict)
    ranges: dict[str, Range] = field(default_factory=dict)
    constants: dict[str, Expr] = field(default_factory=dict)
    places: dict[str, list[syntax.Define]] = field(default_factory=dict)
    lefts: dict[str, list[tuple[Expr, ...]]] = field(default_factory=dict)
    types: dict[str, Type] = field(default_factory=dict)
    sizes: dict[str, syntax.Define] = field(default_factory=dict)
    calling: tuple[str, ...] = ()
    attentions: dict[str, Callable[[Mapping[str, object]], Cascade]] = field(default_factory=dict)

    def extent(self, index: str) -> Expr:
        """The extent of an index: hi - lo."""
        item = self.ranges[index]
        return item.hi if item.lo == Const(0) else Map("sub", (item.hi, item.lo))

    def known(self) -> list[str]:
        """Every name that a bare name can mean."""
        capitals = [index.upper() for index in self.ranges]
        return [*self.inputs, *self.places, *self.constants, *self.sizes, *self.ranges, *capitals]


@dataclass(frozen=True)
class Local:
    """The names of a def's body: argument values, and the caller's index for each of its own."""

    values: dict[str, Expr] = field(default_factory=dict)
    indices: dict[str, tuple[str, ...]] = field(default_factory=dict)


def unknown(name: str, span: Span, known: list[str], what: str = "name") -> AttnError:
    """A name that means nothing here, with the nearest that does."""
    close = get_close_matches(name, known, n=1)
    helps = (f"did you mean `{close[0]}`?",) if close else ()
    return error("A101", f"unknown {what} `{name}`", span, "not defined here", helps=helps)
