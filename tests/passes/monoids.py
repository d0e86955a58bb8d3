"""Monoids built by hand, for tests of what comes after their derivation."""

from __future__ import annotations

from attnc.ir.cascade import (
    Cascade,
    Choose,
    Const,
    Coord,
    Expr,
    Input,
    Map,
    Part,
    Range,
    Read,
    Reduce,
    Size,
    Step,
    Tensor,
    Var,
)
from attnc.ir.kernel import DType, Kernel
from attnc.ir.stage import Accumulator, Finish, Gauge, Lift, Monoid, Segment, Stream
from attnc.ir.target import Target, find_target
from attnc.passes.lower import lower

B, H, M, N, E, F = (Coord(index) for index in "bhmnef")
CAUSAL = Map("le", (N, M))
ZERO = Const(0.0)


def op(name: str, *args: Expr) -> Expr:
    return Map(name, args)


def score() -> Expr:
    """sum[e](Q * K) / sqrt(E)."""
    product = op("mul", Read("Q", (B, H, M, E)), Read("K", (B, H, N, E)))
    return op("div", Reduce("sum", ("e",), product), op("sqrt", Size("e")))


def tilted() -> Expr:
    """The score minus slope[h] * (m - n)."""
    return op("sub", score(), op("mul", Read("slope", (H,)), op("sub", M, N)))


def softmax_monoid(body: Expr, *, lse: bool = False) -> Monoid:
    """Softmax of a body over the keys n <= m, times V: a maximum, a sum and an accumulator."""
    gauge = Gauge("top", ("m",), (Lift(0, body, (CAUSAL,)),), pure=not lse)
    weight, keep = op("exp", Var(gauge.shifted)), op("exp", Var(gauge.shift))
    value = op("mul", weight, Read("V", (B, H, N, F)))
    total = Accumulator("total", "sum", ("m",), (Lift(0, weight, (CAUSAL,)),), "top", ((keep, "total"),))
    acc = Accumulator("acc", "sum", ("m", "f"), (Lift(0, value, (CAUSAL,)),), "top", ((keep, "acc"),))
    empty = op("eq", Var("total"), ZERO)
    output = Choose(empty, ZERO, op("div", Var("acc"), Var("total")))
    finishes = [Finish("O", (B, H, M, F), ("b", "h", "m", "f"), output)]
    if lse:
        logarithm = op("add", Var("top"), op("log", Var("total")))
        finishes.append(Finish("L", (B, H, M), ("b", "h", "m"), Choose(empty, Const(-float("inf")), logarithm)))
    return Monoid((Segment("n", Const(0), Size("n"), Coord("n")),), (gauge,), (total, acc), tuple(finishes))


def cascade(outputs: tuple[str, ...], *, slope: bool) -> Cascade:
    """The declarations around such a monoid: queries are the last M positions."""
    first = op("sub", Size("n"), Size("m"))
    ranges = [Range(index, Const(0), Size(index)) for index in ("b", "h", "n", "e", "f")]
    ranges.insert(2, Range("m", first, Size("n")))
    inputs = [Input(name, ("b", "h", row, column), "real") for name, row, column in ("Qme", "Kne", "Vnf")]
    inputs += [Input("slope", ("h",), "real")] if slope else []
    axes: dict[str, tuple[Expr, Expr]] = {index: (Const(0), Size(index)) for index in "bhf"} | {"m": (first, Size("n"))}
    tensors = []
    for name in outputs:
        indices = ("b", "h", "m", "f") if name == "O" else ("b", "h", "m")
        left = tuple(Coord(index) for index in indices)
        tensors.append(
            Tensor(name, tuple(axes[index] for index in indices), "real", (Part(name, left, indices, ZERO),))
        )
    steps = tuple(Step((name,)) for name in outputs)
    return Cascade("hand", tuple(inputs), (), tuple(ranges), tuple(tensors), steps, outputs)


def causal_softmax() -> tuple[Stream, Cascade]:
    """Causal softmax attention."""
    return Stream("O", softmax_monoid(score()), "n", "m", ("b", "h")), cascade(("O",), slope=False)


def alibi() -> tuple[Stream, Cascade]:
    """ALiBi with the logarithm of each row's sum as a second output."""
    stream = Stream("O", softmax_monoid(tilted(), lse=True), "n", "m", ("b", "h"))
    return stream, cascade(("O", "L"), slope=True)


def kernel_of(
    made: tuple[Stream, Cascade], extents: dict[str, int], target: str | Target = "cpu", dtype: DType = "float32"
) -> Kernel:
    """The kernel of a hand-built stage, every tensor of one type."""
    stream, around = made
    names = [item.name for item in around.inputs] + [item.name for item in around.tensors]
    machine = find_target(target) if isinstance(target, str) else target
    return lower(stream, around, machine, dict.fromkeys(names, dtype), extents)
