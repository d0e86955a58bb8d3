"""Programs over a batch: derived once, kept on disk as programs are, programs themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from attnc.ir.cascade import Cascade
from attnc.ir.serial import dump, load
from attnc.ir.stage import Plan
from attnc.runtime import cache
from attnc.runtime.bind import Bound
from attnc.runtime.call import Call
from attnc.runtime.program import Program

Given = tuple[torch.Tensor, int | None]


@dataclass(frozen=True)
class Batched:
    """A program for every element of a batch of `inputs`; `names` are all inputs and tensors that differ."""

    program: Program
    inputs: tuple[str, ...]
    index: str
    names: frozenset[str]


def batched(program: Program, inputs: tuple[str, ...]) -> Batched:
    """The program over a batch of these inputs, from memory or disk where it is known."""
    key = cache.key(program.key, "batch", inputs)
    if key not in _KNOWN:
        kept = cache.get(key, "program")
        stated, explicit, plan = load(kept.decode()) if kept else _derived(program, inputs, key)
        _KNOWN[key] = _found(Program(key, stated, explicit, plan), inputs)
    return _KNOWN[key]


_KNOWN: dict[str, Batched] = {}


def _derived(program: Program, inputs: tuple[str, ...], key: str) -> tuple[Cascade, Cascade, Plan]:
    from attnc import compiler

    stated = compiler.batched(program.stated, inputs)
    derivative = program.stated == program.explicit  # it is made explicit
    explicit = stated if derivative else compiler.explicit(stated)
    found = stated, explicit, compiler.planned(explicit)
    cache.put(key, "program", dump(found).encode())
    return found


def _found(program: Program, inputs: tuple[str, ...]) -> Batched:
    index = program.stated.ranges[-1].index
    given = {item.name for item in program.stated.inputs if index in item.indices}
    tensors = {item.name for item in program.stated.tensors if any(index in part.indices for part in item.parts)}
    return Batched(program, inputs, index, frozenset(given | tensors))


def over_batch(call: Call, given: Mapping[str, Given], info: Any, also: Iterable[str] = ()) -> tuple[Batched, Bound]:
    """A call's program over a batch, and its inputs, each with the axis it has in the batch, at that program.

    Inputs that are named `also` differ between elements whether or not they have such an axis.
    """
    differing = {name for name, (_, axis) in given.items() if axis is not None} | set(also)
    found = batched(call.program, tuple(sorted(differing)))
    size: int = info.batch_size
    tensors = {n: in_front(t, axis, size) if n in found.names else t for n, (t, axis) in given.items()}
    return found, Bound(tensors, {**call.sizes, found.index: size}, call.device)


def in_front(tensor: torch.Tensor, axis: int | None, size: int) -> torch.Tensor:
    """The tensor with the batch as its first axis; one for all elements is repeated, not copied."""
    return tensor.expand(size, *tensor.shape) if axis is None else tensor.movedim(axis, 0)
