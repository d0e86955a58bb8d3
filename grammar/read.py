"""A spec's text from disk, or a clear word on why it cannot be read."""

from __future__ import annotations

from pathlib import Path
from stat import S_ISREG

from attnc.diagnostics import AttnError, error
from attnc.source import Source, Span

LIMIT = 2**20
"""How many characters a spec may have."""


def read(path: Path) -> Source:
    """The text of a file under the name of its path, with Unix newlines."""
    try:
        if not path.is_dir() and not S_ISREG(path.stat().st_mode):  # a pipe could keep us waiting for ever
            raise error("A010", f"`{path}` cannot be read: it is no regular file")
        with path.open("rb") as file:
            data = file.read(4 * LIMIT + 1)
    except (OSError, ValueError) as failure:  # a null character in a name is a ValueError
        raise _unreadable(path, failure) from None
    if len(data) > 4 * LIMIT:  # no character takes more than four bytes
        raise too_large(str(path))
    text = _decoded(str(path), data).replace("\r\n", "\n")
    if len(text) > LIMIT:
        raise too_large(str(path))
    return Source(str(path), text)


def _decoded(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        raise _not_utf8(name, data, failure.start) from None


def _not_utf8(name: str, data: bytes, at: int) -> AttnError:
    if b"\0" in data[:1024]:
        return error("A010", f"`{name}` is not a text", notes=("a spec is a UTF-8 text",))
    known = data[:at].decode("utf-8", "replace")
    rest = data[at : at + 80].decode("ascii", "replace").partition("\n")[0]
    source = Source(name, known + rest)
    return error(
        "A010",
        f"`{name}` is not UTF-8",
        Span(source, len(known), len(known) + 1),
        f"the byte 0x{data[at]:02x} begins no character",
        notes=("a spec is a UTF-8 text; other encodings, such as Latin-1, are not guessed",),
        helps=(f"convert it: `iconv -f latin1 -t utf-8 {name}`",),
    )


def too_large(name: str) -> AttnError:
    """A spec beyond the limit."""
    return error(
        "A010",
        f"`{name}` is larger than {LIMIT:,} characters",
        notes=("a spec is a page of equations; data are inputs of a call, not part of it",),
        helps=("split it into modules and `use` them",),
    )


def _unreadable(path: Path, failure: OSError | ValueError) -> AttnError:
    match failure:
        case FileNotFoundError():
            return error("A010", f"there is no file `{path}`", helps=_similar(path))
        case IsADirectoryError():
            return error("A010", f"`{path}` is a folder, not a spec", helps=_inside(path))
        case _:
            reason = getattr(failure, "strerror", None) or "no file has such a name"
            return error("A010", f"`{path}` cannot be read: {reason.lower()}")


def _similar(path: Path) -> tuple[str, ...]:
    from difflib import get_close_matches

    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.suffix == ".attn"]
    except OSError:
        return (f"there is no folder `{path.parent}` either",)
    close = get_close_matches(path.name, names, n=1)
    return tuple(f"did you mean `{path.parent / name}`?" for name in close)


def _inside(path: Path) -> tuple[str, ...]:
    names = sorted(entry.name for entry in path.iterdir() if entry.suffix == ".attn")
    return (f"name a file in it: `{path / names[0]}`",) if names else ("name a file that ends in `.attn`",)
