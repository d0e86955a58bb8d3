"""What the passes derive from an explicit cascade: stages, and for each streamed one its monoid.

A *stream* stage keeps a running state while it walks the streaming axis; nothing of size M x N exists.
A *host* stage evaluates statements one by one with PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from attnc.ir.cascade import Cascade, Const, Coord, Expr, Reduce
from attnc.ir.node import Node
from attnc.ir.walk import walk


@dataclass(frozen=True, slots=True)
class Segment(Node):
    """A piece of the streaming axis: the points lo <= index < hi, or one virtual key (index is None).

    A stream over an axis that is defined by parts has one segment per part; a reduction over an
    ordinary index has one; a value that folds nothing has one of one point. `at` is where on the axis a
    point lies: 2 * p and 2 * p + 1 are two segments over the same index. The ends are expressions of sizes,
    and of a grid index where each program walks a part of its own.
    """

    index: str | None
    lo: Expr
    hi: Expr
    at: Expr


POINT = Segment(None, Const(0), Const(1), Const(0))
"""The one segment of a stage that folds nothing."""


@dataclass(frozen=True, slots=True)
class Lift(Node):
    """What a point of one segment contributes: `body`, where all of `when` hold.

    The body is explicit, over the segment's index, the state's axes, inner reductions and reads of
    inputs or of tensors computed by earlier stages. In an accumulator with a gauge, `Var(gauge.shifted)`
    stands for the gauge's score minus the reference.
    """

    segment: int
    body: Expr
    when: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True)
class Gauge(Node):
    """A reference that values of the stream are taken relative to.

    `max`: the running maximum, for exponentials. `mean`: the mean of the first tile in which a row sees
    anything, fixed from then on, for moments; any reference near the values would do.
    `pure`: no output depends on it. Its lifts are the scores, natural base. Segments without a lift do
    not move it. `axes` are the indices of its value.
    """

    name: str
    axes: tuple[str, ...]
    lifts: tuple[Lift, ...]
    pure: bool = True
    op: str = "max"

    @property
    def shifted(self) -> str:
        """The `Var` that stands for score - reference in an accumulator's lift."""
        return f"{self.name}.shifted"

    @property
    def shift(self) -> str:
        """The `Var` that stands for old reference - new reference in `Accumulator.keep`."""
        return f"{self.name}.shift"


@dataclass(frozen=True, slots=True)
class Accumulator(Node):
    """One component of the state: fold of its lifts by `op` (sum prod max min any all).

    When the gauge moves the old value becomes the sum of coef * accumulator over `keep`, the
    coefficients being expressions of `Var(gauge.shift)`. Without a gauge `keep` is empty: it stays.
    """

    name: str
    op: str
    axes: tuple[str, ...]
    lifts: tuple[Lift, ...]
    gauge: str | None = None
    keep: tuple[tuple[Expr, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Finish(Node):
    """An output of the stage: `tensor[left] = value` over Var(accumulator) and Var(gauge).

    The value is total: divisions by an empty sum are already guarded. `when`: where the point exists.
    """

    tensor: str
    left: tuple[Expr, ...]
    indices: tuple[str, ...]
    value: Expr
    when: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True)
class Added(Node):
    """What the points of a stage add to a tensor besides: `tensor[indices]` plus the sum of `body`, where all of
    `when` hold, over the rows.

    `indices` are the grid's, the stream's and inner ones. The tensor begins as zeros, its last axis lies side by
    side, and the tiles of a grid point come one after another.
    """

    tensor: str
    indices: tuple[str, ...]
    body: Expr
    when: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True)
class Monoid(Node):
    """A state, how a point enters it, how two states merge, and what comes out.

    Identity: sums 0, products 1, maxima and gauges -inf, minima inf, any false, all true. Merge: new
    reference = max of the two; each side's accumulators are corrected by `keep` and combined by `op`.
    All operators here commute, so any order and bracketing of segments gives the same state.
    """

    segments: tuple[Segment, ...]
    gauges: tuple[Gauge, ...]
    accumulators: tuple[Accumulator, ...]
    finishes: tuple[Finish, ...]
    adds: tuple[Added, ...] = ()

    @property
    def ends(self) -> tuple[Finish | Added, ...]:
        """Everything that goes to tensors."""
        return (*self.finishes, *self.adds)

    @property
    def parts(self) -> tuple[Gauge | Accumulator, ...]:
        """Everything that is kept: gauges first."""
        return (*self.gauges, *self.accumulators)


@dataclass(frozen=True, slots=True)
class Refusal(Node):
    """Why a stage is not one pass: a code, a sentence, two places (`span` and `clash`), and a way out.

    Codes: CROSS IMPLICIT ORDER NSEP NOUT SEQ BIDIR GAUGE STATE OPAQUE.
    """

    code: str
    reason: str
    clash: Node
    help: str


@dataclass(frozen=True, slots=True)
class Stream(Node):
    """Plan `stream`: tiles of `parallel`, a loop over the segments of `stream` with a running state.

    `grid` are the outputs' other outer indices (batch, heads); `parallel` is None where the outputs have
    no index that the streamed operands lack. Every other index is inner: whole inside a tile.

    `columns` is the second tiled index of outputs that have a value for each pair of positions: the stream, if
    there is one, is then walked point by point. `stream` is None where the one segment is a point. `towards` are the
    tensors that another stage makes of what this one stores, where it is stored for them alone.
    """

    name: str
    monoid: Monoid
    stream: str | None
    parallel: str | None
    grid: tuple[str, ...]
    columns: str | None = None
    towards: tuple[str, ...] = ()

    @property
    def tiled(self) -> tuple[str, ...]:
        """The indices that programs take in tiles: rows, then columns."""
        return tuple(index for index in (self.parallel, self.columns) if index is not None)


@dataclass(frozen=True, slots=True)
class Host(Node):
    """Plan `host`: one step of the cascade, evaluated by PyTorch.

    `heavy`: its iteration space carries two lengths or more, or it is a sequential loop over a length.
    """

    name: str
    tensors: tuple[str, ...]
    heavy: bool
    refusal: Refusal | None = None


Stage: TypeAlias = Stream | Host


@dataclass(frozen=True, slots=True)
class Plan(Node):
    """The stages in order of execution, and every refusal met on the way."""

    stages: tuple[Stage, ...]
    refusals: tuple[Refusal, ...] = ()


def inner_indices(stream: Stream, cascade: Cascade) -> tuple[str, ...]:
    """The indices that are kept whole inside a tile, in the order of the cascade's ranges."""
    monoid = stream.monoid
    outer = {*stream.tiled, *stream.grid, *(segment.index for segment in monoid.segments)}
    used = {index for item in monoid.accumulators for index in item.axes}
    used |= {index for item in monoid.ends for index in item.indices}
    for node in walk(monoid):
        if isinstance(node, Coord):
            used.add(node.index)
        elif isinstance(node, Reduce):
            used |= set(node.over)
    return tuple(item.index for item in cascade.ranges if item.index in used - outer)
