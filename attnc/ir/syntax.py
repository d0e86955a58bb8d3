"""A `.attn` file as it is written: the nodes, in the order of `grammar/attn.lark`.

Names are not resolved here and nothing is checked; `attnc.passes.names` does both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from attnc.ir.node import Node

# ---- expressions ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A bare name: a tensor, an index, a size, an option, a def or a reduction."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Number(Node):
    """A literal: `3`, `1e-6`; an integer differs from the equal real."""

    value: int | float

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Number):
            return NotImplemented
        return type(self.value) is type(other.value) and self.value == other.value

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """`true`, `false`, `inf` or `pi`."""

    name: str


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`-x`, `+x` or `not x`."""

    op: str
    x: Expr


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """`a op b` with op one of `+ - * / // % **`."""

    op: str
    a: Expr
    b: Expr


@dataclass(frozen=True, slots=True)
class Logic(Node):
    """`a and b and ..` or `a or b or ..`, two operands or more."""

    op: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Compare(Node):
    """A chain `a <= b < c`: `ops` stand between the `args`."""

    ops: tuple[str, ...]
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Choose(Node):
    """`then if test else other`."""

    then: Expr
    test: Expr
    other: Expr


@dataclass(frozen=True, slots=True)
class Where(Node):
    """`x where test`: x, existing only where test holds."""

    x: Expr
    test: Expr


@dataclass(frozen=True, slots=True)
class At(Node):
    """`x[subs -> slots; extras]`: a read, a re-read `x[n = e]`, or the head of a reduction."""

    x: Expr
    subs: tuple[Expr | Reindex | All, ...]
    slots: tuple[str, ...] = ()
    extras: tuple[Expr | Keyword, ...] = ()


@dataclass(frozen=True, slots=True)
class Apply(Node):
    """`f(args; extras)`; f is a name or a head such as `softmax[n]`."""

    f: Expr
    args: tuple[Expr, ...]
    extras: tuple[Expr | Keyword, ...] = ()


@dataclass(frozen=True, slots=True)
class List(Node):
    """`[a, b, ..]`: a literal tensor."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Reindex(Node):
    """`n = e` inside brackets: read at another value of n."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Keyword(Node):
    """`name = e` behind the `;` of a call."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class All(Node):
    """`:` in the brackets of an argument: keep the axis."""


Expr: TypeAlias = Name | Number | Constant | Unary | Binary | Logic | Compare | Choose | Where | At | Apply | List

# ---- statements ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place(Node):
    """The left side of a definition: `S[b,h,m,n]`; `subs` is None where no brackets are written."""

    name: str
    subs: tuple[Expr, ...] | None = None


@dataclass(frozen=True, slots=True)
class Define(Node):
    """`places = value`; several places take the outputs of a call."""

    places: tuple[Place, ...]
    value: Expr


@dataclass(frozen=True, slots=True)
class Range(Node):
    """One range of an `index` line: a comparison chain with the declared name on one side."""

    test: Compare


@dataclass(frozen=True, slots=True)
class Indices(Node):
    """`index range, range`."""

    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Carry(Node):
    """`carry X = value`: the input X of the next call."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Require(Node):
    """`require test`."""

    test: Expr


@dataclass(frozen=True, slots=True)
class Bind(Node):
    """`target = value` in a check; the target is a name or a name with subscripts."""

    target: Expr
    value: Expr


@dataclass(frozen=True, slots=True)
class Equals(Node):
    """`equals CALL`."""

    call: Expr


@dataclass(frozen=True, slots=True)
class Gives(Node):
    """`gives T = literal, .. within tolerance`."""

    binds: tuple[Bind, ...]
    within: float | None = None


@dataclass(frozen=True, slots=True)
class Check(Node):
    """`check name: with binds equals call` or `.. gives binds within tolerance`."""

    name: str
    binds: tuple[Bind, ...]
    goal: Equals | Gives


Statement: TypeAlias = Define | Indices | Carry | Require | Check

# ---- definitions ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Param(Node):
    """An input or argument: `Q[b,h,m,e]: int = 0`; `indices` is None where no brackets stand."""

    name: str
    indices: tuple[str, ...] | None = None
    type: str | None = None
    default: Expr | None = None


@dataclass(frozen=True, slots=True)
class Option(Node):
    """A compile-time constant behind the `;`: `W: int = 1024`."""

    name: str
    type: str | None = None
    default: Expr | None = None


@dataclass(frozen=True, slots=True)
class Attention(Node):
    """`attention name(params; options) -> outputs:` with its statements."""

    name: str
    params: tuple[Param, ...]
    options: tuple[Option, ...]
    outputs: tuple[str, ...]
    body: tuple[Statement, ...]
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class Function(Node):
    """`def|mask|score name[indices](params; options) = value`, or a block with local names."""

    kind: str
    name: str
    indices: tuple[str, ...]
    params: tuple[Param, ...]
    options: tuple[Option, ...]
    body: tuple[Statement, ...]
    value: Expr
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class Use(Node):
    """`use std.masks: causal, window`; no names means all of the module's."""

    path: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class File(Node):
    """A whole file."""

    uses: tuple[Use, ...]
    definitions: tuple[Attention | Function, ...]
    doc: str | None = None
