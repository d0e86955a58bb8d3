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
    live = set[str]()
    slim = [_slim(body, live) for body in (finish, loops, setup)]
    return slim[2], slim[1], slim[0]


def _slim(body: Body, live: set[str]) -> Body:
    """The statements that count, last first; `live` are the names read after the body, then those read from it on.

    A name is another binding's in each block, so what one block reads says nothing of its neighbours.
    """
    kept: list[k.Statement] = []
    for statement in reversed(body):
        if isinstance(statement, k.Let | k.Load):
            if statement.name not in live:
                continue
            live.discard(statement.name)
        head: k.Statement = statement
        if isinstance(statement, k.Loop | k.Guarded):
            inside = set[str]()
            statement = replace(statement, body=_slim(statement.body, inside))
            live |= inside
            head = replace(statement, body=())
        live |= {node.name for node in walk(head) if isinstance(node, k.Use)}
        kept.append(statement)
    return tuple(reversed(kept))
