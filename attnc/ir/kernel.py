"""The kernel: tiles, loops and running state, still independent of the target.

A value's shape is the tuple of tile axes it carries, in one canonical order: parallel index, streaming
index, inner ones. A row `(m,)`, a tile `(m, n)`, an operand `(n, e)` and an accumulator `(m, f)` are not
different kinds of node. Exponentials are base 2 here; references and scores are held times log2(e).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from attnc.ir.cascade import Expr
from attnc.ir.node import Node

DType: TypeAlias = Literal["bool", "int32", "int64", "float16", "bfloat16", "float32", "float64"]


@dataclass(frozen=True, slots=True)
class TileType:
    """The axes a value carries and the type of its elements."""

    axes: tuple[str, ...]
    dtype: DType


# ---- values --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Const(Node):
    """A literal."""

    value: bool | int | float
    dtype: DType


@dataclass(frozen=True, slots=True)
class Size(Node):
    """A run-time scalar of the launch: the extent of an index or a size the host computes."""

    name: str


@dataclass(frozen=True, slots=True)
class Coord(Node):
    """The absolute position along a tiled, grid, step or inner index."""

    index: str


@dataclass(frozen=True, slots=True)
class First(Node):
    """The first position of the program's tile of an index."""

    index: str


@dataclass(frozen=True, slots=True)
class Last(Node):
    """The last position of the program's tile of an index that lies inside its axis."""

    index: str


@dataclass(frozen=True, slots=True)
class Use(Node):
    """A Let, Load, State or loop bound by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Map(Node):
    """Elementwise: an operator of `attnc.ir.operators`, or `select` (test, then, other), or `cast:<dtype>`."""

    op: str
    args: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Inside(Node):
    """Whether the position along a tiled index lies inside its axis: the end-of-axis condition."""

    index: str


@dataclass(frozen=True, slots=True)
class Dot(Node):
    """Matrix product of two tiles that share only `over`; float32 (float64) result."""

    a: Value
    b: Value
    over: str


@dataclass(frozen=True, slots=True)
class Reduce(Node):
    """Reduction along one tile axis: sum prod max min any all."""

    op: str
    x: Value
    over: str


Value: TypeAlias = Const | Size | Coord | First | Last | Use | Map | Inside | Dot | Reduce

# ---- statements ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Let(Node):
    """A value bound once in its scope."""

    name: str
    value: Value
    why: str = ""


@dataclass(frozen=True, slots=True)
class Load(Node):
    """A read of a tensor: `subs` are integer values (gathers included), one per axis.

    The address is clamped or masked by the bounds of every tile axis; `when` are conditions beyond.
    Where masked, the value is 0. `inside` are the axes whose subscript is computed and never leaves the tensor.
    """

    name: str
    tensor: str
    subs: tuple[Value, ...]
    when: tuple[Value, ...] = ()
    inside: tuple[int, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class State(Node):
    """A mutable value that lives across loops."""

    name: str
    init: Value
    why: str = ""


@dataclass(frozen=True, slots=True)
class Update(Node):
    """state = op(sum of coef * state over keep, lift); an empty `keep` keeps the state, no lift adds nothing."""

    state: str
    op: str
    keep: tuple[tuple[Value, str], ...]
    lift: Value | None


@dataclass(frozen=True, slots=True)
class Fold(Node):
    """Simultaneous updates: every right side sees the old values."""

    updates: tuple[Update, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Set(Node):
    """A state takes a new value (a gauge, after the fold)."""

    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Loop(Node):
    """for index in lo .. hi: in tiles of `step` (1: the index is a scalar inside).

    `cut`: the last tile may be short and conditions must be tested; otherwise every tile is whole and full.
    """

    index: str
    lo: Value
    hi: Value
    step: int
    cut: bool
    body: tuple[Statement, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Guarded(Node):
    """A body that runs only where a scalar test holds: a tile class known only at run time."""

    test: Value
    body: tuple[Statement, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Reach(Node):
    """From here to the end of its block each row takes of an index no more than low .. high.

    What it folds of other positions changes nothing: reductions along the index may leave them out, and values that
    only these read need not be there.
    """

    index: str
    low: Value
    high: Value


@dataclass(frozen=True, slots=True)
class Store(Node):
    """Write a value to an output; bounds follow from the axes of the value."""

    tensor: str
    subs: tuple[Value, ...]
    value: Value
    why: str = ""


@dataclass(frozen=True, slots=True)
class Add(Node):
    """Add a value to an output, which other tiles of the grid point add to as well; bounds as of a Store."""

    tensor: str
    subs: tuple[Value, ...]
    value: Value
    why: str = ""


Statement: TypeAlias = Let | Load | State | Fold | Set | Loop | Guarded | Reach | Store | Add

# ---- kernel --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Param(Node):
    """A tensor argument: element type, number of axes, the position of the first element per axis.

    `base[i]` is the position that the tensor's first element has along axis i (0 unless its index starts
    elsewhere): the address of position p is (p - base) * stride.
    """

    name: str
    dtype: DType
    base: tuple[Value, ...]
    output: bool = False


@dataclass(frozen=True, slots=True)
class Axis(Node):
    """An index as the kernel sees it: positions lo .. hi.

    `tile`: how many positions a program or loop turn holds (1 for a grid index, the extent for an inner one).
    `extent`: the number where it is compiled in, else None.
    """

    index: str
    lo: Value
    hi: Value
    tile: int
    extent: int | None = None


@dataclass(frozen=True, slots=True)
class Kernel(Node):
    """One program per point of `grid` and tile of `parallel`, or of `parallel` and `columns`.

    `sizes` are the run-time scalars in argument order, each with the size expression of the cascade that the
    launcher evaluates for it. `types` gives the TileType of every named value.
    Where it is `serial` the tiles of a grid point come one after another, for they add to the same tensors, and rows
    that do not exist are read as 0. Where it is `rising` the loops of later rows are longer. Where it `rounds` what it
    stores is on its way to tensors of 16 bits.
    `compute` is the type of arithmetic and of states. `spec` and `plan` are the lines of the header. On a GPU a program
    has `warps`, loads are `stages` turns ahead, a multiprocessor holds `resident` programs at once and takes `cycles` a
    score by the model, and `schedule` has words of `attnc.ir.target.Target`.
    """

    name: str
    grid: tuple[Axis, ...]
    parallel: Axis | None
    axes: tuple[Axis, ...]
    params: tuple[Param, ...]
    sizes: tuple[tuple[str, Expr], ...]
    types: tuple[tuple[str, TileType], ...]
    setup: tuple[Statement, ...]
    loops: tuple[Statement, ...]
    finish: tuple[Statement, ...]
    compute: DType = "float32"
    spec: tuple[str, ...] = ()
    plan: tuple[str, ...] = ()
    columns: Axis | None = None
    warps: int = 1
    stages: int = 1
    cycles: float = 0.0
    serial: bool = False
    rising: bool = False
    rounds: bool = False
    resident: int = 1
    schedule: tuple[str, ...] = ()

    @property
    def tiled(self) -> tuple[Axis, ...]:
        """The axes that programs take in tiles: rows, then columns."""
        return tuple(axis for axis in (self.parallel, self.columns) if axis is not None)

    def type_of(self, name: str) -> TileType:
        """The type of a named value."""
        return dict(self.types)[name]
