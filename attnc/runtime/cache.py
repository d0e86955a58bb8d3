"""The disk cache: small texts and binaries by key, never half-written, never shared between users.

Its folder is `$ATTNC_CACHE`, else the XDG cache folder. An entry is written to a temporary name and renamed,
so that a reader sees all of it or nothing, also with several processes and a kill at any point; each entry
ends with a digest of its name and content, so that a truncated, damaged or misplaced one counts as missing, as
does one that another user wrote. A folder that cannot be written (read-only, full) costs speed, not
correctness: entries then live in a private temporary folder.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from attnc.diagnostics import error
from attnc.runtime import place

COUNTS: Counter[str] = Counter()
_DIGEST = 32


def folder() -> Path:
    """The cache's folder, as the environment says now."""
    named = os.environ.get("ATTNC_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "attnc"


def key(*parts: object) -> str:
    """The name of an entry that depends on all of `parts` and on attnc itself."""
    return key_of(compiler_digest(), *parts)


def key_of(*parts: object) -> str:
    """The name of an entry that depends on `parts` alone, so that another version of attnc finds it too."""
    text = "\0".join(map(repr, parts))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


@cache
def compiler_digest() -> str:
    """A digest of attnc's own files: any change of the compiler is a change of every key."""
    digest = hashlib.sha256(package_version().encode())
    walk = os.walk(Path(__file__).parent.parent, followlinks=True)  # the folders beside attnc are links in it
    files = (os.path.join(folder, name) for folder, _, names in walk for name in names)
    for file in sorted(file for file in files if file.endswith((".py", ".j2", ".h", ".lark"))):
        with open(file, "rb") as stream:
            digest.update(stream.read())
    return digest.hexdigest()


@cache
def package_version() -> str:
    """The installed version, or `0` in a bare checkout."""
    try:
        return version("attnc")
    except PackageNotFoundError:
        return "0"


def get(name: str, suffix: str) -> bytes | None:
    """The content of an entry, or None where there is no whole one."""
    for home in _homes():
        content = _content(_path(home, name, suffix))
        if content is not None:
            COUNTS[f"{suffix} hits"] += 1
            return content
    return None


def put(name: str, suffix: str, content: bytes) -> Path | None:
    """Keep an entry; where the folder cannot be written, for this process only; None where that cannot be either."""
    for home in (folder, place.private):
        file = _path(home(), name, suffix)
        if place.write(file, content + _proof(file, content)):
            return file
    return None


def shared_object(name: str, content: bytes | None = None) -> Path | None:
    """The path of a loadable binary entry, None where there is no whole one; given `content`, it is written first.

    A loader maps what the binary's own headers name, so the digest behind it does not disturb it.
    """
    if content is not None:
        return put(name, "so", content) or _nowhere()
    found = next((file for home in _homes() if _content(file := _path(home, name, "so")) is not None), None)
    COUNTS["binary hits"] += found is not None
    return found


def written_file(name: str, suffix: str, content: bytes) -> Path:
    """The path of a file with this content and nothing else, for what has to be read by path."""
    for home in (folder, place.private):
        file = _path(home(), name, suffix)
        if place.read(file) == content or place.write(file, content):
            return file
    return _nowhere()


def _nowhere() -> Path:
    what = f"neither the cache folder `{folder()}` nor a temporary folder can be written"
    raise error("A507", what, helps=("free some space, or set ATTNC_CACHE to a folder that can be written",))


def _homes() -> tuple[Path, ...]:
    return (folder(), *place.made())


def _path(home: Path, name: str, suffix: str) -> Path:
    return home / name[:2] / f"{name}.{suffix}"


def _proof(file: Path, content: bytes) -> bytes:
    return hashlib.sha256(file.name.encode() + b"\0" + content).digest()


def _content(file: Path) -> bytes | None:
    data = place.read(file)
    if data is None or len(data) < _DIGEST:
        return None
    content = data[:-_DIGEST]
    return content if data[-_DIGEST:] == _proof(file, content) else None
