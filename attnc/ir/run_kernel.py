"""A kernel run from the meaning of its nodes: slow, obvious, strict about what a backend may rely on.

Tiles have all their lanes, also those outside an axis. What a backend would leave to chance is NaN here, an
address outside a tensor is an assertion, and so is a lane outside an axis in a loop that is not `cut`. What a row does
not reach is left out of every reduction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from typing import assert_never

import torch

from attnc.ir import kernel as k
from attnc.ir.kernel import Kernel
from attnc.ir.run_tiles import TORCH, Program, Tile, dot, here, mapped, over_axes, reached, reduced, true
from attnc.ir.sizes import whole


def run_kernel(
    kernel: Kernel, tensors: Mapping[str, torch.Tensor], sizes: Mapping[str, int], dtype: torch.dtype | None = None
) -> None:
    """Every output in `tensors` holds what the kernel stores; `sizes` are the extents of input indices.

    Arithmetic is in `dtype`, by default the kernel's own.
    """
    numbers = {name: whole(expr, sizes) for name, expr in kernel.sizes}
    compute = dtype or TORCH[kernel.compute]
    start = Program(kernel, tensors, numbers, compute)
    outer = (*kernel.grid, *kernel.tiled)
    ranges = [range(_int(start, axis.lo), _int(start, axis.hi), axis.tile) for axis in outer]
    for place in product(*ranges):
        program = Program(kernel, tensors, numbers, compute)
        _enter(program, dict(zip((axis.index for axis in outer), place, strict=True)))
        for body in (kernel.setup, kernel.loops, kernel.finish):
            _run(program, body)


def _int(program: Program, value: k.Value) -> int:
    return int(_value(program, value).array)


def _enter(program: Program, place: dict[str, int]) -> None:
    kernel = program.kernel
    inner = kernel.axes
    program.order = tuple(axis.index for axis in (*kernel.tiled, *inner))
    for axis in kernel.grid:
        program.scalars[axis.index] = place[axis.index]
    for axis in (*kernel.tiled, *inner):
        lo, hi = _int(program, axis.lo), _int(program, axis.hi)
        program.end[axis.index] = hi
        if axis in kernel.tiled or axis.extent is not None:
            program.first[axis.index] = place.get(axis.index, lo)
            program.width[axis.index] = axis.tile


# ---- statements -----------------------------------------------------------------------------


def _run(program: Program, body: tuple[k.Statement, ...]) -> None:
    before = dict(program.reach)
    for statement in body:
        match statement:
            case k.Let(name, value):
                program.names[name] = _typed(program, name, _value(program, value))
            case k.Load():
                program.names[statement.name] = _load(program, statement)
            case k.State(name, init):
                program.names[name] = _typed(program, name, _full(program, name, _value(program, init)))
            case k.Fold(updates):
                program.names.update([(item.state, _updated(program, item)) for item in updates])
            case k.Set(name, value):
                program.names[name] = _full(program, name, _value(program, value))
            case k.Loop():
                _loop(program, statement)
            case k.Guarded(test, inside):
                if bool(_value(program, test).array):
                    _run(program, inside)
            case k.Reach(index, low, high):
                after = k.Map("le", (low, k.Coord(index)))
                program.reach[index] = _value(program, k.Map("and", (after, k.Map("lt", (k.Coord(index), high)))))
            case k.Store():
                _store(program, statement)
            case k.Add():
                _store(program, statement, added=True)
            case _:
                assert_never(statement)
    program.reach = before


def _loop(program: Program, loop: k.Loop) -> None:
    for position in range(_int(program, loop.lo), _int(program, loop.hi), loop.step):
        with _at(program, loop, position):
            _run(program, loop.body)


@contextmanager
def _at(program: Program, loop: k.Loop, position: int) -> Iterator[None]:
    index = loop.index
    before = (dict(program.first), dict(program.width), dict(program.scalars), set(program.whole))
    if loop.step == 1:
        program.scalars[index] = position
        program.width.pop(index, None)
    else:
        program.first[index], program.width[index] = position, loop.step
        if not loop.cut:
            assert position + loop.step <= program.end[index], f"a whole tile of {index} leaves its axis"
            program.whole.add(index)
    yield
    program.first, program.width, program.scalars, program.whole = before


def _typed(program: Program, name: str, value: Tile) -> Tile:
    """The value, whose type must be the one declared."""
    kind = program.kernel.type_of(name)
    assert set(value.axes) == set(kind.axes), f"{name} has axes {value.axes}, declared {kind.axes}"
    wanted = TORCH[kind.dtype]
    if wanted.is_floating_point and wanted.itemsize >= 4:
        wanted = program.compute
    assert value.array.dtype == wanted, f"{name} is {value.array.dtype}, declared {kind.dtype}"
    return value


def _full(program: Program, name: str, value: Tile) -> Tile:
    """A state's value with all the axes that the state has."""
    axes = program.kernel.type_of(name).axes
    array = over_axes(program, value, axes)
    return Tile(array.expand([program.width[axis] for axis in axes]), axes)


