"""The disk cache under bad luck: truncation, read-only and full folders, parallel writers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from attnc.runtime import cache


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNC_CACHE", str(tmp_path / "cache"))


def test_what_is_put_is_got() -> None:
    key = cache.key("a", 1)
    assert cache.get(key, "kernel") is None
    cache.put(key, "kernel", b"text")
    assert cache.get(key, "kernel") == b"text"


def test_a_key_depends_on_every_part() -> None:
    assert len({cache.key("a", 1), cache.key("a", 2), cache.key("b", 1), cache.key("a1"), cache.key("a", "1")}) == 5


@pytest.mark.parametrize("keep", [0, 10, 35])
def test_a_truncated_entry_counts_as_missing(keep: int) -> None:
    key = cache.key("a")
    cache.put(key, "kernel", b"some text")
    file = next(cache.folder().rglob("*.kernel"))
    file.write_bytes(file.read_bytes()[:keep])
    assert cache.get(key, "kernel") is None


def test_a_truncated_binary_counts_as_missing() -> None:
    key = cache.key("b")
    file = cache.shared_object(key, b"\x7fELF and more")
    assert file is not None
    assert cache.shared_object(key) == file
    file.write_bytes(b"\x7fELF")
    assert cache.shared_object(key) is None


@pytest.mark.parametrize("kind", ["a file", "a folder in a file"])
def test_a_folder_that_cannot_be_written_costs_nothing_but_speed(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocker = tmp_path / "blocker"
    blocker.write_text("")
    monkeypatch.setenv("ATTNC_CACHE", str(blocker if kind == "a file" else blocker / "below"))
    key = cache.key("c")
    cache.put(key, "kernel", b"text")
    assert cache.get(key, "kernel") == b"text"
    assert cache.shared_object(key, b"binary") is not None


def test_a_full_disk_costs_nothing_but_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    real = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: full() if str(cache.folder()) in str(b) else real(a, b))
    key = cache.key("d")
    cache.put(key, "kernel", b"text")
    assert cache.get(key, "kernel") == b"text"
    assert not list(cache.folder().rglob(".new-*"))


def test_entries_are_private() -> None:
    cache.put(cache.key("e"), "kernel", b"text")
    for path in cache.folder().rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_parallel_writers_leave_one_whole_entry() -> None:
    script = (
        "from attnc.runtime import cache\n"
        "key = cache.key('shared')\n"
        "for turn in range(200):\n"
        "    cache.put(key, 'kernel', b'x' * 100_000)\n"
        "    assert cache.get(key, 'kernel') == b'x' * 100_000\n"
    )
    runs = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(3)]
    assert [run.wait(timeout=60) for run in runs] == [0, 0, 0]
