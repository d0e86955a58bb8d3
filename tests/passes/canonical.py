"""The shape of a derived state, free of names; and specs with every name replaced."""

from __future__ import annotations

import re
from pathlib import Path

from attnc.grammar.parse import parse
from attnc.ir.cascade import Expr, Var
from attnc.ir.print_expression import show
from attnc.ir.stage import Accumulator, Monoid
from attnc.ir.walk import substitute
from attnc.source import Source

Row = tuple[object, ...]
INDICES = "bhmnefjut"


def attentions(file: Path) -> dict[str, str]:
    """The attentions of a file, each with its text."""
    text = file.read_text()
    parts = re.split(r"^(?=attention )", text, flags=re.MULTILINE)[1:]
    names = [item.name for item in parse(Source(file.name, text)).definitions]
    return dict(zip(names, parts, strict=True))


def renamed(text: str) -> str:
    """The spec with every tensor and every index under another name, extents with their index."""
    inputs = re.findall(r"(\w+)\[", text[: text.index("->")])
    defined = re.findall(r"^ +(\w+)\[", text, flags=re.MULTILINE)
    names = {name: f"tensor_{place}" for place, name in enumerate(dict.fromkeys([*inputs, *defined]))}
    for index in INDICES:
        names.setdefault(index, f"{index}_x")
        names.setdefault(index.upper(), f"{index.upper()}_X")
    return re.sub(r"\b[A-Za-z]\b", lambda found: names.get(found[0], found[0]), text)


def form(monoid: Monoid) -> tuple[list[Row], list[Row]]:
    """A state without its names: gauges, and accumulators with their corrections, each sorted."""
    gauges = sorted((item.op, item.pure, len(item.axes)) for item in monoid.gauges)
    return [*gauges], sorted(_row(monoid, item) for item in monoid.accumulators)


def _row(monoid: Monoid, item: Accumulator) -> Row:
    others = {other.name: other for other in monoid.accumulators}
    gauge = next((gauge.op for gauge in monoid.gauges if gauge.name == item.gauge), "none")
    keep = sorted((_shown(item, coefficient), _relation(others[name], item)) for coefficient, name in item.keep)
    return item.op, len(item.axes), gauge, tuple(keep)


def _shown(item: Accumulator, coefficient: Expr) -> str:
    return show(substitute(coefficient, {Var(f"{item.gauge}.shift"): Var("d")}))


def _relation(other: Accumulator, item: Accumulator) -> str:
    return "itself" if other.name == item.name else f"{other.op} with {len(other.keep)} terms"
