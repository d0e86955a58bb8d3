"""Bindings that nothing reads are left out."""

from __future__ import annotations

from dataclasses import replace

from attnc.ir import kernel as k
from attnc.ir.walk import walk

Body = tuple[k.Statement, ...]


def without_dead(setup: Body, loops: Body, finish: Body) -> tuple[Body, Body, Body]:
    """The three scopes of a kernel without the lets and loads that no value uses.

    Before   let a = ..; let b = a + 1 (b unused)
    After    nothing
    Holds    because lets and loads have no effect but their name.
    """
    while True:
        used = {
            node.name
            for body in (setup, loops, finish)
            for item in body
            for node in walk(item)
            if isinstance(node, k.Use)
        }
        slim = _slim(setup, used), _slim(loops, used), _slim(finish, used)
        if slim == (setup, loops, finish):
            return slim
        setup, loops, finish = slim


def _slim(body: Body, used: set[str]) -> Body:
    kept: list[k.Statement] = []
    for statement in body:
        if isinstance(statement, k.Let | k.Load) and statement.name not in used:
            continue
        if isinstance(statement, k.Loop | k.Guarded):
            statement = replace(statement, body=_slim(statement.body, used))
        kept.append(statement)
    return tuple(kept)
