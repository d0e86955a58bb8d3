"""The corrections of a state: what each accumulator becomes when its reference moves."""

from __future__ import annotations

from typing import Any

from attnc.passes.derive.forms import Rows
from attnc.passes.derive.separate import NotSeparableError, separate
from attnc.passes.derive.state import Running, State

ROUNDS = 4


def close(state: State) -> None:
    """Give every gauged accumulator its correction, adding those that corrections need.

    Before   sum of y * exp(y)
    After    sum of y * exp(y) and sum of exp(y), corrected to exp(d) * (first + d * second) and exp(d) * second
    Holds    because phi(y + d) separates into functions of d and of y; refused where that brings ever new ones.
    """
    place, born = 0, dict[int, int]()
    while place < len(state.running):
        item = state.running[place]
        if item.gauge is not None and item.op == "sum":
            age, state.maker = born.get(place, 0), item.maker
            if age > ROUNDS:
                raise NotSeparableError(item.phis[0])
            for coefficient, phis in _shifted(state, item):
                before = len(state.running)
                symbol = state.symbol("sum", phis, item.when, item.gauge, item.inner)
                if len(state.running) > before:
                    born[before] = age + 1
                item.keep.append((coefficient, _place(state, symbol)))
        place += 1


def _place(state: State, symbol: Any) -> int:
    return next(place for place, item in enumerate(state.running) if item.symbol == symbol)


def _shifted(state: State, item: Running) -> Rows:
    """phi(y + d) as coefficients of d, each with its phis of y."""
    assert item.gauge is not None
    y = state.references[item.gauge].y
    rows = Rows(len(item.phis))
    for place, phi in enumerate(item.phis):
        if phi == 0:
            continue
        moved = phi.subs(y, y + state.shift)
        stream = (moved.free_symbols - {state.shift}) | {y}
        rows.add(place, separate(moved, stream, {state.shift}))
    return rows
