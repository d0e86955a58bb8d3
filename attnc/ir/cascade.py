"""The cascade: an attention's equations over named indices, every name resolved.

Two forms share these nodes.

*Stated* (what `names` gives): existence is implicit. `Where`, `Default`, `Exists`, `Softmax`,
`Kth` and the sugared reductions (mean, var, logsumexp) occur; every `when` is empty; absence
propagates by the rules of the language.

*Explicit* (what `expand` gives): existence is ordinary boolean algebra. None of those nodes occurs.
A `Part` and a `Reduce` carry `when`: the conditions under which a point exists or is folded. A value
at a point whose `when` fails is arbitrary and is never read for its number.

Positions are absolute: an axis is the half-open interval [lo, hi) of its range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from attnc.ir.node import Node

Type: TypeAlias = Literal["bool", "int", "real"]

# ---- expressions ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Const(Node):
    """A number or a boolean; its Python type is its type (bool, int, float): 1, 1.0 and true differ."""

    value: bool | int | float

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Const):
            return NotImplemented
        return type(self.value) is type(other.value) and self.value == other.value

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))


@dataclass(frozen=True, slots=True)
class Size(Node):
    """The extent of the input axes that carry this index: `Size("n")` is what a spec calls N."""

    index: str


@dataclass(frozen=True, slots=True)
class Coord(Node):
    """The position along an index, an integer."""

    index: str


@dataclass(frozen=True, slots=True)
class Var(Node):
    """A named scalar of a derived expression: an accumulator, a gauge, a shifted score."""

    name: str


@dataclass(frozen=True, slots=True)
class Read(Node):
    """One element of a tensor.

    `subs` are integer expressions. `tested` lists the axes whose subscript is not provably in range:
    outside, the element is absent. `part` is set where the subscript is a part's own: only that part
    of a tensor defined by parts is meant.
    """

    tensor: str
    subs: tuple[Expr, ...]
    tested: tuple[int, ...] = ()
    part: int | None = None


@dataclass(frozen=True, slots=True)
class Map(Node):
    """An elementwise operation of `attnc.ir.operators`, by name."""

    op: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Choose(Node):
    """`then if test else other`, evaluated lazily."""

    test: Expr
    then: Expr
    other: Expr


@dataclass(frozen=True, slots=True)
class Where(Node):
    """x, existing only where `test` holds (stated form)."""

    x: Expr
    test: Expr


@dataclass(frozen=True, slots=True)
class Default(Node):
    """x where it exists, else `other` (stated form)."""

    x: Expr
    other: Expr


@dataclass(frozen=True, slots=True)
class Exists(Node):
    """Whether x exists (stated form)."""

    x: Expr


@dataclass(frozen=True, slots=True)
class Reduce(Node):
    """Fold `body` over the indices `over`.

    Explicit form: sum prod max min any all argmax argmin. Stated form has mean, var, logsumexp besides.
    `when` (explicit form): only points where all of these hold are folded.
    """

    op: str
    over: tuple[str, ...]
    body: Expr
    when: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True)
class Softmax(Node):
    """exp(shift(x, max x)) / sum over the existing points; keeps its indices (stated form)."""

    over: tuple[str, ...]
    body: Expr


@dataclass(frozen=True, slots=True)
class Order(Node):
    """An order operation: kth, topk, argtopk, sort, argsort.

    `over` are the ordered indices (row-major); `slots` name the result's indices (argtopk, sort, argsort);
    `k` is the count (topk, argtopk) or the rank (kth). `when` as for `Reduce`.
    """

    op: str
    over: tuple[str, ...]
    slots: tuple[str, ...]
    k: Expr | None
    body: Expr
    when: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True)
class Uniform(Node):
    """uniform[coords](seed) in [0, 1): Philox-4x32-10 at these coordinates."""

    coords: tuple[Expr, ...]
    seed: Expr


@dataclass(frozen=True, slots=True)
class Grad(Node):
    """The derivative of `y` with respect to the element `x`, through every definition that lies between.

    Both stand at the statement's point; what `y` has besides is summed inside it.
    """

    y: Expr
    x: Read


Expr: TypeAlias = (
    Const
    | Size
    | Coord
    | Var
    | Read
    | Map
    | Choose
    | Where
    | Default
    | Exists
    | Reduce
    | Softmax
    | Order
    | Uniform
    | Grad
)

# ---- declarations --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Range(Node):
    """Index `index` runs over lo <= index < hi; both are expressions of sizes.

    `walks` are the indices that it walks together, row-major, where it stands for several.
    """

    index: str
    lo: Expr
    hi: Expr
    walks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Input(Node):
    """An input tensor; its axes are the ranges of its indices. `default` makes it optional."""

    name: str
    indices: tuple[str, ...]
    type: Type
    default: Expr | None = None


@dataclass(frozen=True, slots=True)
class Part(Node):
    """One defining statement of a tensor: `tensor[left] = value`.

    `left` are affine in `indices`, injective, disjoint from the tensor's other parts. `when` (explicit
    form) are the conditions under which the points of this part exist.
    """

    tensor: str
    left: tuple[Expr, ...]
    indices: tuple[str, ...]
    value: Expr
    when: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True)
class Tensor(Node):
    """A defined tensor: its axes as half-open intervals of sizes, its type, its parts."""

    name: str
    axes: tuple[tuple[Expr, Expr], ...]
    type: Type
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Step(Node):
    """Tensors that are evaluated together, in dependence order.

    Where they define each other, `axes` gives for each the position of the axis along which every read
    inside the cycle is strictly earlier (`forward`) or strictly later; else it is empty. `lags` are how
    many positions a tensor runs behind the others: it is made at `position - lag` (forward).
    """

    tensors: tuple[str, ...]
    axes: tuple[int, ...] = ()
    forward: bool = True
    lags: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Require(Node):
    """A predicate on sizes, tested once per call."""

    test: Expr


@dataclass(frozen=True, slots=True)
class PassLimit(Node):
    """`require passes[index] <= limit`: speaks of the derived count."""

    index: str
    limit: int


@dataclass(frozen=True, slots=True)
class Carry(Node):
    """The value of an input in the next call, over the input's own indices."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Cascade(Node):
    """One attention, resolved for given option values. Lengths stay symbols."""

    name: str
    inputs: tuple[Input, ...]
    options: tuple[tuple[str, bool | int | float], ...]
    ranges: tuple[Range, ...]
    tensors: tuple[Tensor, ...]
    steps: tuple[Step, ...]
    outputs: tuple[str, ...]
    requires: tuple[Require, ...] = ()
    limits: tuple[PassLimit, ...] = ()
    carries: tuple[Carry, ...] = ()
    doc: str | None = None

    def range(self, index: str) -> Range:
        """The range of an index."""
        return next(range for range in self.ranges if range.index == index)

    def input(self, name: str) -> Input | None:
        """The input of this name, if it is one."""
        return next((item for item in self.inputs if item.name == name), None)

    def tensor(self, name: str) -> Tensor | None:
        """The defined tensor of this name, if it is one."""
        return next((item for item in self.tensors if item.name == name), None)
