"""Files of one user alone: read if they are the user's own, written whole or not at all."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from pathlib import Path

UNFINISHED = ".new-"
FORGOTTEN = 3600.0  # seconds after which an unfinished file belongs to a process that was killed


def read(file: Path) -> bytes | None:
    """The bytes of a file that this user wrote, or None."""
    try:
        with file.open("rb") as stream:
            own = not hasattr(os, "getuid") or os.fstat(stream.fileno()).st_uid == os.getuid()
            return stream.read() if own else None
    except (OSError, ValueError):  # a null character in a folder's name is a ValueError
        return None


def write(file: Path, data: bytes) -> bool:
    """Write under a temporary name and rename: a reader sees all of it or nothing. Whether that could be done."""
    temporary = None
    try:
        _make_private(file.parent)
        _sweep(file.parent)
        handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=UNFINISHED)  # mode 0600
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.replace(temporary, file)
        return True
    except (OSError, ValueError):
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        return False


def _make_private(folder: Path) -> None:
    """The folder and its missing parents, readable by this user alone (mkdir's mode spares the parents)."""
    if not folder.is_dir():
        _make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _sweep(folder: Path) -> None:
    """Remove what a killed process has left unfinished."""
    for file in folder.glob(f"{UNFINISHED}*"):
        try:
            if time.time() - file.stat().st_mtime > FORGOTTEN:
                file.unlink()
        except OSError:  # another process was faster
            continue


_PRIVATE: list[Path] = []


def made() -> tuple[Path, ...]:
    """The private folder, if this process has one."""
    return tuple(_PRIVATE)


def private() -> Path:
    """A temporary folder for this process where the cache cannot be written; removed at exit."""
    if not _PRIVATE:
        try:
            _PRIVATE.append(Path(tempfile.mkdtemp(prefix="attnc-")))
        except OSError:
            return Path(os.devnull)  # below it nothing can be written
        atexit.register(_remove, _PRIVATE[0], os.getpid())
    return _PRIVATE[0]


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked child leaves its parent's folder alone
        shutil.rmtree(folder, ignore_errors=True)
