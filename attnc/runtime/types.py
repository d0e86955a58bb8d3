"""The element types of every tensor of a program, from those of the inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import torch

from attnc.ir.cascade import Cascade, Map, Read, Size
from attnc.ir.indices import free_indices
from attnc.ir.kernel import DType
from attnc.ir.stage import Accumulator, Plan, Stream
from attnc.ir.walk import walk

if TYPE_CHECKING:
    from attnc.runtime.program import Program

DTYPES: dict[torch.dtype, DType] = {
    torch.float32: "float32",
    torch.float64: "float64",
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
    torch.int32: "int32",
    torch.int64: "int64",
    torch.bool: "bool",
}


def compute_type(given: Mapping[str, torch.dtype]) -> torch.dtype:
    """float64 where a real input is, float32 otherwise."""
    return torch.float64 if torch.float64 in given.values() else torch.float32


def output_type(cascade: Cascade, given: Mapping[str, torch.dtype]) -> torch.dtype:
    """The type of the first output: that of the first real input that was given."""
    reals = (given[item.name] for item in cascade.inputs if item.type == "real" and item.name in given)
    return next(reals, torch.float32)


GROWING = frozenset(("exp", "exp2", "expm1", "log", "log2", "pow", "rsqrt", "xlogx"))


def operands(cascade: Cascade, plan: Plan) -> Iterator[str]:
    """What is made once for products to read, as keys that are turned by their positions are.

    Left out is what may be far larger than the values that it is made of, for it need not be a number of float16; and
    what a further output rests on, which is wider than the inputs.
    """
    wide = _needed(cascade, cascade.outputs[1:])
    for stage in plan.stages:
        if not isinstance(stage, Stream) or stage.stream is not None or stage.columns is not None:
            continue
        values = {item.name: item for item in stage.monoid.accumulators}
        for finish in stage.monoid.finishes:
            features = {*finish.indices} - {stage.parallel, *stage.grid}
            known = finish.tensor in values and finish.tensor not in wide
            if features and known and not _grows(values[finish.tensor], stage.parallel):
                yield finish.tensor


def _needed(cascade: Cascade, names: Iterable[str]) -> set[str]:
    """These tensors and all that they are computed from."""
    found, left = set[str](), list(names)
    while left:
        name = left.pop()
        tensor = cascade.tensor(name)
        if name not in found and tensor is not None:
            left += (node.tensor for node in walk(tensor) if isinstance(node, Read))
        found.add(name)
    return found


def _grows(value: Accumulator, rows: str | None) -> bool:
    """Whether an unbounded function, or a division, takes what differs between rows."""
    maps = (node for node in walk(value) if isinstance(node, Map))
    taken = (node.args[1:] if node.op == "div" else node.args for node in maps if node.op in GROWING | {"div"})
    return any(rows in free_indices(item) for args in taken for item in args)


def value_types(program: Program, given: Mapping[str, torch.dtype]) -> dict[str, torch.dtype]:
    """The type of each input and tensor.

    The first output has the first real input's type, and so has what is made once for products to read, if all real
    inputs that were given have it. Further real outputs are float32, or float64 if that input is. What lies between,
    and inputs that were not given, have the type of computation; integers are int64.
    """
    cascade = program.explicit
    plain = {"real": compute_type(given), "int": torch.int64, "bool": torch.bool}
    types = {item.name: given.get(item.name, plain[item.type]) for item in cascade.inputs}
    types |= {tensor.name: plain[tensor.type] for tensor in cascade.tensors}
    first = output_type(cascade, given)
    further = torch.float64 if first == torch.float64 else torch.float32
    if all(given[item.name] == first for item in cascade.inputs if item.type == "real" and item.name in given):
        types |= {name: first for name in program.operands if types[name].is_floating_point}
    for position, name in enumerate(cascade.outputs):
        tensor = cascade.tensor(name)
        if tensor is not None and tensor.type == "real":
            types[name] = further if position else first
    return types


def shared(cascade: Cascade, plan: Plan) -> Iterator[str]:
    """The real inputs without a position, which all rows share: slopes, temperatures, tables by the distance."""
    streams = [stage for stage in plan.stages if isinstance(stage, Stream)]
    tiled = {index for stage in streams for index in (stage.parallel, stage.stream, stage.columns) if index}
    lengths = _lengths(cascade, tiled)
    yield from (
        item.name for item in cascade.inputs if item.type == "real" and not lengths & _lengths(cascade, item.indices)
    )


def _lengths(cascade: Cascade, indices: Iterable[str]) -> set[str]:
    """The axes that the extents of these indices are made of."""
    ranges = map(cascade.range, indices)
    return {node.index for item in ranges for node in walk(item) if isinstance(node, Size)}


def rounding_shows(program: Program, given: Mapping[str, torch.dtype], wanted: Iterable[str]) -> bool:
    """Whether a gradient shows the rounding of the first output, which is as wide as the first real input.

    One does that is wider, as in float32 beside queries of 16 bits; and in 16 bits one of what all rows share, which
    adds up what each of them is off by.
    """
    first = output_type(program.explicit, given)
    narrow = first.itemsize == 2
    return any(given[name].itemsize > first.itemsize or (narrow and name in program.shared) for name in wanted)
