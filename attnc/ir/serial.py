"""Nodes as plain JSON values and back, so that analysed programs can lie on disk.

A node becomes [class, fields.., span]; a span is [source, start, end] with the sources in a table.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from attnc.ir import adjoint, cascade, kernel, stage
from attnc.ir.node import Node
from attnc.source import NOWHERE, Source, Span

_LEVELS = {"a": adjoint, "c": cascade, "s": stage, "k": kernel}
_CLASSES: dict[str, type] = {
    f"{level}.{name}": item
    for level, module in _LEVELS.items()
    for name, item in vars(module).items()
    if isinstance(item, type) and item.__module__ == module.__name__
}
_NAMES = {item: name for name, item in _CLASSES.items()}
_FIELDS = {item: tuple(field.name for field in fields(item) if field.name != "span") for item in _NAMES}


def dump(node: object) -> str:
    """The text of a node, or of a tuple or dict of nodes."""
    sources: list[Source] = []

    def encode(value: object) -> Any:
        if type(value) in _NAMES:
            kind = type(value)
            items = [encode(getattr(value, name)) for name in _FIELDS[kind]]
            return {"_": _NAMES[kind], "f": items, **({"p": place(value.span)} if isinstance(value, Node) else {})}
        if isinstance(value, tuple):
            return [encode(item) for item in value]
        if isinstance(value, dict):
            return {"d": [[encode(key), encode(item)] for key, item in value.items()]}
        return value

    def place(span: Span) -> Any:
        if span is NOWHERE:
            return 0
        if span.source not in sources:
            sources.append(span.source)
        return [sources.index(span.source), span.start, span.end]

    value = encode(node)
    return json.dumps([[(source.name, source.text) for source in sources], value])


def load(text: str, own: Source | None = None) -> Any:
    """What `dump` was given; places in a text equal to `own` are places in it."""
    table, value = json.loads(text)
    sources = [
        own if own is not None and (own.name, own.text) == (name, text) else Source(name, text) for name, text in table
    ]

    def decode(value: Any) -> Any:
        if isinstance(value, list):
            return tuple(decode(item) for item in value)
        if isinstance(value, dict):
            if "d" in value:
                return {decode(key): decode(item) for key, item in value["d"]}
            kind = _CLASSES[value["_"]]
            items = dict(zip(_FIELDS[kind], map(decode, value["f"]), strict=True))
            return kind(**items, span=place(value["p"])) if "p" in value else kind(**items)
        return value

    def place(value: Any) -> Span:
        return Span(sources[value[0]], value[1], value[2]) if value else NOWHERE

    return decode(value)
