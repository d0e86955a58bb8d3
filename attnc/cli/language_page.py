"""The language on one page: what `attnc language --pages` writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.resources import files

from attnc.cli.language_entries import INPUTS, TABLES, Entry, grammar
from attnc.grammar.read import read
from attnc.ir.syntax import Attention, Function
from attnc.library import module_name, parse_source, standard_files


def page() -> str:
    """The page as Markdown."""
    parts = {name: "\n".join(_table(list(entries()))) for name, entries in TABLES.items()}
    inputs = ", ".join(f"`{name}` is {_written(item)}" for name, item in INPUTS.items())
    along = f"in the examples {inputs}, along `n`"
    modules = "\n".join(f"- `use {name}: {', '.join(defined)}`" for name, defined in _modules())
    template = files("attnc.cli").joinpath("language.md.in").read_text(encoding="utf-8")
    return template.format(modules=modules, grammar=grammar(), inputs=along, **parts)


def _modules() -> Iterator[tuple[str, list[str]]]:
    """The modules of the library that define rules, and what they define."""
    for file in standard_files():
        found = parse_source(read(file)).definitions
        rules = [item.name for item in found if isinstance(item, Function)]
        if rules and not any(isinstance(item, Attention) for item in found):
            yield module_name(file), rules


def _written(item: object) -> str:
    return ", ".join(map(_written, item)) if isinstance(item, tuple) else f"{item}".lower().removesuffix(".0")


def _table(entries: list[Entry]) -> Iterator[str]:
    noted, valued = (any(getattr(item, name) for item in entries) for name in ("note", "value"))
    head = ["", "", "example", *(["gives"] if valued else [])]
    head = [("binds" if entries[0].note.isdigit() else "type"), *head] if noted else head
    yield _row(head)
    yield _row(["---"] * len(head))
    for item in entries:
        cells = [_code(item.word), item.meaning, _code(item.example), *([f"`{item.value}`"] if valued else [])]
        yield _row([item.note, *cells] if noted else cells)


def _row(cells: Iterable[str]) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def _code(text: str) -> str:
    return "<br>".join(f"`{line}`" for line in text.split("\n"))