def _updated(program: Program, update: k.Update) -> Tile:
    kept = program.names[update.state]
    if update.keep:
        parts = [mapped(program, "mul", [_value(program, coef), program.names[name]]) for coef, name in update.keep]
        kept = parts[0]
        for part in parts[1:]:
            kept = mapped(program, "add", [kept, part])
    if update.lift is not None:
        op = {"sum": "add", "prod": "mul", "any": "or", "all": "and"}.get(update.op, update.op)
        kept = mapped(program, op, [kept, _value(program, update.lift)])
    return _typed(program, update.state, _full(program, update.state, kept))


# ---- memory ---------------------------------------------------------------------------------


def _load(program: Program, load: k.Load) -> Tile:
    """The read elements: 0 where masked, NaN on rows and columns outside the tiled axes."""
    param = next(item for item in program.kernel.params if item.name == load.tensor)
    kind = program.kernel.type_of(load.name)
    subs = [_value(program, sub) for sub in load.subs]
    tiled = [axis.index for axis in program.kernel.tiled]
    reads = true()
    for test in (*(k.Inside(axis) for axis in kind.axes if axis not in tiled), *load.when):
        reads = mapped(program, "and", [reads, _value(program, test)])
    rows = true()
    for index in tiled:
        rows = mapped(program, "and", [rows, _value(program, k.Inside(index))]) if index in kind.axes else rows
    shape = [program.width[axis] for axis in kind.axes]
    extra = tuple(axis for axis in (*reads.axes,) if axis not in kind.axes)
    assert not extra, f"the mask of {load.name} has axes {extra} that the read lacks"
    alive = (over_axes(program, reads, kind.axes) & over_axes(program, rows, kind.axes)).expand(shape)
    places = []
    tensor = program.tensors[load.tensor]
    assert TORCH[param.dtype] == tensor.dtype or tensor.dtype == torch.int32, f"{load.tensor} is {tensor.dtype}"
    for axis, (sub, base) in enumerate(zip(subs, param.base, strict=True)):
        at = over_axes(program, sub, kind.axes).expand(shape) - _int(program, base)
        outside = alive & ((at < 0) | (at >= tensor.shape[axis]))
        assert not bool(outside.any()), f"{load.name} reads outside axis {axis} of {load.tensor}"
        places.append(torch.where(alive, at, 0))
    found = tensor[tuple(places)] if alive.any() else torch.zeros(shape, dtype=tensor.dtype)
    found = torch.where(alive, found, torch.zeros_like(found))
    if found.dtype.is_floating_point and not program.kernel.serial:
        found = torch.where(over_axes(program, rows, kind.axes), found, torch.full_like(found, torch.nan))
    found = found.to(torch.int64) if found.dtype == torch.int32 else found
    return Tile(found.to(here(program, kind.dtype)), kind.axes)


def _store(program: Program, store: k.Store | k.Add, *, added: bool = False) -> None:
    param = next(item for item in program.kernel.params if item.name == store.tensor)
    subs = [_value(program, sub) for sub in store.subs]
    value = _value(program, store.value)
    axes = tuple(axis for axis in program.order if any(axis in sub.axes for sub in subs))
    shape = [program.width[axis] for axis in axes]
    alive = true()
    for axis in axes:
        alive = mapped(program, "and", [alive, _value(program, k.Inside(axis))])
    kept = over_axes(program, alive, axes).expand(shape)
    places = tuple(
        (over_axes(program, sub, axes).expand(shape) - _int(program, base))[kept]
        for sub, base in zip(subs, param.base, strict=True)
    )
    tensor = program.tensors[store.tensor]
    new = over_axes(program, value, axes).expand(shape)[kept].to(tensor.dtype)
    tensor[places] = tensor[places] + new if added else new


# ---- values ---------------------------------------------------------------------------------


def _value(program: Program, value: k.Value) -> Tile:
    match value:
        case k.Const(number, dtype):
            return Tile(torch.tensor(number, dtype=here(program, dtype)))
        case k.Size(name):
            return Tile(torch.tensor(program.sizes[name]))
        case k.Coord(index):
            return _coordinate(program, index)
        case k.First(index):
            return Tile(torch.tensor(program.scalars.get(index, program.first.get(index))))
        case k.Last(index):
            return Tile(torch.tensor(min(program.first[index] + program.width[index], program.end[index]) - 1))
        case k.Inside(index):
            return _inside(program, index)
        case k.Use(name):
            return program.names[name]
        case k.Map(op, args):
            return mapped(program, op, [_value(program, arg) for arg in args])
        case k.Dot(a, b, over):
            return dot(program, _value(program, a), _value(program, b), over)
        case k.Reduce(op, x, over):
            return reduced(reached(program, _value(program, x), op, over), op, over)
        case _:
            assert_never(value)


def _coordinate(program: Program, index: str) -> Tile:
    if index in program.scalars:
        return Tile(torch.tensor(program.scalars[index]))
    return Tile(program.first[index] + torch.arange(program.width[index]), (index,))


def _inside(program: Program, index: str) -> Tile:
    if index in program.whole:
        return true()
    place = _coordinate(program, index)
    return Tile(place.array < program.end[index], place.axes) if place.axes else true()
