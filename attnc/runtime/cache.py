"""The disk cache: small texts and binaries by key, never half-written, never shared between users.

Its folder is `$ATTNC_CACHE`, else the XDG cache folder. An entry is written to a temporary name and renamed,
so that a reader sees all of it or nothing, also with several processes and a kill at any point; each entry
starts with the digest of its content, so that a truncated one counts as missing. A folder that cannot be
written (read-only, full) costs speed, not correctness: entries then live in a private temporary folder.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
from collections import Counter
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

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
    text = "\0".join((compiler_digest(), *map(repr, parts)))
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def compiler_digest() -> str:
    """A digest of attnc's own files: any change of the compiler is a change of every key."""
    root = Path(__file__).parent.parent
    folders = [root, *(link.resolve() for link in root.iterdir() if link.is_symlink())]  # rglob follows no link
    digest = hashlib.sha256(package_version().encode())
    for file in sorted(file for folder in folders for file in folder.rglob("*")):
        if file.suffix in {".py", ".j2", ".h", ".lark"}:
            digest.update(file.read_bytes())
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
    for place in _places():
        try:
            data = _path(place, name, suffix).read_bytes()
        except OSError:
            continue
        content = data[_DIGEST:]
        if data[:_DIGEST] == hashlib.sha256(content).digest():
            COUNTS[f"{suffix} hits"] += 1
            return content
    return None


def put(name: str, suffix: str, content: bytes) -> None:
    """Keep an entry; where the folder cannot be written, for this process only."""
    data = hashlib.sha256(content).digest() + content
    if not _write(_path(folder(), name, suffix), data):
        _write(_path(_fallback(), name, suffix), data)


def shared_object(name: str, content: bytes | None = None) -> Path | None:
    """The path of a loadable binary entry; given `content`, it is written first.

    A binary is loaded by path, so its digest lies beside it in a file of its own.
    """
    for place in _places() if content is None else (folder(), _fallback()):
        file, proof = _path(place, name, "so"), _path(place, name, "so.sha256")
        if content is not None and not (_write(file, content) and _write(proof, hashlib.sha256(content).digest())):
            continue
        try:
            if hashlib.sha256(file.read_bytes()).digest() == proof.read_bytes():
                return file
        except OSError:
            continue
    return None


def written_file(name: str, suffix: str, content: bytes) -> Path:
    """The path of a file with this content, for what has to be read by path."""
    for place in (folder(), _fallback()):
        file = _path(place, name, suffix)
        try:
            if file.read_bytes() == content:
                return file
        except OSError:
            pass
        if _write(file, content):
            return file
    raise OSError(f"neither the cache nor a temporary folder can be written ({folder()})")


_FALLBACK: list[Path] = []


def _places() -> tuple[Path, ...]:
    return (folder(), *_FALLBACK)


def _fallback() -> Path:
    """A folder for this process where the cache cannot be written; removed at exit."""
    if not _FALLBACK:
        _FALLBACK.append(Path(tempfile.mkdtemp(prefix="attnc-")))
        atexit.register(shutil.rmtree, _FALLBACK[0], ignore_errors=True)
    return _FALLBACK[0]


def _path(place: Path, name: str, suffix: str) -> Path:
    return place / name[:2] / f"{name}.{suffix}"


def _make_private(place: Path) -> None:
    """The folder and its missing parents, readable by this user alone (mkdir's mode spares the parents)."""
    if not place.is_dir():
        _make_private(place.parent)
        place.mkdir(mode=0o700, exist_ok=True)


def _write(file: Path, data: bytes) -> bool:
    temporary = None
    try:
        _make_private(file.parent)
        handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".new-")  # mode 0600
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.replace(temporary, file)
        return True
    except OSError:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        return False
