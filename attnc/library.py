"""Where specs are found: the standard library, a path, or a text; and the modules that they `use`.

A `use` reaches the standard library (`std.masks`) and the folder of the spec itself, nothing else.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path

from attnc.diagnostics import error
from attnc.grammar.read import read
from attnc.ir import syntax
from attnc.source import Source, Span


@cache
def standard_folder() -> Path:
    """The folder of the standard library's `.attn` files."""
    return Path(str(files("attnc.stdlib")))


@cache
def parse_source(source: Source) -> syntax.File:
    """The parsed file, once per text and process; the parser is loaded when something is to be parsed."""
    from attnc.grammar.parse import parse

    return parse(source)


@dataclass
class Library:
    """The modules that one spec can use, and those that it did use (name, path, digest of the text)."""

    folder: Path | None
    used: dict[tuple[str, ...], tuple[str, str]] = field(default_factory=dict)

    def use(self, path: tuple[str, ...], span: Span) -> syntax.File:
        """The parsed module `path`; error A111 where there is none."""
        file = module_path(path, self.folder)
        if file is None or not file.is_file():
            raise _unknown_module(path, span, self.folder)
        source = read(file)
        self.used[path] = (str(file), digest(source.text))
        return parse_source(Source(".".join(path), source.text))


def module_path(path: tuple[str, ...], folder: Path | None) -> Path | None:
    """The file of a module: names only, so a module never lies outside its folder."""
    if path[0] == "std":
        return standard_folder().joinpath(*path[1:]).with_suffix(".attn") if len(path) > 1 else None
    if folder is None:
        return None
    file = folder.joinpath(*path).with_suffix(".attn")
    try:
        inside = file.resolve().is_relative_to(folder.resolve())  # a link may lead out of the folder
    except (OSError, RuntimeError):  # or to itself
        return None
    return file if inside else None


def _unknown_module(path: tuple[str, ...], span: Span, folder: Path | None) -> Exception:
    name = ".".join(path)
    where = "the standard library" if path[0] == "std" else "the spec's own folder"
    note = f"`use {name}` reads `{'/'.join(path[1:] if path[0] == 'std' else path)}.attn` in {where}"
    notes: tuple[str, ...] = (note, "a module is looked up in the standard library and in the folder of the spec only")
    if path[0] != "std" and folder is None:
        notes = ("a spec given as a string has no folder: it can use the standard library only",)
    return error("A111", f"there is no module `{name}`", span, "used here", notes=notes, helps=(_modules_near(name),))


def _modules_near(name: str) -> str:
    from difflib import get_close_matches

    every = [module_name(file) for file in standard_files()]
    close = get_close_matches(name, every, n=1, cutoff=0.8)
    listed = ", ".join(f"`{item}`" for item in close or (item for item in every if item.count(".") == 1))
    return f"did you mean {listed}?" if close else f"known: {listed}"


def digest(text: str) -> str:
    """The SHA-256 of a text, as hex."""
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Spec:
    """A spec's text, the attention it names (None: the last), and the folder that `use` may reach."""

    source: Source
    name: str | None
    folder: Path | None


def find(reference: str | Path) -> Spec:
    """The spec of `std:NAME`, `std:FILE`, `std:FILE#NAME`, `path.attn` or `path.attn#NAME`."""
    text, _, name = str(reference).partition("#")
    if text.startswith("std:"):
        return _standard(text.removeprefix("std:"), name or None)
    path = Path(text)
    return Spec(read(path), name or None, path.resolve().parent)


def _standard(name: str, inner: str | None) -> Spec:
    if inner is None and name in standard_attentions():
        return Spec(read(standard_attentions()[name]), name, standard_folder())
    found = [file for file in standard_files() if name in (file.stem, module_name(file).removeprefix("std."))]
    if not found:
        raise _unknown_standard(name)
    return Spec(read(found[0]), inner, standard_folder())


def _unknown_standard(name: str) -> Exception:
    from difflib import get_close_matches

    close = get_close_matches(name, standard_attentions(), n=3)
    helps = [f"did you mean {', '.join(f'`std:{item}`' for item in close)}?"] if close else []
    return error("A610", f"the standard library has no attention `{name}`", helps=(*helps, "see `attnc list`"))


@cache
def standard_files() -> tuple[Path, ...]:
    """Every file of the standard library, those of its first level before those of its families."""
    return tuple(sorted(standard_folder().rglob("*.attn"), key=lambda file: (len(file.parts), file)))


def module_name(file: Path) -> str:
    """The name by which `use` reaches a file of the standard library: `std.scores.additive`."""
    return ".".join(("std", *file.relative_to(standard_folder()).with_suffix("").parts))


@cache
def standard_attentions() -> dict[str, Path]:
    """Every attention of the standard library and the file that defines it; read by eye, not parsed."""
    return {name: file for file in reversed(standard_files()) for name in _defines(file, "attention")}


def _defines(file: Path, words: str) -> list[str]:
    return re.findall(rf"^(?:{words}) (\w+)", read(file).text, re.MULTILINE)
