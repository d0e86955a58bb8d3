"""The tangent of a program: derived once, kept on disk as programs are, a program itself."""

from __future__ import annotations

from dataclasses import dataclass

from attnc.ir.adjoint import Tangent
from attnc.ir.serial import dump, load
from attnc.runtime import cache
from attnc.runtime.program import Program


@dataclass(frozen=True)
class Pushed:
    """The tangents of a program's outputs as a program, and the names by which they and those of inputs go in it."""

    program: Program
    inputs: dict[str, str]
    outputs: dict[str, str]


def tangents_of(program: Program, moving: tuple[str, ...]) -> Pushed | None:
    """The tangents for these inputs, from memory or disk where they are known; None where no cascade gives them."""
    key = cache.key(program.key, "tangent", moving)
    if key not in _KNOWN:
        kept = cache.get(key, "tangent")
        _KNOWN[key] = _program(key, load(kept.decode()) if kept else _derived(program, moving, key))
    return _KNOWN[key]


_KNOWN: dict[str, Pushed | None] = {}


def _derived(program: Program, moving: tuple[str, ...], key: str) -> Tangent | None:
    from attnc import compiler

    found = compiler.pushed(program.explicit, program.plan, moving)
    cache.put(key, "tangent", dump(found).encode())
    return found


def _program(key: str, found: Tangent | None) -> Pushed | None:
    if found is None:
        return None
    return Pushed(Program(key, found.cascade, found.cascade, found.plan), dict(found.inputs), dict(found.outputs))
