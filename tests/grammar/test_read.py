"""Files that cannot be read as a spec, and those that can."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from attnc.diagnostics import AttnError
from attnc.grammar.read import LIMIT, read


def fails(path: Path) -> str:
    with pytest.raises(AttnError) as caught:
        read(path)
    assert caught.value.code == "A010"
    return str(caught.value)


def test_text_comes_with_its_path_and_unix_newlines(tmp_path: Path) -> None:
    path = tmp_path / "spec.attn"
    path.write_bytes("\ufeff# na\u00efve\r\n\r\n".encode())
    source = read(path)
    assert (source.name, source.text) == (str(path), "# na\u00efve\n\n")


def test_missing_files_offer_a_neighbour(tmp_path: Path) -> None:
    (tmp_path / "alibi.attn").write_text("")
    assert f"did you mean `{tmp_path / 'alibi.attn'}`?" in fails(tmp_path / "alibbi.attn")
    assert "there is no folder" in fails(tmp_path / "none" / "alibi.attn")
    assert "there is no file" in fails(tmp_path / "zzz")


def test_a_folder_is_no_spec(tmp_path: Path) -> None:
    assert "is a folder" in fails(tmp_path)
    (tmp_path / "alibi.attn").write_text("")
    assert "alibi.attn" in fails(tmp_path)
    assert "cannot be read" in fails(tmp_path / "alibi.attn" / "inner")


def test_names_no_file_can_have() -> None:
    assert "cannot be read" in fails(Path("x" * 5000))
    assert "cannot be read" in fails(Path("a\0b"))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.attn")
    assert "no regular file" in fails(tmp_path / "pipe.attn")


def test_other_encodings_are_named_with_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "latin.attn"
    path.write_bytes(b"# one\n# na\xefve\n")
    text = fails(path)
    assert "0xef" in text
    assert ":2:5" in text
    path.write_bytes(bytes(range(256)) * 10)
    assert "is not a text" in fails(path)


@pytest.mark.parametrize("size", [LIMIT + 1, 10_000_000])
def test_large_files_are_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "large.attn"
    path.write_bytes(b"#" * size)
    assert "is larger than" in fails(path)
    path.write_bytes(b"#" * LIMIT)
    assert len(read(path).text) == LIMIT
